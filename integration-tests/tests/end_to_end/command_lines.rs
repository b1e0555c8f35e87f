//! The binaries as people run them: arguments, what stands on standard output, exit codes.

use std::{
    path::Path,
    process::{Command, Output},
};

use demo::{configuration, system::System};
use integration_tests::{Ground, processes::binary};
use pki::Pkcs12;

fn client(ground: &Ground, system: &System, arguments: &[&str]) -> Output {
    let gateway = system.gateway();
    Command::new(binary("client"))
        .args(arguments)
        .args(["--cacert", "certs/root.pem"])
        .args(["--connect-to", &format!("login.example.com={gateway}")])
        .args(["--connect-to", &format!("api.example.com={gateway}")])
        .current_dir(ground.path())
        .output()
        .unwrap()
}

fn run(binary_name: &str, directory: &Path, arguments: &[&str]) -> Output {
    Command::new(binary(binary_name))
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_calls_the_api_with_pem_files_and_with_pkcs12() {
    let ground = Ground::with_pkcs12(Pkcs12::Write { iterations: 1_000 });
    let system = ground.start(Default::default()).await;
    std::fs::write(ground.path().join("password"), "Password1\n").unwrap();
    let pem = [
        "--cert",
        "certs/example.client.pem",
        "--key",
        "certs/example.client.key",
    ];
    let pkcs12 = ["--p12", "certs/example.client.p12", "--password-file", "password"];
    for credentials in [pem, pkcs12] {
        let output = client(&ground, &system, &[&["call"][..], &credentials].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("Success response from the Example API"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_prints_the_token_alone() {
    let ground = Ground::new();
    let system = ground.start(Default::default()).await;
    let pem = [
        "token",
        "--cert",
        "certs/example.client.pem",
        "--key",
        "certs/example.client.key",
    ];
    let output = client(&ground, &system, &pem);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let token = text(&output.stdout);
    assert_eq!(token.trim_end().len(), 64, "{token}");
    assert_eq!(token.lines().count(), 1);
}

/// T3: an alert becomes a sentence.
#[tokio::test(flavor = "multi_thread")]
async fn the_client_says_in_words_why_its_certificate_was_refused() {
    let ground = Ground::new();
    let system = ground.start(Default::default()).await;
    for (name, word) in [("expired", "expired"), ("revoked", "revoked")] {
        let (cert, key) = (
            format!("certs/refused/{name}.client.pem"),
            format!("certs/refused/{name}.client.key"),
        );
        let output = client(&ground, &system, &["call", "--cert", &cert, "--key", &key]);
        assert_eq!(output.status.code(), Some(1));
        let message = text(&output.stderr);
        assert!(
            message.contains("the server refused your certificate") && message.contains(word),
            "{message}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_wrong_configuration_exits_64_and_names_the_key() {
    let ground = Ground::new();
    let file = ground.path().join("wrong.toml");
    std::fs::write(&file, "unheard_of = 1\n").unwrap();
    for service in ["authorization-server", "gateway", "sample-api"] {
        let output = run(
            service,
            ground.path(),
            &["--config", "wrong.toml", "--check-config"],
        );
        assert_eq!(
            output.status.code(),
            Some(64),
            "{service}: {}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stderr).contains("unheard_of"),
            "{service}: {}",
            text(&output.stderr)
        );
        let output = run(service, ground.path(), &["--config", "absent.toml"]);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{service}: {}",
            text(&output.stderr)
        );
        assert!(text(&output.stderr).contains("absent.toml"));
    }
}

#[test]
fn a_missing_certificate_stops_the_service_with_the_remedy() {
    let empty = tempfile::tempdir().unwrap();
    for service in ["authorization-server", "gateway", "sample-api"] {
        let output = run(service, empty.path(), &["--check-config"]);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{service}: {}",
            text(&output.stderr)
        );
        let message = text(&output.stderr);
        assert!(
            message.contains("certs/") && message.contains("pki -- init"),
            "{service}: {message}"
        );
    }
}

#[test]
fn a_right_configuration_is_checked_without_starting() {
    let ground = Ground::new();
    let parts = ground.parts(configuration::Listeners::free(), Default::default());
    std::fs::write(
        ground.path().join("right.toml"),
        configuration::authorization_server(&parts),
    )
    .unwrap();
    let output = run(
        "authorization-server",
        ground.path(),
        &["--config", "right.toml", "--check-config"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!ground.path().join("data").exists(), "checking makes nothing");
}

/// The demo, from an empty directory: it makes its certificates, and its exit code is honest.
#[test]
fn the_demo_runs_from_an_empty_directory() {
    let empty = tempfile::tempdir().unwrap();
    let output = run("demo", empty.path(), &[]);
    let story = text(&output.stdout);
    assert!(output.status.success(), "{story}{}", text(&output.stderr));
    assert!(
        story.contains("outcomes are as they must be") && !story.contains('\u{1b}'),
        "{story}"
    );
    assert!(empty.path().join("certs/root.pem").exists());
}
