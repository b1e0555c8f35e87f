//! A handshake that ends here, and the session it may take up.
//!
//! In a resumed handshake nobody asks for a certificate; so before anything is answered, that of the session is judged as
//! in a full one.

use std::io;

use mtls::{Offer, OnePiece, linger};
use oauth_core::time::Timestamp;
use rustls::AlertDescription;
use rustls::server::Accepted;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

use super::Refusal;

/// TLS over a socket.
pub(super) type Encrypted = TlsStream<OnePiece<TcpStream>>;

/// Goes on after the `ClientHello`, to the end of the handshake.
pub(super) async fn handshake(
    stream: TcpStream,
    accepted: Accepted,
    offer: &Offer,
    now: Timestamp,
    deadline: Instant,
) -> Result<Box<Encrypted>, Refusal> {
    let mut resumption = Ok(());
    let mut handshake = StartHandshake::from_parts(accepted, OnePiece::new(stream)).into_stream_with(
        offer.config(),
        |session| {
            resumption = offer.verify_resumption(session, now);
        },
    );
    if let Err(error) = resumption {
        // With an alert the session is over for the peer too: its next handshake will be a full one. RFC 8446 §6.2
        if let Some(stream) = handshake.get_mut() {
            send_alert(stream, alert_of(&error)).await;
        }
        return Err(refused(error));
    }
    match timeout_at(deadline, handshake.into_fallible()).await {
        // After a `HelloRetryRequest` it is the second `ClientHello` that takes up a session.
        Ok(Ok(stream)) => match offer.verify_resumption(stream.get_ref().1, now) {
            // A kilobyte and more, which many hands pass on.
            Ok(()) => Ok(Box::new(stream)),
            Err(error) => Err(refused(error)),
        },
        Ok(Err((error, stream))) => {
            linger(stream).await;
            Err(Refusal::Handshake(error))
        }
        Err(_elapsed) => Err(Refusal::TooSlow),
    }
}

fn refused(error: rustls::Error) -> Refusal {
    Refusal::Handshake(io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The same as in a full handshake.
fn alert_of(error: &rustls::Error) -> AlertDescription {
    match error {
        rustls::Error::InvalidCertificate(fault) => fault.clone().into(),
        _ => AlertDescription::CertificateUnknown,
    }
}

/// Sends a fatal alert to a peer that waits for a `ServerHello`. RFC 8446 §5.1, §6
pub(super) async fn send_alert<S>(stream: &mut S, alert: AlertDescription)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let record = [21, 3, 3, 0, 2, 2, alert.into()];
    if stream.write_all(&record).await.is_ok() {
        linger(stream).await;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use mtls::{
        Alert, Alpn, ClientCertificatesSection, ClientTls, Credentials, CrlPolicy, Presence, ServerFiles,
        ServerTls, TlsSection, TrustAnchors, peer_alert,
    };
    use pki::{DemoSet, Identity, KeyAlgorithm, Member};
    use rustls::crypto::CryptoProvider;
    use rustls::crypto::aws_lc_rs::{self, kx_group};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ClientConfig, HandshakeKind, RootCertStore};
    use tempfile::TempDir;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsConnector;

    use super::super::client_hello;
    use super::*;
    use crate::clock::now;

    const SOON: Duration = Duration::from_secs(20);
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

    fn server(pki: &DemoSet, directory: &Path) -> ServerTls {
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let api = pki.identity(Member::Api);
        let files = ServerFiles::new(TlsSection {
            certificate: write("api.pem", &api.certificate_pem().unwrap()),
            key: write("api.key", &api.key_pem()),
        });
        let section = ClientCertificatesSection {
            trust: vec![write("root.pem", &pki.root().certificate().pem().unwrap())],
            crl: vec![write("root.crl.pem", &pki.revocation_list().pem().unwrap())],
            crl_policy: CrlPolicy::Require,
            require_client_eku: true,
        };
        let files = files.asking_for(section, Presence::Required).resume_sessions();
        ServerTls::load(files, Alpn::Http1).unwrap()
    }

    fn client(pki: &DemoSet, identity: &Identity) -> Arc<ClientConfig> {
        let root = pki.root().certificate().pem().unwrap();
        let (certificate, key) = (identity.certificate_pem().unwrap(), identity.key_pem());
        let credentials = Credentials::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let tls =
            ClientTls::new(TrustAnchors::from_pem(root.as_bytes()).unwrap()).with_credentials(credentials);
        Arc::new(tls.rustls_client_config(Alpn::Http1).unwrap())
    }

    /// One connection, judged as if it were `now`: how the handshake went, or the alert that ended it.
    async fn meet(
        tls: &ServerTls,
        config: &Arc<ClientConfig>,
        now: Timestamp,
    ) -> Result<HandshakeKind, Option<Alert>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let offer = tls.offer();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let hello = client_hello::read(&mut stream).await.ok().unwrap();
            let deadline = Instant::now() + SOON;
            if let Ok(mut stream) = handshake(stream, hello.accepted, &offer, now, deadline).await {
                stream.write_all(b"hello").await.unwrap();
            }
        };
        let asking = async {
            let stream = TcpStream::connect(address).await?;
            let connector = TlsConnector::from(Arc::clone(config));
            let mut stream = connector
                .connect("api.example.com".try_into().unwrap(), stream)
                .await?;
            stream.read_exact(&mut [0; 5]).await?;
            Ok(stream.get_ref().1.handshake_kind().unwrap())
        };
        let ((), asked) = tokio::join!(serving, asking);
        asked.map_err(|error: io::Error| peer_alert(&error))
    }

    /// T21: refused as in a full handshake, which is what comes next.
    #[tokio::test]
    async fn refuses_to_resume_a_session_whose_certificate_has_expired() {
        let pki = DemoSet::create(KeyAlgorithm::EcdsaP256, now()).unwrap();
        let directory = TempDir::new().unwrap();
        let tls = server(&pki, directory.path());
        let config = client(&pki, pki.identity(Member::Example));
        assert_ne!(meet(&tls, &config, now()).await, Ok(HandshakeKind::Resumed));
        assert_eq!(meet(&tls, &config, now()).await, Ok(HandshakeKind::Resumed));
        let later = now().plus(CENTURY);
        assert_eq!(
            meet(&tls, &config, later).await,
            Err(Some(Alert::CertificateExpired))
        );
        assert_ne!(meet(&tls, &config, now()).await, Ok(HandshakeKind::Resumed));
        assert_eq!(meet(&tls, &config, now()).await, Ok(HandshakeKind::Resumed));
    }

    /// Whose first key share is of a group that no server of ours knows.
    fn client_to_be_asked_again(pki: &DemoSet, identity: &Identity) -> Arc<ClientConfig> {
        let provider = CryptoProvider {
            kx_groups: vec![kx_group::MLKEM768, kx_group::X25519],
            ..aws_lc_rs::default_provider()
        };
        let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(certificate(&pki.root().certificate().pem().unwrap()))
            .unwrap();
        let chain = vec![certificate(&identity.certificate_pem().unwrap())];
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key);
        Arc::new(config.unwrap())
    }

    /// T21.
    #[tokio::test]
    async fn judges_a_session_that_only_the_second_client_hello_takes_up() {
        let pki = DemoSet::create(KeyAlgorithm::EcdsaP256, now()).unwrap();
        let directory = TempDir::new().unwrap();
        let tls = server(&pki, directory.path());
        let config = client_to_be_asked_again(&pki, pki.identity(Member::Example));
        let asked_again = Ok(HandshakeKind::FullWithHelloRetryRequest);
        assert_eq!(meet(&tls, &config, now()).await, asked_again);
        assert_eq!(meet(&tls, &config, now()).await, Ok(HandshakeKind::Resumed));
        assert!(meet(&tls, &config, now().plus(CENTURY)).await.is_err());
    }
}
