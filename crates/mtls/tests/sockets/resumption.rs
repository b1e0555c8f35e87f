//! Sessions: never resumed where certificates are asked for.

use std::sync::Arc;

use mtls::{Alert, Alpn, ClientCertificates, ClientTls, TrustAnchors, peer_alert};
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::pki::Authority;
use crate::support::{Server, connect, credentials, exchange, verification};

/// Completes an exchange, so that a ticket would have arrived, and tells how the handshake went.
async fn handshake(server: &Server, config: &Arc<ClientConfig>) -> HandshakeKind {
    let mut stream = connect(server.address, Arc::clone(config)).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    stream.get_ref().1.handshake_kind().unwrap()
}

/// T20. RFC 9440 §3.3.
#[tokio::test]
async fn a_listener_that_asks_for_certificates_makes_every_handshake_in_full() {
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
}
