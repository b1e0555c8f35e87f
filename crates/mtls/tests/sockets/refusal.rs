//! What the refused learn, and how.

use std::sync::Arc;

use mtls::{Alert, ClientCertificates, crypto_provider, peer_alert};
use rcgen::CustomExtension;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::pki::Authority;
use crate::support::{Server, connect, exchange, verification};

fn required(authority: &Authority) -> Server {
    Server::start(&ClientCertificates::Required(verification(authority)))
}

/// T1: the client goes on sending after its refusal, as it cannot know of it yet, and learns of it nevertheless.
#[tokio::test]
async fn the_alert_reaches_a_client_that_sent_its_request_at_once() {
    let server = required(&Authority::new("clients"));
    for _ in 0..20 {
        let mut stream = connect(server.address, server.client(None).into()).await.unwrap();
        stream.write_all(&[b'x'; 16 * 1024]).await.unwrap();
        stream.flush().await.unwrap();
        stream.get_ref().0.readable().await.unwrap();
        stream
            .write_all(&[b'x'; 16 * 1024])
            .await
            .expect("the server still reads");
        stream.flush().await.expect("the server still reads");
        let error = stream.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(peer_alert(&error), Some(Alert::CertificateRequired), "{error:?}");
    }
}

/// T12: somebody else's certificate without its key.
#[tokio::test]
async fn refuses_a_certificate_whose_key_the_client_does_not_hold() {
    let authority = Authority::new("clients");
    let (stolen, own) = (authority.client(|_| ()), authority.client(|_| ()));
    let server = required(&authority);
    let alert = refusal_of(
        &server,
        CertificateDer::from_pem_slice(stolen.certificate.as_bytes()).unwrap(),
        &own.key,
    );
    assert_eq!(alert.await, Some(Alert::DecryptError));
}

/// T11.
#[tokio::test]
async fn refuses_a_certificate_that_is_none() {
    let authority = Authority::new("clients");
    let own = authority.client(|_| ());
    let server = required(&authority);
    let alert = refusal_of(
        &server,
        CertificateDer::from(b"no certificate".to_vec()),
        &own.key,
    )
    .await;
    assert_eq!(alert, Some(Alert::BadCertificate));
}

/// T10.
#[tokio::test]
async fn refuses_a_certificate_with_an_unknown_critical_extension() {
    let authority = Authority::new("clients");
    let server = required(&authority);
    let client = |critical: bool| {
        authority.client(|params| {
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
            extension.set_criticality(critical);
            params.custom_extensions.push(extension);
        })
    };
    assert!(server.ask(Some(&client(false))).await.is_ok());
    let unknown = client(true);
    let certificate = CertificateDer::from_pem_slice(unknown.certificate.as_bytes()).unwrap();
    let alert = refusal_of(&server, certificate, &unknown.key).await;
    assert!(
        matches!(alert, Some(Alert::BadCertificate | Alert::CertificateUnknown)),
        "{alert:?}"
    );
}

async fn refusal_of(server: &Server, certificate: CertificateDer<'static>, key: &str) -> Option<Alert> {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = crypto_provider().key_provider.load_private_key(key).unwrap();
    let mut config = server.client(None);
    config.client_auth_cert_resolver =
        Arc::new(SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key)));
    peer_alert(&exchange(server.address, config.into()).await.unwrap_err())
}

/// T19.
#[tokio::test]
async fn refuses_tls_1_1_with_protocol_version() {
    let server = required(&Authority::new("clients"));
    assert_eq!(
        answer_to(&server, &client_hello([3, 2], [0xc0, 0x13])).await,
        [2, 70]
    );
}

/// T19.
#[tokio::test]
async fn refuses_tls_1_2_with_cbc_alone_with_handshake_failure() {
    let server = required(&Authority::new("clients"));
    assert_eq!(
        answer_to(&server, &client_hello([3, 3], [0xc0, 0x13])).await,
        [2, 40]
    );
}

/// The twin of the two above: the same greeting with a suite that is served goes on with a `ServerHello`.
#[tokio::test]
async fn accepts_tls_1_2_with_an_authenticated_cipher() {
    let server = required(&Authority::new("clients"));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(&client_hello([3, 3], [0xc0, 0x2b]))
        .await
        .unwrap();
    let mut header = [0; 6];
    stream.read_exact(&mut header).await.unwrap();
    const HANDSHAKE: u8 = 22;
    const SERVER_HELLO: u8 = 2;
    assert_eq!((header[0], header[5]), (HANDSHAKE, SERVER_HELLO));
}

/// Level and description of the alert that answers these bytes.
async fn answer_to(server: &Server, bytes: &[u8]) -> [u8; 2] {
    const ALERT: u8 = 21;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[0], ALERT);
    [answer[5], answer[6]]
}

/// A greeting of that version with one cipher suite and P-256 with SHA-256. RFC 5246 §7.4.1.2.
fn client_hello(version: [u8; 2], suite: [u8; 2]) -> Vec<u8> {
    let signature_algorithms = [0, 13, 0, 4, 0, 2, 4, 3];
    let supported_groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let point_formats = [0, 11, 0, 2, 1, 0];
    let extended_master_secret = [0, 23, 0, 0];
    let extensions = [
        &signature_algorithms[..],
        &supported_groups,
        &point_formats,
        &extended_master_secret,
    ]
    .concat();
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let body = [
        &version[..],
        &[7; 32],
        &[0],
        &[0, 2],
        &suite,
        &[1, 0],
        &length(&extensions),
        &extensions,
    ]
    .concat();
    let handshake = [&[1, 0][..], &length(&body), &body].concat();
    [&[22, 3, 1][..], &length(&handshake), &handshake].concat()
}
