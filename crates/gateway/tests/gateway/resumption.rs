//! Sessions that clients take up again: with the certificate they began with, and under no older trust.

use std::sync::Arc;

use mtls::{Alert, Alpn, peer_alert};
use pki::Member;
use rustls::{ClientConfig, HandshakeKind};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{API, Answered, Harness, client_tls, send, with_token};

/// Connections with it share their sessions.
fn client(member: Member) -> Arc<ClientConfig> {
    Arc::new(
        client_tls(Some(member))
            .rustls_client_config(Alpn::Http1)
            .unwrap(),
    )
}

async fn connect(harness: &Harness, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(harness.public).await?;
    let connector = TlsConnector::from(Arc::clone(config));
    connector.connect(API.try_into().unwrap(), stream).await
}

/// Whether the session was taken up, and the answer to a request with this token.
async fn ask(harness: &Harness, config: &Arc<ClientConfig>, token: &str) -> (bool, Answered) {
    let mut stream = connect(harness, config).await.unwrap();
    let answer = send(&mut stream, &with_token("GET /api/transactions", token, "")).await;
    let kind = stream.get_ref().1.handshake_kind();
    (kind == Some(HandshakeKind::Resumed), answer)
}

/// T20, H9: whichever worker takes the connection. RFC 9440 §3.3.
#[tokio::test]
async fn a_resumed_session_is_bound_to_the_certificate_it_began_with() {
    let harness = Harness::start().await;
    harness.stubs.issue("ours", Member::Example);
    harness.stubs.issue("theirs", Member::Other);
    let config = client(Member::Example);
    let (resumed, first) = ask(&harness, &config, "ours").await;
    assert_eq!((resumed, first.status), (false, 200));
    for _ in 0..8 {
        let (resumed, answer) = ask(&harness, &config, "ours").await;
        assert_eq!((resumed, answer.status), (true, 200));
        assert_eq!(answer.forwarded("client-cert"), first.forwarded("client-cert"));
        let (resumed, answer) = ask(&harness, &config, "theirs").await;
        assert_eq!((resumed, answer.status), (true, 401));
    }
}

/// T21.
#[tokio::test]
async fn no_session_is_taken_up_once_its_certificate_is_revoked() {
    let harness = Harness::start().await;
    harness.stubs.issue("ours", Member::Example);
    harness.stubs.issue("theirs", Member::Other);
    let (revoked, other) = (client(Member::Example), client(Member::Other));
    for resumed in [false, true] {
        assert_eq!(ask(&harness, &revoked, "ours").await.0, resumed);
        assert_eq!(ask(&harness, &other, "theirs").await.0, resumed);
    }
    harness.revoke(Member::Example);
    let (resumed, answer) = ask(&harness, &other, "theirs").await;
    assert_eq!((resumed, answer.status), (false, 200));
    let refused = async {
        let mut stream = connect(&harness, &revoked).await?;
        tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1]).await
    };
    let error = refused.await.unwrap_err();
    assert_eq!(peer_alert(&error), Some(Alert::CertificateRevoked), "{error:?}");
}
