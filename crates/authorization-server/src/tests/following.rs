//! The registrations follow the configuration file while the server runs.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use service::{Occasion, Running, Shutdown};
use tempfile::TempDir;

use super::authentication::{registration, self_signed};
use super::start::{configuration, started, token_over_tls};
use super::{DEMO, Harness};
use crate::Configuration;
use crate::following::FollowedFile;
use crate::registrations::Registrations;

/// A server whose registrations follow a file.
struct Following {
    harness: Harness,
    running: Running,
    directory: TempDir,
}

impl Following {
    /// The same, while it starts.
    fn starting(text: &str) -> (Self, FollowedFile) {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("authorization-server.toml");
        std::fs::write(&file, text).unwrap();
        let configuration = Configuration::read(&file).unwrap();
        let followed = FollowedFile::of(&configuration, &file).unwrap();
        let server = Self {
            harness: Harness::configured(text),
            running: Running::new(Shutdown::new()),
            directory,
        };
        (server, followed)
    }

    fn of(text: &str) -> Self {
        let (mut server, followed) = Self::starting(text);
        followed.follow(&mut server.running, &server.harness.server);
        server
    }

    fn write(&self, text: &str) {
        std::fs::write(self.directory.path().join("authorization-server.toml"), text).unwrap();
    }

    fn reload(&self, text: &str) {
        self.write(text);
        self.running.reloads().attempt(Occasion::Demand);
    }

    /// Whether a look at the files puts other registrations in force.
    fn changes_when_polled(&self) -> bool {
        let before = self.registrations();
        self.running.reloads().attempt(Occasion::Poll);
        !Arc::ptr_eq(&before, &self.registrations())
    }

    fn registrations(&self) -> Arc<Registrations> {
        self.harness.server.registrations()
    }

    fn knows(&self, client_id: &str) -> bool {
        self.registrations().clients.find(client_id).is_some()
    }
}

fn write_authority(file: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    std::fs::write(file, authority.pem()).unwrap();
}

/// Registrations follow the configuration file, and a broken one changes nothing.
#[tokio::test]
async fn registrations_follow_the_configuration_file_and_a_broken_one_changes_nothing() {
    let server = Following::of(DEMO);
    server.reload(&DEMO.replace("\"other-client\"", "\"new-client\""));
    assert!(server.knows("new-client") && !server.knows("other-client") && server.knows("partner-client"));
    for broken in [
        "not TOML".to_owned(),
        DEMO.replace("scope = \"transactions\"", "scope = \"not a \\\\ scope\""),
        DEMO.replace("\"gateway\"", "\"partner-client\""),
    ] {
        server.reload(&broken);
        assert!(server.knows("new-client") && server.knows("gateway"), "{broken}");
    }
    std::fs::remove_file(server.directory.path().join("authorization-server.toml")).unwrap();
    server.running.reloads().attempt(Occasion::Demand);
    assert!(server.knows("new-client"));
    server.reload(DEMO);
    assert!(!server.knows("new-client") && server.knows("other-client"));
}

/// M14, M20: the authorities that the file names by now, and not those alone that it named at the start.
#[tokio::test]
async fn follows_the_authorities_that_a_changed_configuration_file_names() {
    let server = Following::of(DEMO);
    assert!(!server.changes_when_polled());
    let authority = server.directory.path().join("authority.pem");
    let trust = format!("tls_client_auth_subject_dn = \"CN=demo-partner\"\ntrust = [{authority:?}]");
    server.write(&DEMO.replace("tls_client_auth_subject_dn = \"CN=demo-partner\"", &trust));
    assert!(!server.changes_when_polled(), "the authority is not there yet");
    for _ in 0..2 {
        write_authority(&authority);
        assert!(server.changes_when_polled());
        assert!(!server.changes_when_polled(), "nothing has changed since");
    }
    server.write(DEMO);
    assert!(server.changes_when_polled());
    write_authority(&authority);
    assert!(!server.changes_when_polled(), "nobody names it any more");
}

/// The start may wait long for a database.
#[tokio::test]
async fn follows_what_has_changed_while_the_server_was_starting() {
    let (mut server, followed) = Following::starting(DEMO);
    server.write(&DEMO.replace("\"other-client\"", "\"new-client\""));
    followed.follow(&mut server.running, &server.harness.server);
    assert!(server.changes_when_polled());
    assert!(server.knows("new-client") && !server.knows("other-client"));
}

/// F12: the profile waits for a restart, and so does whatever it would let in; what is withdrawn does not wait.
#[tokio::test]
async fn registrations_satisfy_the_profile_of_the_start_whatever_the_file_says_by_now() {
    let (no_secrets, with_secret) = DEMO.split_at(
        DEMO.find("[[clients]]\nclient_id = \"introspect-client\"")
            .unwrap(),
    );
    let fapi2 = format!("profile = \"fapi2\"\n{no_secrets}");
    let server = Following::of(&fapi2);
    server.reload(&format!("{no_secrets}{with_secret}"));
    assert!(!server.knows("introspect-client") && server.knows("other-client"));
    server.reload(&no_secrets.replace("\"other-client\"", "\"new-client\""));
    assert!(server.knows("new-client") && !server.knows("other-client"));
    let server = Following::of(DEMO);
    server.reload(&format!("profile = \"fapi2\"\n{no_secrets}{with_secret}"));
    assert!(server.knows("introspect-client"));
    server.reload(&fapi2);
    assert!(!server.knows("introspect-client"));
}

/// M14, M20: what is let into a handshake changes with the registrations, whoever was let in before.
#[tokio::test]
async fn self_signed_certificates_follow_the_registrations() {
    let directory = TempDir::new().unwrap();
    let (key, certificate, jwks) = self_signed("demo-partner", |_| ());
    let client = registration("self-signed", "self_signed_tls_client_auth", &jwks);
    let file = directory.path().join("authorization-server.toml");
    std::fs::write(&file, DEMO).unwrap();
    let mut configuration = configuration(directory.path());
    configuration.file = Some(file.clone());
    let (running, shutdown) = started(&configuration).await.unwrap();
    let refused = Err(mtls::Alert::UnknownCa);
    for (registrations, expected) in [
        (DEMO.to_owned(), refused),
        (format!("{DEMO}{client}"), Ok(200)),
        (DEMO.to_owned(), refused),
    ] {
        std::fs::write(&file, registrations).unwrap();
        running.reloads().attempt(Occasion::Demand);
        let answer = token_over_tls(&configuration, &running, "self-signed", (&certificate, &key)).await;
        assert_eq!(answer, expected);
    }
    shutdown.trigger();
    running.finished().await.unwrap();
}
