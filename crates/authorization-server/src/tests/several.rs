//! Several authorization servers on one database: each answers for the others, and waits for the database to return.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use service::Shutdown;

use super::authentication::{Asserting, asserted};
use super::start::configuration;
use super::*;
use crate::configuration::PostgresConfiguration;
use crate::start;
use crate::token_store::PostgresTokenStore;
use crate::token_store::tests::cluster::Cluster;
use crate::token_store::tests::shared::{Database, configuration as postgres, whole_configuration};

const JWKS: &str = "/oauth/v2/oauth-anonymous/jwks";
const JWT: &str = "application/jwt";
/// Longer than the service may take to notice.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn server(configuration: &PostgresConfiguration) -> Harness {
    let store = Arc::new(PostgresTokenStore::open(configuration).await.unwrap());
    let policy = crate::rotation(&Configuration::from_toml(DEMO).unwrap());
    let keys = SigningKeys::shared(Arc::clone(&store), policy, crate::now())
        .await
        .unwrap();
    Harness::with_keys(store, keys, TempDir::new().unwrap())
}

async fn jwks(server: &Harness) -> VerificationKeys {
    let answer = server.send(request(Method::GET, JWKS), None).await;
    VerificationKeys::from_jwks(answer.body.as_bytes()).unwrap()
}

/// A6, P17, R9.
#[tokio::test]
async fn answer_for_one_another_and_verify_one_another_s_signatures() {
    let Some(database) = Database::new().await else {
        return;
    };
    let configuration = database.configuration();
    let (one, other) = (server(&configuration).await, server(&configuration).await);
    let partner = certificate("demo-partner");
    let token = one.token(&partner).await;
    assert!(one.is_active(&token).await && other.is_active(&token).await);
    for (asked, publishing) in [(&one, &other), (&other, &one), (&other, &other)] {
        let jwt = asked.introspect(&token, JWT).await;
        assert_eq!(jwt.status, StatusCode::OK);
        let verified = verifier()
            .verify(&jwt.body, &jwks(publishing).await, now())
            .unwrap();
        assert_eq!(verified.claims().client_id, "partner-client");
    }
    let revoked = other
        .send(revocation(&token, "partner-client"), Some(&partner))
        .await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert!(!one.is_active(&token).await && !other.is_active(&token).await);
    assert_eq!(one.introspect(&token, JWT).await.status, StatusCode::NO_CONTENT);
}

/// K7: whichever server saw it first, and of those that see it at once, one.
#[tokio::test]
async fn refuse_an_assertion_that_another_has_seen() {
    let Some(database) = Database::new().await else {
        return;
    };
    let (key, text) = Asserting::registered();
    let at = async || {
        let store = Arc::new(database.open().await);
        Harness::of(&text, store, TempDir::new().unwrap())
    };
    let (one, other) = (at().await, at().await);
    let client = Asserting { harness: one, key };
    let partner = certificate("demo-partner");
    let assertion = client.assertion(|_| ());
    let ask = || asserted(TOKEN, "grant_type=client_credentials", &assertion);
    let (here, there) = tokio::join!(
        client.harness.send(ask(), Some(&partner)),
        other.send(ask(), Some(&partner))
    );
    let issued = [&here, &there].map(|answer| answer.status == StatusCode::OK);
    assert!(issued[0] != issued[1], "{} {}", here.body, there.body);
    for server in [&client.harness, &other] {
        let answer = server.send(ask(), Some(&partner)).await;
        assert_eq!(
            answer.refusal(),
            (401, "invalid_client".into(), "assertion_replayed")
        );
    }
    let fresh = client.assertion(|_| ());
    let request = asserted(TOKEN, "grant_type=client_credentials", &fresh);
    assert_eq!(other.send(request, Some(&partner)).await.status, StatusCode::OK);
}

/// R7: nothing is issued or said while the database is away.
#[tokio::test]
async fn refuse_while_the_database_is_stopped_and_resume_by_themselves() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let server = server(&postgres(&format!("url = \"{}\"", cluster.url("postgres")))).await;
    let partner = certificate("demo-partner");
    let token = server.token(&partner).await;
    cluster.stop();
    for (request, certificate) in [
        (
            post(TOKEN, "grant_type=client_credentials&client_id=partner-client"),
            Some(&partner),
        ),
        (revocation(&token, "partner-client"), Some(&partner)),
        (introspection().body(form("token", &token)).unwrap(), None),
    ] {
        let answer = server.send(request, certificate).await;
        assert_eq!(
            answer.refusal(),
            (503, "temporarily_unavailable".into(), "store_failed")
        );
        assert!(answer.header(header::RETRY_AFTER).is_some());
    }
    cluster.resume();
    let deadline = std::time::Instant::now() + PATIENCE;
    while server.server.tokens.health().verify().is_err() {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    assert!(server.is_active(&token).await);
    assert!(server.is_active(&server.token(&partner).await).await);
}

/// R7: a server may be started before its database.
#[tokio::test]
async fn refuse_until_a_database_that_was_stopped_at_their_start_is_there() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    cluster.stop();
    let server = server(&postgres(&format!("url = \"{}\"", cluster.url("postgres")))).await;
    let partner = certificate("demo-partner");
    let token_request = || post(TOKEN, "grant_type=client_credentials&client_id=partner-client");
    let answer = server.send(token_request(), Some(&partner)).await;
    assert_eq!(
        answer.refusal(),
        (503, "temporarily_unavailable".into(), "store_failed")
    );
    let answer = server.send(request(Method::GET, JWKS), None).await;
    assert_eq!(
        answer.refusal(),
        (503, "temporarily_unavailable".into(), "no_signing_keys")
    );
    assert!(answer.header(header::RETRY_AFTER).is_some());

    cluster.resume();
    let works = tokio::time::timeout(PATIENCE, server.server.tokens.health().works());
    works.await.unwrap();
    server.server.signing_keys.maintain(now()).await.unwrap();
    let token = server.token(&partner).await;
    let jwt = server.introspect(&token, JWT).await;
    assert!(verifier().verify(&jwt.body, &jwks(&server).await, now()).is_ok());
}

/// As a whole: it comes up, is not ready, and becomes so by itself.
#[tokio::test(flavor = "multi_thread")]
async fn are_started_before_their_database_and_become_ready_with_it() {
    let directory = TempDir::new().unwrap();
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    cluster.stop();
    let mut configuration = configuration(directory.path());
    let lines = format!("url = \"{}\"", cluster.url("postgres"));
    configuration.store = whole_configuration(&lines).store;
    configuration.signing.keys = None;
    let shutdown = Shutdown::new();
    let running = start(configuration, shutdown.clone()).await.unwrap();
    let admin = running.address("admin");
    let answer = until_ready(admin, "503").await;
    assert!(
        answer.contains("token_store") && answer.contains("signing_keys"),
        "{answer}"
    );
    cluster.resume();
    until_ready(admin, "200").await;
    shutdown.trigger();
    running.finished().await.unwrap();
}

/// The answer of `/readyz`.
fn readiness(admin: SocketAddr) -> String {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

async fn until_ready(admin: SocketAddr, status: &str) -> String {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let answer = tokio::task::spawn_blocking(move || readiness(admin))
            .await
            .unwrap();
        if answer.starts_with(&format!("HTTP/1.1 {status} ")) {
            return answer;
        }
        assert!(std::time::Instant::now() < deadline, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn are_not_ready_while_the_database_is_stopped_and_go_on_when_it_is_back() {
    let directory = TempDir::new().unwrap();
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let mut configuration = configuration(directory.path());
    let lines = format!("url = \"{}\"", cluster.url("postgres"));
    configuration.store = whole_configuration(&lines).store;
    configuration.signing.keys = None;
    let shutdown = Shutdown::new();
    let running = start(configuration, shutdown.clone()).await.unwrap();
    let admin = running.address("admin");
    until_ready(admin, "200").await;
    cluster.stop();
    let answer = until_ready(admin, "503").await;
    assert!(answer.contains("token_store"), "{answer}");
    cluster.resume();
    until_ready(admin, "200").await;
    shutdown.trigger();
    running.finished().await.unwrap();
}
