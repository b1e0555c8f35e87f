//! Sessions: where certificates are asked for, resumed under the state they began under alone.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mtls::{Alert, Alpn, ClientCertificates, ClientTls, TrustAnchors, peer_alert};
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, NamedGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::pki::Authority;
use crate::reload::{Listener, now, write_server_certificate};
use crate::support::{Server, credentials, exchange, thumbprint, verification};

/// Completes an exchange, so that a ticket has arrived; how the handshake went, and the answer's last line.
async fn ask(
    address: SocketAddr,
    server_name: &'static str,
    config: &Arc<ClientConfig>,
) -> io::Result<(HandshakeKind, String)> {
    let stream = TcpStream::connect(address).await?;
    let connector = TlsConnector::from(Arc::clone(config));
    let mut stream = connector.connect(server_name.try_into().unwrap(), stream).await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let last = answer.lines().last().unwrap_or_default().to_owned();
    Ok((stream.get_ref().1.handshake_kind().unwrap(), last))
}

async fn handshake(server: &Server, config: &Arc<ClientConfig>) -> HandshakeKind {
    ask(server.address, "localhost", config).await.unwrap().0
}

async fn meet(listener: &Listener, config: &Arc<ClientConfig>) -> io::Result<(HandshakeKind, String)> {
    ask(listener.address, "localhost", config).await
}

/// A client that has a session with the listener.
async fn known(listener: &Listener, serial: &[u8]) -> (Arc<ClientConfig>, String) {
    let leaf = listener.client(serial);
    let config = Arc::new(listener.client_config(&leaf));
    let (kind, _) = meet(listener, &config).await.unwrap();
    assert_ne!(kind, HandshakeKind::Resumed);
    (config, thumbprint(&leaf))
}

/// T20, H9. RFC 9440 §3.3.
#[tokio::test]
async fn a_resumed_session_shows_the_certificate_it_began_with() {
    let listener = Listener::start();
    let (one, other) = (known(&listener, &[1]).await, known(&listener, &[2]).await);
    for (config, thumbprint) in [&one, &other, &one, &one] {
        let resumed = (HandshakeKind::Resumed, thumbprint.clone());
        assert_eq!(meet(&listener, config).await.unwrap(), resumed);
    }
}

/// T21: whichever file changes, and though nothing changes for this client.
#[tokio::test]
async fn no_session_outlives_a_reload() {
    let listener = Listener::start();
    let (config, thumbprint) = known(&listener, &[1]).await;
    let resumed = (HandshakeKind::Resumed, thumbprint.clone());
    for file in ["none", "list", "trust", "server certificate"] {
        match file {
            "list" => listener.write("root.crl.pem", listener.authority.revocation_list(&[&[9]], 2120)),
            "trust" => {
                let next = Authority::new("next clients");
                listener.write("root.pem", listener.authority.pem.clone() + &next.pem);
            }
            "server certificate" => {
                write_server_certificate(&listener.server_authority, &listener.directory);
            }
            _ => {}
        }
        assert_eq!(meet(&listener, &config).await.unwrap(), resumed, "{file}");
        listener.tls.reload(now()).unwrap();
        let (kind, shown) = meet(&listener, &config).await.unwrap();
        assert_ne!(kind, HandshakeKind::Resumed, "{file}");
        assert_eq!(shown, thumbprint, "{file}");
    }
}

/// T21: a session is no way around a revocation, and none around the end of an authority.
#[tokio::test]
async fn a_client_with_a_session_is_refused_once_revoked_and_once_its_authority_is_gone() {
    let listener = Listener::start();
    let ((revoked, _), (other, thumbprint)) = (known(&listener, &[1]).await, known(&listener, &[2]).await);
    listener.write("root.crl.pem", listener.authority.revocation_list(&[&[1]], 2120));
    listener.tls.reload(now()).unwrap();
    let error = meet(&listener, &revoked).await.unwrap_err();
    assert_eq!(peer_alert(&error), Some(Alert::CertificateRevoked), "{error:?}");
    assert_eq!(meet(&listener, &other).await.unwrap().1, thumbprint);

    let next = Authority::new("next clients");
    listener.write("root.pem", &next.pem);
    listener.write("root.crl.pem", next.revocation_list(&[], 2120));
    listener.tls.reload(now()).unwrap();
    let error = meet(&listener, &other).await.unwrap_err();
    assert_eq!(peer_alert(&error), Some(Alert::UnknownCa), "{error:?}");
}

/// T20: they are not bound to the handshake they began with. RFC 7627.
#[tokio::test]
async fn no_session_of_tls_1_2_is_resumed() {
    let listener = Listener::start();
    let leaf = listener.client(&[1]);
    let mut config = listener.client_config(&leaf);
    let tls_1_2 = ClientConfig::builder_with_provider(mtls::crypto_provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(listener.server_authority.pem.as_bytes()).unwrap())
        .unwrap();
    let mut tls_1_2 = tls_1_2.with_root_certificates(roots).with_no_client_auth();
    std::mem::swap(
        &mut tls_1_2.client_auth_cert_resolver,
        &mut config.client_auth_cert_resolver,
    );
    let config = Arc::new(tls_1_2);
    for _ in 0..3 {
        let (kind, shown) = meet(&listener, &config).await.unwrap();
        assert_ne!(kind, HandshakeKind::Resumed);
        assert_eq!(shown, thumbprint(&leaf));
    }
}

/// Offers the sessions of any server to every other.
#[derive(Debug)]
struct Careless(ClientSessionMemoryCache);

impl Careless {
    fn anybody() -> ServerName<'static> {
        "anybody.example.com".try_into().unwrap()
    }
}

impl ClientSessionStore for Careless {
    fn set_kx_hint(&self, _server_name: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _server_name: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _server_name: ServerName<'static>, _value: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _server_name: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(Self::anybody(), value);
    }

    fn take_tls13_ticket(&self, _server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&Self::anybody())
    }
}

fn careless(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = Resumption::store(Arc::new(Careless(ClientSessionMemoryCache::new(8))));
    Arc::new(config)
}

/// T24: a session belongs to the host that was asked for. RFC 6066 §3.
#[tokio::test]
async fn a_session_of_one_host_is_not_resumed_at_another() {
    let listener = Listener::start();
    let leaf = listener.client(&[1]);
    let config = careless(listener.client_config(&leaf));
    let mut kinds = Vec::new();
    for host in [
        "localhost",
        "localhost",
        "other.example.com",
        "other.example.com",
        "localhost",
    ] {
        let (kind, shown) = ask(listener.address, host, &config).await.unwrap();
        assert_eq!(shown, thumbprint(&leaf));
        kinds.push(kind == HandshakeKind::Resumed);
    }
    assert_eq!(kinds, [false, true, false, true, false]);
}

/// T24: nor at another listener, whatever it asks for.
#[tokio::test]
async fn a_session_of_one_listener_is_not_resumed_at_another() {
    let (one, other) = (Listener::start(), Listener::start());
    let both =
        TrustAnchors::from_pem((one.server_authority.pem.clone() + &other.server_authority.pem).as_bytes());
    let client = ClientTls::new(both.unwrap()).with_credentials(credentials(&one.client(&[1])));
    let config = careless(client.rustls_client_config(Alpn::Http1).unwrap());
    for resumed in [false, true] {
        let (kind, _) = meet(&one, &config).await.unwrap();
        assert_eq!(kind == HandshakeKind::Resumed, resumed);
    }
    // Its authority has the same name, and another key.
    let error = meet(&other, &config).await.unwrap_err();
    assert_eq!(peer_alert(&error), Some(Alert::DecryptError), "{error:?}");
}

/// T20: one whose trust never changes judges nobody twice.
#[tokio::test]
async fn a_listener_without_files_that_asks_for_certificates_makes_every_handshake_in_full() {
    let authority = Authority::new("clients");
    for client_certificates in [
        ClientCertificates::Required(verification(&authority)),
        ClientCertificates::Optional(verification(&authority)),
    ] {
        let server = Server::start(&client_certificates);
        let own = Some(credentials(&authority.client(|_| ())));
        for config in [server.client(own.clone()), server.tls_1_2_client(own)].map(Arc::new) {
            for _ in 0..3 {
                assert_ne!(handshake(&server, &config).await, HandshakeKind::Resumed);
            }
        }
    }
}

/// The twin of the test above: the client does resume where it may.
#[tokio::test]
async fn a_listener_that_asks_for_none_resumes_sessions() {
    let server = Server::start(&ClientCertificates::NotRequested);
    for config in [server.client(None), server.tls_1_2_client(None)].map(Arc::new) {
        assert_ne!(handshake(&server, &config).await, HandshakeKind::Resumed);
        assert_eq!(handshake(&server, &config).await, HandshakeKind::Resumed);
    }
}

/// T24.
#[tokio::test]
async fn a_session_of_a_listener_that_asks_for_none_opens_no_other() {
    let authority = Authority::new("clients");
    let open = Server::start(&ClientCertificates::NotRequested);
    let closed = Server::start(&ClientCertificates::Required(verification(&authority)));
    let both =
        TrustAnchors::from_pem((open.authority.pem.clone() + &closed.authority.pem).as_bytes()).unwrap();
    let config = Arc::new(ClientTls::new(both).rustls_client_config(Alpn::Http1).unwrap());
    handshake(&open, &config).await;
    assert_eq!(handshake(&open, &config).await, HandshakeKind::Resumed);
    let error = exchange(closed.address, config).await.unwrap_err();
    assert_eq!(peer_alert(&error), Some(Alert::CertificateRequired), "{error:?}");
}

/// T22.
#[tokio::test]
async fn no_session_carries_early_data() {
    let server = Server::start(&ClientCertificates::NotRequested);
    let mut config = server.client(None);
    config.enable_early_data = true;
    let config = Arc::new(config);
    handshake(&server, &config).await;
    let mut session =
        rustls::ClientConnection::new(Arc::clone(&config), "localhost".try_into().unwrap()).unwrap();
    assert!(session.early_data().is_none(), "the ticket permits early data");

    let listener = Listener::start();
    let mut config = listener.client_config(&listener.client(&[1]));
    config.enable_early_data = true;
    let config = Arc::new(config);
    for resumed in [false, true] {
        let (kind, _) = meet(&listener, &config).await.unwrap();
        assert_eq!(kind == HandshakeKind::Resumed, resumed);
    }
    let mut session = rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    assert!(session.early_data().is_none(), "the ticket permits early data");
}
