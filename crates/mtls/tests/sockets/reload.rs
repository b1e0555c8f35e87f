//! Files that change under a running listener: new handshakes, open connections, broken files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Router};
use mtls::{
    Alert, Alpn, ClientCertificatesSection, ClientIdentity, ClientTls, Connection, CrlPolicy, Presence,
    ServerFiles, ServerTls, TlsSection, bind, peer_alert, serve_tls,
};
use oauth_core::time::Timestamp;
use rcgen::{ExtendedKeyUsagePurpose, SanType, SerialNumber};
use rustls::ClientConfig;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::pki::{Authority, Leaf};
use crate::support::{closed, connect, credentials, thumbprint, trust};

const SERIAL: &[u8] = &[0x0A];
const OTHER_SERIAL: &[u8] = &[0x0B];

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A listener made of files, where sessions are resumed; `GET /` answers 200 and the thumbprint, or 401 and why the certificate counts no more.
pub(crate) struct Listener {
    pub(crate) tls: ServerTls,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) server_authority: Authority,
    pub(crate) authority: Authority,
    pub(crate) directory: TempDir,
}

impl Listener {
    pub(crate) fn start() -> Self {
        let (server_authority, authority) = (Authority::new("servers"), Authority::new("clients"));
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        write_server_certificate(&server_authority, &directory);
        std::fs::write(path("root.pem"), &authority.pem).unwrap();
        std::fs::write(path("root.crl.pem"), authority.revocation_list(&[], 2120)).unwrap();
        let tls = TlsSection {
            certificate: path("server.pem"),
            key: path("server.key"),
        };
        let section = ClientCertificatesSection {
            trust: vec![path("root.pem")],
            crl: vec![path("root.crl.pem")],
            crl_policy: CrlPolicy::Require,
            require_client_eku: true,
        };
        let files = ServerFiles::new(tls)
            .asking_for(section, Presence::Required)
            .resume_sessions();
        let tls = ServerTls::load(files, Alpn::Http2OrHttp1).unwrap();
        let listener = bind("127.0.0.1:0".parse().unwrap(), "listen.tls").unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_tls(
            listener,
            tls.clone(),
            who_am_i(),
            std::future::pending(),
        ));
        Self {
            tls,
            address,
            server_authority,
            authority,
            directory,
        }
    }

    pub(crate) fn client(&self, serial: &[u8]) -> Leaf {
        let serial = SerialNumber::from_slice(serial);
        self.authority
            .client(|params| params.serial_number = Some(serial))
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), contents).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What a client with this certificate connects with; its connections share their sessions.
    pub(crate) fn client_config(&self, leaf: &Leaf) -> ClientConfig {
        let client = ClientTls::new(trust(&self.server_authority)).with_credentials(credentials(leaf));
        client.rustls_client_config(Alpn::Http1).unwrap()
    }

    async fn connect(&self, leaf: &Leaf) -> std::io::Result<Open> {
        let config = Arc::new(self.client_config(leaf));
        Ok(Open(connect(self.address, config).await?))
    }

    /// The alert that refuses a new connection with this certificate.
    async fn refusal(&self, leaf: &Leaf) -> Option<Alert> {
        let error = match self.connect(leaf).await {
            Ok(mut open) => open.try_ask().await.expect_err("the server let the client in"),
            Err(error) => error,
        };
        peer_alert(&error)
    }
}

pub(crate) fn write_server_certificate(authority: &Authority, directory: &TempDir) -> Vec<u8> {
    let leaf = authority.client(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = ["localhost", "other.example.com"]
            .map(|name| SanType::DnsName(name.try_into().unwrap()))
            .into();
    });
    std::fs::write(directory.path().join("server.pem"), &leaf.certificate).unwrap();
    std::fs::write(directory.path().join("server.key"), &leaf.key).unwrap();
    credentials(&leaf).leaf_der().to_vec()
}

fn who_am_i() -> Router {
    async fn answer(Extension(connection): Extension<Arc<Connection>>) -> (StatusCode, String) {
        match connection.trusted_certificate(now()) {
            Ok(Some(certificate)) => (StatusCode::OK, certificate.thumbprint().to_string()),
            Ok(None) => (StatusCode::UNAUTHORIZED, "anonymous".into()),
            Err(reason) => (StatusCode::UNAUTHORIZED, reason.to_string()),
        }
    }
    Router::new().route("/", get(answer))
}

/// A connection that stays open from request to request.
struct Open(TlsStream<TcpStream>);

impl Open {
    async fn ask(&mut self) -> (u16, String) {
        self.try_ask().await.expect("the connection is open")
    }

    async fn try_ask(&mut self) -> std::io::Result<(u16, String)> {
        self.0
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await?;
        let mut answer = Vec::new();
        loop {
            if self.0.read_buf(&mut answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return Ok((head[9..12].parse().unwrap(), body.to_owned()));
            }
        }
    }

    fn server_certificate(&self) -> Vec<u8> {
        self.0.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

/// T13, T21, users D 27: revoked on a connection that is open, and another client not disturbed.
#[tokio::test]
async fn a_certificate_revoked_in_a_new_list_is_refused_on_its_open_connection_and_no_other_is() {
    let listener = Listener::start();
    let (revoked, other) = (listener.client(SERIAL), listener.client(OTHER_SERIAL));
    let mut open = listener.connect(&revoked).await.unwrap();
    let mut open_other = listener.connect(&other).await.unwrap();
    assert_eq!(open.ask().await, (200, thumbprint(&revoked)));
    assert_eq!(open_other.ask().await, (200, thumbprint(&other)));

    listener.write(
        "root.crl.pem",
        listener.authority.revocation_list(&[SERIAL], 2120),
    );
    assert_eq!(open.ask().await, (200, thumbprint(&revoked)));
    listener.tls.reload(now()).unwrap();

    let (status, reason) = open.ask().await;
    assert_eq!(status, 401);
    assert!(
        reason.contains("no longer trusted") && reason.contains("Revoked"),
        "{reason}"
    );
    closed(&mut open.0).await;
    assert_eq!(listener.refusal(&revoked).await, Some(Alert::CertificateRevoked));
    assert_eq!(open_other.ask().await, (200, thumbprint(&other)));
    assert_eq!(listener.connect(&other).await.unwrap().ask().await.0, 200);
}

/// T21: an authority that is no longer trusted.
#[tokio::test]
async fn a_certificate_of_a_removed_authority_is_refused_on_its_open_connection() {
    let listener = Listener::start();
    let (leaf, next) = (listener.client(SERIAL), Authority::new("next clients"));
    let mut open = listener.connect(&leaf).await.unwrap();
    assert_eq!(open.ask().await.0, 200);

    // Both authorities, as an operator does it, and then the new one alone.
    listener.write("root.pem", listener.authority.pem.clone() + &next.pem);
    let lists = listener.authority.revocation_list(&[], 2120) + &next.revocation_list(&[], 2120);
    listener.write("root.crl.pem", lists);
    listener.tls.reload(now()).unwrap();
    let mut open_next = listener.connect(&next.client(|_| ())).await.unwrap();
    assert_eq!((open.ask().await.0, open_next.ask().await.0), (200, 200));

    listener.write("root.pem", &next.pem);
    listener.tls.reload(now()).unwrap();
    assert_eq!((open.ask().await.0, open_next.ask().await.0), (401, 200));
    closed(&mut open.0).await;
    assert_eq!(listener.refusal(&leaf).await, Some(Alert::UnknownCa));
}

/// Users D 31: a renewed certificate is shown from then on, and no connection is dropped for it.
#[tokio::test]
async fn a_new_server_certificate_is_shown_to_new_connections_and_drops_none() {
    let listener = Listener::start();
    let leaf = listener.client(SERIAL);
    let mut before = listener.connect(&leaf).await.unwrap();
    let renewed = write_server_certificate(&listener.server_authority, &listener.directory);
    assert_ne!(
        listener.connect(&leaf).await.unwrap().server_certificate(),
        renewed
    );
    listener.tls.reload(now()).unwrap();
    let mut after = listener.connect(&leaf).await.unwrap();
    assert_eq!(after.server_certificate(), renewed);
    assert_eq!((before.ask().await.0, after.ask().await.0), (200, 200));
}

/// T14: whatever is wrong with the new files, the last good ones stay in force, revocations included.
#[tokio::test]
async fn broken_files_leave_the_last_good_state_in_force() {
    let listener = Listener::start();
    let (leaf, revoked) = (listener.client(SERIAL), listener.client(OTHER_SERIAL));
    let good_list = listener.authority.revocation_list(&[OTHER_SERIAL], 2120);
    listener.write("root.crl.pem", &good_list);
    listener.tls.reload(now()).unwrap();
    let mut open = listener.connect(&leaf).await.unwrap();

    let good = |name: &str| std::fs::read(listener.path(name)).unwrap();
    let foreign_key = Authority::new("other").client(|_| ()).key;
    let expired_list = listener.authority.revocation_list(&[], 2022);
    let forged_list = Authority::new("clients").revocation_list(&[], 2120);
    for (name, broken, words) in [
        ("root.crl.pem", "garbage".to_owned(), "holds no revocation list"),
        ("root.crl.pem", expired_list, "has expired"),
        ("root.crl.pem", forged_list, "signature"),
        ("root.pem", String::new(), "holds no certificate"),
        ("server.pem", "-----BEGIN CERT".to_owned(), "not valid PEM"),
        ("server.key", foreign_key, "does not belong"),
    ] {
        let before = good(name);
        listener.write(name, broken);
        let error = listener.tls.reload(now()).unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
        assert_eq!(open.ask().await.0, 200, "{name}");
        assert_eq!(
            listener.connect(&leaf).await.unwrap().ask().await.0,
            200,
            "{name}"
        );
        assert_eq!(
            listener.refusal(&revoked).await,
            Some(Alert::CertificateRevoked),
            "{name}"
        );
        listener.write(name, before);
        listener.tls.reload(now()).unwrap();
    }
    std::fs::remove_file(listener.path("root.crl.pem")).unwrap();
    assert!(listener.tls.reload(now()).is_err());
    assert_eq!(listener.refusal(&revoked).await, Some(Alert::CertificateRevoked));
}

/// Users D 23: a client shows its renewed certificate from the next connection on, and the last good one if the new
/// files are broken.
#[tokio::test]
async fn a_client_identity_follows_its_files() {
    let listener = Listener::start();
    let write = |leaf: &Leaf| {
        listener.write("client.pem", &leaf.certificate);
        listener.write("client.key", &leaf.key);
    };
    let (old, renewed) = (listener.client(SERIAL), listener.client(OTHER_SERIAL));
    write(&old);
    let identity = ClientIdentity::load(TlsSection {
        certificate: listener.path("client.pem"),
        key: listener.path("client.key"),
    })
    .unwrap();
    let client = ClientTls::new(trust(&listener.server_authority)).with_identity(identity.clone());
    let config = Arc::new(client.rustls_client_config(Alpn::Http1).unwrap());
    let shown = async || {
        let mut open = Open(connect(listener.address, Arc::clone(&config)).await.unwrap());
        open.ask().await
    };
    assert_eq!(shown().await, (200, thumbprint(&old)));
    write(&renewed);
    let generation = client.generation();
    identity.reload().unwrap();
    assert!(client.generation() > generation);
    assert_eq!(shown().await, (200, thumbprint(&renewed)));
    listener.write("client.key", &old.key);
    let generation = client.generation();
    assert!(identity.reload().is_err());
    assert_eq!(client.generation(), generation);
    assert_eq!(shown().await, (200, thumbprint(&renewed)));
}
