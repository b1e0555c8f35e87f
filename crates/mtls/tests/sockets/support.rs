//! A TLS server on a free port, and clients to meet it with.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use mtls::{
    Alert, Alpn, ClientCertificates, ClientEku, ClientTls, Connection, Credentials, CrlPolicy, Limits,
    RevocationLists, TrustAnchors, Verification, bind, crypto_provider, peer_alert, serve_tls_with_limits,
    server_config,
};
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::pki::{Authority, Leaf};

/// How long a test waits for what it expects to see.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) fn credentials(leaf: &Leaf) -> Credentials {
    Credentials::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap()
}

pub(crate) fn trust(authority: &Authority) -> TrustAnchors {
    TrustAnchors::from_pem(authority.pem.as_bytes()).unwrap()
}

/// Verification against one authority, without revocation lists.
pub(crate) fn verification(authority: &Authority) -> Verification {
    let revocation = RevocationLists::load(&[], CrlPolicy::IfPresent).unwrap();
    Verification::new(trust(authority), revocation, ClientEku::Required)
}

/// A running TLS server, known as `localhost`; `GET /` answers who the client is.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Issued the server's own certificate.
    pub(crate) authority: Authority,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    pub(crate) fn start(client_certificates: &ClientCertificates) -> Self {
        Self::start_with(client_certificates, Limits::default(), who_am_i())
    }

    pub(crate) fn start_with(
        client_certificates: &ClientCertificates,
        limits: Limits,
        router: Router,
    ) -> Self {
        let authority = Authority::new("server root");
        let leaf = authority.client(|params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
        });
        let tls = server_config(&credentials(&leaf), client_certificates, Alpn::Http2OrHttp1).unwrap();
        let listener = bind("127.0.0.1:0".parse().unwrap(), "listen.tls").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let serving = tokio::spawn(serve_tls_with_limits(listener, tls, router, limits, shutdown));
        Self {
            address,
            authority,
            stop: Some(stop),
            serving,
        }
    }

    /// A client configuration that trusts this server.
    pub(crate) fn client(&self, credentials: Option<Credentials>) -> ClientConfig {
        let client = ClientTls::new(trust(&self.authority));
        let client = match credentials {
            Some(credentials) => client.with_credentials(credentials),
            None => client,
        };
        client.rustls_client_config(Alpn::Http1).unwrap()
    }

    /// The same for TLS 1.2 alone.
    pub(crate) fn tls_1_2_client(&self, credentials: Option<Credentials>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.authority.pem.as_bytes()).unwrap())
            .unwrap();
        let mut config = ClientConfig::builder_with_provider(crypto_provider())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.client_auth_cert_resolver = self.client(credentials).client_auth_cert_resolver;
        config
    }

    /// What `GET /` answers to a client with this certificate.
    pub(crate) async fn ask(&self, client: Option<&Leaf>) -> io::Result<String> {
        exchange(self.address, self.client(client.map(credentials)).into()).await
    }

    /// The alert that refuses a client with this certificate.
    pub(crate) async fn refusal(&self, client: Option<&Leaf>) -> Option<Alert> {
        let error = self.ask(client).await.expect_err("the server let the client in");
        Some(peer_alert(&error).unwrap_or_else(|| panic!("no alert but {error:?}")))
    }

    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn stopped(self) {
        tokio::time::timeout(SOON, self.serving)
            .await
            .expect("the server stops")
            .unwrap()
            .unwrap();
    }
}

/// Answers the thumbprint of the client's certificate, or `anonymous`.
pub(crate) fn who_am_i() -> Router {
    async fn answer(Extension(connection): Extension<Arc<Connection>>) -> String {
        assert_eq!(connection.server_name.as_deref(), Some("localhost"));
        match &connection.client_certificate {
            Some(certificate) => certificate.thumbprint().to_string(),
            None => "anonymous".into(),
        }
    }
    Router::new().route("/", get(answer))
}

pub(crate) fn thumbprint(leaf: &Leaf) -> String {
    let credentials = credentials(leaf);
    let certificate = oauth_core::certificate::ClientCertificate::from_der(credentials.leaf_der()).unwrap();
    certificate.thumbprint().to_string()
}

pub(crate) async fn connect(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(config)
        .connect("localhost".try_into().unwrap(), stream)
        .await
}

/// One request on a connection of its own, and the answer's body.
pub(crate) async fn exchange(address: SocketAddr, config: Arc<ClientConfig>) -> io::Result<String> {
    let stream = connect(address, config).await?;
    request(stream).await
}

pub(crate) async fn request(mut stream: TlsStream<TcpStream>) -> io::Result<String> {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    Ok(body.to_owned())
}

/// Waits until the server closes the connection.
pub(crate) async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut buffer = [0; 1024];
    let until_closed = async { while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {} };
    tokio::time::timeout(SOON, until_closed)
        .await
        .expect("the server closes the connection");
}
