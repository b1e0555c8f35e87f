//! The service as a whole, from configuration to end.

use std::path::Path;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use service::{Running, Shutdown};
use tempfile::TempDir;

use super::{DEMO, now};
use crate::{Configuration, StoreConfiguration, start, verify_current};

/// The demo's configuration with all of its files in `directory`, on ports of the system's choice.
pub(super) fn configuration(directory: &Path) -> Configuration {
    let mut configuration = Configuration::from_toml(DEMO).unwrap();
    for address in [
        &mut configuration.listen.tls,
        &mut configuration.listen.mutual_tls,
        &mut configuration.listen.admin,
    ] {
        address.set_port(0);
    }
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = params.self_signed(&key).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap();
    let file = |name: &str, contents: String| {
        let path = directory.join(name);
        std::fs::write(&path, contents).unwrap();
        path
    };
    configuration.tls.certificate = file("server.pem", server.pem());
    configuration.tls.key = file("server.key", key.serialize_pem());
    configuration.client_certificates.trust = vec![file("root.pem", root.pem())];
    configuration.client_certificates.crl = Vec::new();
    configuration.client_certificates.crl_policy = mtls::CrlPolicy::IfPresent;
    configuration.store = StoreConfiguration::Embedded {
        path: directory.join("state/tokens.redb"),
    };
    configuration.signing.keys = Some(directory.join("state/keys"));
    configuration
}

async fn started(configuration: &Configuration) -> anyhow::Result<(Running, Shutdown)> {
    let shutdown = Shutdown::new();
    Ok((start(configuration.clone(), shutdown.clone()).await?, shutdown))
}

#[tokio::test]
async fn starts_stops_and_starts_again_over_the_same_store_and_key() {
    let directory = TempDir::new().unwrap();
    let configuration = configuration(directory.path());
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (running, shutdown) = started(&configuration).await.unwrap();
        for listener in ["tls", "mutual_tls", "admin"] {
            assert_ne!(running.address(listener).port(), 0);
        }
        shutdown.trigger();
        running.finished().await.unwrap();
        keys.push(std::fs::read(directory.path().join("state/keys/ES256.pem")).unwrap());
    }
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn refuses_a_store_that_another_server_uses() {
    let directory = TempDir::new().unwrap();
    let configuration = configuration(directory.path());
    let (running, shutdown) = started(&configuration).await.unwrap();
    let error = format!("{:#}", started(&configuration).await.err().unwrap());
    assert!(
        error.contains("state/tokens.redb") && error.contains("another authorization-server"),
        "{error}"
    );
    shutdown.trigger();
    running.finished().await.unwrap();
}

#[tokio::test]
async fn refuses_to_start_without_its_certificate_and_names_the_file() {
    let directory = TempDir::new().unwrap();
    let mut configuration = configuration(directory.path());
    configuration.tls.certificate = directory.path().join("absent.pem");
    let error = format!("{:#}", started(&configuration).await.err().unwrap());
    assert!(
        error.starts_with("tls: ") && error.contains("absent.pem"),
        "{error}"
    );
}

#[test]
fn is_ready_only_while_the_revocation_lists_are_current() {
    let (past, future) = (
        now().minus(Duration::from_secs(1)),
        now().plus(Duration::from_secs(60)),
    );
    assert_eq!(verify_current(None), Ok(()));
    assert_eq!(verify_current(Some(future)), Ok(()));
    assert!(verify_current(Some(past)).unwrap_err().contains("expired"));
}
