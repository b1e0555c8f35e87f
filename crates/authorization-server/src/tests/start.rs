//! The service as a whole, from configuration to end.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mtls::{ClientTls, Credentials, Timeouts, TrustAnchors};
use oauth_core::certificate::ClientCertificate;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use service::{Running, Shutdown};
use tempfile::TempDir;

use super::DEMO;
use super::authentication::{registration, self_signed};
use super::published::Partner;
use crate::client_anchors::ClientTrust;
use crate::router::TOKEN;
use crate::{Configuration, StoreConfiguration, now, start, verify_current};

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

fn names_in(directory: &Path) -> BTreeSet<OsString> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

pub(super) async fn started(configuration: &Configuration) -> anyhow::Result<(Running, Shutdown)> {
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
        keys.push(names_in(configuration.signing.keys.as_deref().unwrap()));
    }
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[0].len(), 2, "the current and the next");
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

/// Asks for a token over a connection of its own.
pub(super) async fn token_over_tls(
    configuration: &Configuration,
    running: &Running,
    client_id: &str,
    (certificate, key): (&ClientCertificate, &KeyPair),
) -> Result<u16, mtls::Alert> {
    let trust = TrustAnchors::from_pem_files(std::slice::from_ref(&configuration.tls.certificate)).unwrap();
    let certificate = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode(certificate.der())
    );
    let credentials = Credentials::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let client = ClientTls::new(trust).with_credentials(credentials);
    let client = client.http_client(Timeouts::default(), &[]).unwrap();
    let port = running.address("mutual_tls").port();
    let request = client
        .post(format!("https://localhost:{port}{TOKEN}"))
        .form(&[("grant_type", "client_credentials"), ("client_id", client_id)]);
    match request.send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(mtls::peer_alert(&error).unwrap_or_else(|| panic!("{error:?}"))),
    }
}

/// O20: neither listener says a word of HTTP to whoever does not speak TLS.
#[tokio::test]
async fn answers_plain_http_with_nothing_but_an_alert() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const ALERT: u8 = 21;
    let directory = TempDir::new().unwrap();
    let (running, shutdown) = started(&configuration(directory.path())).await.unwrap();
    for listener in ["tls", "mutual_tls"] {
        let mut stream = tokio::net::TcpStream::connect(running.address(listener))
            .await
            .unwrap();
        let request = format!("POST {TOKEN} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!((answer.first(), answer.len()), (Some(&ALERT), 7), "{listener}");
    }
    shutdown.trigger();
    running.finished().await.unwrap();
}

/// M16, M17, T17: through the handshake and to a token, over sockets.
#[tokio::test]
async fn lets_a_registered_self_signed_certificate_through_the_handshake_and_no_other() {
    let directory = TempDir::new().unwrap();
    let (key, certificate, jwks) = self_signed("demo-partner", |_| ());
    let (stranger_key, stranger, _) = self_signed("demo-partner", |_| ());
    let client = registration("self-signed", "self_signed_tls_client_auth", &jwks);
    let registered = Configuration::from_toml(&format!("{DEMO}{client}")).unwrap();
    let mut configuration = configuration(directory.path());
    let ask = async |configuration: &Configuration, client_id, pair| {
        let (running, shutdown) = started(configuration).await.unwrap();
        let answer = token_over_tls(configuration, &running, client_id, pair).await;
        shutdown.trigger();
        running.finished().await.unwrap();
        answer
    };
    let mine = (&certificate, &key);
    assert_eq!(
        ask(&configuration, "self-signed", mine).await,
        Err(mtls::Alert::UnknownCa)
    );
    configuration.clients = registered.clients;
    assert_eq!(ask(&configuration, "self-signed", mine).await, Ok(200));
    assert_eq!(ask(&configuration, "partner-client", mine).await, Ok(401));
    assert_eq!(
        ask(&configuration, "self-signed", (&stranger, &stranger_key)).await,
        Err(mtls::Alert::UnknownCa)
    );
}

/// M16, M17, M20, T17: nobody can list beforehand what a client publishes, so the endpoint says whose it is.
#[tokio::test]
async fn knows_a_published_self_signed_certificate_behind_the_handshake_and_no_other() {
    let directory = TempDir::new().unwrap();
    let (key, certificate, jwks) = self_signed("demo-partner", |_| ());
    let (stranger_key, stranger, _) = self_signed("demo-partner", |_| ());
    let partner = Partner::publishing(jwks).await;
    let registered = partner.configuration("self_signed_tls_client_auth");
    let registered = Configuration::from_toml(&registered).unwrap();
    let mut configuration = configuration(directory.path());
    configuration.clients = registered.clients;
    configuration.outbound_tls = registered.outbound_tls;
    let (running, shutdown) = started(&configuration).await.unwrap();
    for (client_id, pair, status) in [
        ("publishing", (&certificate, &key), 200),
        ("partner-client", (&certificate, &key), 401),
        ("publishing", (&stranger, &stranger_key), 401),
    ] {
        let answer = token_over_tls(&configuration, &running, client_id, pair).await;
        assert_eq!(answer, Ok(status), "{client_id}");
    }
    shutdown.trigger();
    running.finished().await.unwrap();
}

/// M14.
#[tokio::test]
async fn refuses_to_start_without_a_clients_trust_anchor_and_names_the_client() {
    let directory = TempDir::new().unwrap();
    let mut configuration = configuration(directory.path());
    configuration.client_trust = vec![ClientTrust {
        key: "clients[0] (partner-client).trust".to_owned(),
        client_id: "partner-client".to_owned(),
        files: vec![directory.path().join("absent.pem")],
    }];
    let error = format!("{:#}", started(&configuration).await.err().unwrap());
    assert!(
        error.contains("clients[0] (partner-client).trust: ") && error.contains("absent.pem"),
        "{error}"
    );
}
