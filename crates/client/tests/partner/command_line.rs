//! The program itself: standard output, standard error and exit code.

use std::process::{Command, Output};

use axum::http::StatusCode;
use tempfile::TempDir;

use crate::certificates::Pem;
use crate::server::{API, Behaviour, Servers, TOKEN_ENDPOINT, refused};

/// The files that the program is told to use.
struct Files {
    directory: TempDir,
    connect_to: String,
}

impl Files {
    fn of(servers: &Servers) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let certificate: Pem = servers.authority.client();
        for (name, content) in [
            ("client.pem", certificate.certificate.as_bytes()),
            ("client.key", certificate.key.as_bytes()),
            ("client.p12", &certificate.pkcs12("Password1")),
            ("password", b"Password1\n"),
            ("root.pem", servers.authority.pem().as_bytes()),
        ] {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        let address = servers.address;
        let connect_to = format!("login.example.com={address},api.example.com={address}");
        Self {
            directory,
            connect_to,
        }
    }

    /// Runs the program as its environment and these arguments say.
    async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[]).await
    }

    async fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
        command
            .current_dir(&self.directory)
            .env("CERTBOUND_CERT", "client.pem")
            .env("CERTBOUND_KEY", "client.key")
            .env("CERTBOUND_CACERT", "root.pem")
            .env("CERTBOUND_TOKEN_ENDPOINT", TOKEN_ENDPOINT)
            .env("CERTBOUND_CONNECT_TO", &self.connect_to)
            .env_remove("CERTBOUND_PASSWORD")
            .envs(environment.iter().copied())
            .args(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_the_token_alone() {
    let servers = Servers::start(Behaviour::default());
    let output = Files::of(&servers).run(&["token"]).await;
    assert_eq!(
        (output.status.code(), out(&output).as_str()),
        (Some(0), "token-1\n"),
        "{}",
        err(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_the_answer_and_its_head_on_request() {
    let servers = Servers::start(Behaviour::default());
    let files = Files::of(&servers);
    let output = files.run(&["call", API, "--data", "{}"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(out(&output), "{\n  \"token\": \"token-1\"\n}\n");
    let output = files
        .run(&[
            "--p12",
            "client.p12",
            "--password-file",
            "password",
            "call",
            API,
            "--include",
        ])
        .await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(
        out(&output).starts_with("200 OK\n") && out(&output).contains("content-type: application/json\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exits_1_with_a_sentence_when_the_call_is_refused() {
    let behaviour = Behaviour {
        api: Box::new(|_, _| refused(StatusCode::FORBIDDEN, "insufficient_scope")),
        ..Behaviour::default()
    };
    let servers = Servers::start(behaviour);
    let output = Files::of(&servers).run(&["call", API]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).contains("insufficient_scope"));
    assert!(err(&output).contains("lacks the scope"), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn exits_64_with_a_sentence_when_a_file_or_value_cannot_be_used() {
    let servers = Servers::start(Behaviour::default());
    let files = Files::of(&servers);
    for (arguments, named) in [
        (&["--cert", "absent.pem", "token"][..], "absent.pem"),
        (&["--cacert", "absent.pem", "token"], "absent.pem"),
        (&["--connect-to", "nonsense", "token"], "nonsense"),
        (&["--scope", "a\"b", "token"], "--scope"),
        (&["--p12", "client.p12", "token"], "--password-file"),
        (&["--client-id", "a\nb", "token"], "--client-id"),
        (&["--token-endpoint", "nonsense", "token"], "--token-endpoint"),
        (
            &["--token-endpoint", "http://login.example.com/", "token"],
            "https",
        ),
        (&["--issuer", "nonsense", "token"], "--issuer"),
        (&["--resource", "http://api.example.com", "token"], "--resource"),
        (&["call", "--data", "{"], "--data"),
        (&["call", "notaurl"], "notaurl"),
        (&["call", "http://api.example.com/api"], "https"),
        (&["call", "https://"], "https"),
        (&["call", ""], "CERTBOUND_URL"),
        (&["--unheard-of"], "--unheard-of"),
        (&["unheard-of"], "unheard-of"),
        (&[], "Usage"),
    ] {
        let output = files.run(arguments).await;
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(err(&output).contains(named), "{}", err(&output));
        assert!(output.stdout.is_empty());
    }
    assert_eq!(servers.token_requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_in_its_own_words_what_is_missing_in_the_environment() {
    let servers = Servers::start(Behaviour::default());
    let files = Files::of(&servers);
    let output = files.run_with(&["call"], &[("CERTBOUND_URL", "")]).await;
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(
        err(&output).lines().last().unwrap(),
        "client: the URL is empty; name one, or unset CERTBOUND_URL to call the demo's API"
    );

    let with_archive = ["--p12", "client.p12", "token"];
    let output = files.run(&with_archive).await;
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(
        err(&output).lines().last().unwrap(),
        "client: --p12 needs a password: name a --password-file, or set CERTBOUND_PASSWORD"
    );
    let with_password = [("CERTBOUND_PASSWORD", "Password1")];
    let output = files.run_with(&with_archive, &with_password).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn exits_0_for_help_that_fits_the_terminal() {
    for columns in ["80", "100", "120"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CERTBOUND_"))
        {
            command.env_remove(name);
        }
        let output = command.arg("--help").env("COLUMNS", columns).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let help = out(&output);
        let longest = help.lines().map(str::len).max().unwrap();
        assert!(longest <= columns.parse().unwrap(), "{help}");
        // A shell takes each example as it stands, so none may be wrapped.
        let examples = help.split_once("Examples:").unwrap().1;
        let (commands, _) = examples.split_once("Environment:").unwrap();
        for line in commands.lines().filter(|line| !line.is_empty()) {
            assert!(line.starts_with("  "), "{line} was wrapped in\n{help}");
        }
        assert!(!help.contains("[default: \"\"]"), "{help}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reaches_hosts_by_their_own_names_where_no_mapping_is_wanted() {
    let servers = Servers::start(Behaviour::default());
    let mut files = Files::of(&servers);
    files.connect_to.clear();
    let endpoint = format!("https://localhost:{}/token", servers.address.port());
    let output = files.run(&["--token-endpoint", &endpoint, "token"]).await;
    assert_eq!(output.status.code(), Some(1));
    // The server is found; its certificate is for other hosts.
    assert!(
        err(&output).contains("issued for another host name"),
        "{}",
        err(&output)
    );
}
