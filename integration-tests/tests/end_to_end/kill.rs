//! `kill -9` under load, again and again: what was answered is true after the restart, on both engines.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use demo::configuration::{self, Listeners, Settings};
use integration_tests::{Ground, processes::binary};
use mtls::{ClientTls, Timeouts};
use pki::Member;
use reqwest::StatusCode;
use serde_json::Value;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinSet;

use crate::cluster::Cluster;

/// Clients that ask for tokens and revoke some, each without a pause.
const CLIENTS: usize = 8;
/// Answers that the first round waits for; every further one waits for one more.
const ANSWERS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn loses_nothing_it_has_answered() {
    on_the_embedded_store(5).await;
    on_postgres(5).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: cargo test -p integration-tests -- --ignored fifty"]
async fn loses_nothing_it_has_answered_in_fifty_rounds() {
    on_the_embedded_store(50).await;
    on_postgres(50).await;
}

async fn on_the_embedded_store(rounds: usize) {
    let ground = Ground::new();
    let configuration = configuration(&ground);
    kill_and_ask(&ground, &configuration, rounds).await;
}

async fn on_postgres(rounds: usize) {
    let given = std::env::var("CERTBOUND_TEST_POSTGRES_URL").ok();
    let cluster = if given.is_none() { Cluster::start() } else { None };
    let Some(url) = given.or_else(|| cluster.as_ref().map(|cluster| cluster.url("postgres"))) else {
        return;
    };
    let ground = Ground::new();
    let of_the_file = |line: &&str| {
        ["path =", "keys ="]
            .iter()
            .all(|key| !line.trim_start().starts_with(key))
    };
    let store = format!("[store]\nurl = \"{url}\"\ndanger_plain_text = true");
    let configuration = configuration(&ground);
    let configuration: Vec<&str> = configuration.lines().filter(of_the_file).collect();
    let configuration = configuration.join("\n").replace("[store]", &store);
    kill_and_ask(&ground, &configuration, rounds).await;
}

fn configuration(ground: &Ground) -> String {
    mtls::install_crypto_provider();
    configuration::authorization_server(&ground.parts(Listeners::free(), Settings::default()))
}

async fn kill_and_ask(ground: &Ground, configuration: &str, rounds: usize) {
    let file = ground.path().join("authorization-server.toml");
    std::fs::write(&file, configuration).unwrap();
    let mut server = Server::start(&file);
    let (mut first_issued, mut first_revoked) = (None, None);
    for round in 0..rounds {
        let known = kill_under_load(ground, &mut server, ANSWERS + round).await;
        server = Server::start(&file);
        let partner = Partner::of(ground, server.mutual_tls);
        for answered in known {
            let active = partner.is_active(answered.token()).await;
            assert_eq!(
                active,
                matches!(answered, Answered::Issued(_)),
                "round {round}: {answered:?}"
            );
            match answered {
                Answered::Issued(token) => first_issued.get_or_insert(token),
                Answered::Revoked(token) => first_revoked.get_or_insert(token),
            };
        }
    }
    let partner = Partner::of(ground, server.mutual_tls);
    assert!(partner.is_active(&first_issued.unwrap()).await);
    assert!(!partner.is_active(&first_revoked.unwrap()).await);
}

/// What the server answered before its end, which comes after so many answers, in the midst of the next ones.
async fn kill_under_load(ground: &Ground, server: &mut Server, count: usize) -> Vec<Answered> {
    let partner = Arc::new(Partner::of(ground, server.mutual_tls));
    let (answers, mut answered) = mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(Arc::clone(&partner).work(answers.clone()));
    }
    drop(answers);
    let mut known = Vec::new();
    while known.len() < count {
        known.push(
            answered
                .recv()
                .await
                .expect("the server answers until it is killed"),
        );
    }
    server.kill();
    while let Some(answer) = answered.recv().await {
        known.push(answer);
    }
    clients.join_all().await;
    known
}

/// What the server has said; a token whose revocation was not answered is neither.
#[derive(Debug)]
enum Answered {
    Issued(String),
    Revoked(String),
}

impl Answered {
    fn token(&self) -> &str {
        match self {
            Self::Issued(token) | Self::Revoked(token) => token,
        }
    }
}

/// The authorization server as a process; killed when dropped, as `kill -9` does.
struct Server {
    child: Child,
    mutual_tls: SocketAddr,
}

impl Server {
    /// Starts it, and waits until it listens.
    fn start(configuration: &Path) -> Self {
        let mut child = Command::new(binary("authorization-server"))
            .arg("--config")
            .arg(configuration)
            .args(["--log-format", "json"])
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut mutual_tls = None;
        for line in log.by_ref() {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            let address = event["listen.address"]
                .as_str()
                .map(|address| address.parse().unwrap());
            match event["listen.name"].as_str() {
                Some("mutual_tls") => mutual_tls = address,
                Some("admin") => break,
                _ => {}
            }
        }
        // Somebody has to read the rest of the log, or the server would wait.
        std::thread::spawn(move || log.for_each(drop));
        let mutual_tls = mutual_tls.expect("the server starts");
        Self { child, mutual_tls }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed by the test already.
        let _already_ended = self.child.kill();
        let _already_waited = self.child.wait();
    }
}

/// The partner, and whoever introspects its tokens.
struct Partner {
    http: reqwest::Client,
    server: SocketAddr,
}

impl Partner {
    fn of(ground: &Ground, server: SocketAddr) -> Self {
        let tls = ClientTls::new(ground.trust()).with_credentials(ground.credentials(Member::Example));
        let http = tls.http_client(Timeouts::default(), &[]).unwrap();
        Self { http, server }
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> reqwest::Result<reqwest::Response> {
        let url = format!("https://{}/oauth/v2/{path}", self.server);
        self.http.post(url).form(form).send().await
    }

    /// Asks for tokens, and revokes every other, until the server is gone.
    async fn work(self: Arc<Self>, answers: UnboundedSender<Answered>) {
        let client = ("client_id", "partner-client");
        let grant = [("grant_type", "client_credentials"), client];
        let mut count = 0;
        while let Ok(answer) = self.post("oauth-token-mutual-tls", &grant).await {
            assert_eq!(answer.status(), StatusCode::OK);
            let Ok(answer) = answer.json::<Value>().await else {
                return;
            };
            let token = answer["access_token"].as_str().unwrap().to_owned();
            count += 1;
            if count % 2 == 0 {
                answers.send(Answered::Issued(token)).unwrap();
                continue;
            }
            let Ok(answer) = self.post("oauth-revoke", &[("token", &token), client]).await else {
                return;
            };
            assert_eq!(answer.status(), StatusCode::OK);
            answers.send(Answered::Revoked(token)).unwrap();
        }
    }

    async fn is_active(&self, token: &str) -> bool {
        let url = format!("https://{}/oauth/v2/oauth-introspect", self.server);
        let request = self
            .http
            .post(url)
            .basic_auth("introspect-client", Some("Password1"));
        let answer = request.form(&[("token", token)]).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json::<Value>().await.unwrap()["active"].as_bool().unwrap()
    }
}
