//! Whom the listener lets in, over real TLS.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::{Path, PathBuf};

use mtls::{Alert, ClientTls, ConnectTo, Credentials, CrlPolicy, Timeouts, TrustAnchors, peer_alert};
use rcgen::{CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use sample_api::configuration::Admit;
use sample_api::{Configuration, ConfigurationFile};
use service::{Running, Shutdown};
use tempfile::TempDir;

const GATEWAY: &str = "gateway-internal.example.com";
const HOST: &str = "api-internal.example.com";

/// A running API and the authority of everybody's certificates.
struct Api {
    running: Running,
    authority: CertifiedIssuer<'static, KeyPair>,
    _files: TempDir,
}

impl Api {
    async fn start(admit: Admit) -> Self {
        let authority = authority();
        let files = tempfile::tempdir().unwrap();
        let (certificate, key) = issue(&authority, HOST, ExtendedKeyUsagePurpose::ServerAuth);
        let root = write(files.path(), "root.pem", &authority.pem());

        let mut file = ConfigurationFile::demo().unwrap();
        file.listen.tls.set_port(0);
        file.listen.admin.set_port(0);
        file.tls.certificate = write(files.path(), "server.pem", &certificate);
        file.tls.key = write(files.path(), "server.key", &key);
        file.client_certificates.trust = vec![root.clone()];
        file.client_certificates.crl.clear();
        file.client_certificates.crl_policy = CrlPolicy::IfPresent;
        file.client_certificates.admit = admit;
        file.outbound_tls.trust = vec![root];
        let configuration = Configuration::try_from(file).unwrap();
        let running = sample_api::start(configuration, Shutdown::new()).await.unwrap();
        Self {
            running,
            authority,
            _files: files,
        }
    }

    /// What the peer with this dNSName gets that calls without a token.
    async fn call_as(&self, dns_name: &str) -> Result<reqwest::Response, reqwest::Error> {
        let (certificate, key) = issue(&self.authority, dns_name, ExtendedKeyUsagePurpose::ClientAuth);
        let credentials = Credentials::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let trust = TrustAnchors::from_pem(self.authority.pem().as_bytes()).unwrap();
        let address = self.running.address("tls");
        let http_client = ClientTls::new(trust)
            .with_credentials(credentials)
            .http_client(
                Timeouts::default(),
                &[ConnectTo {
                    host: HOST.into(),
                    address,
                }],
            )
            .unwrap();
        http_client
            .get(format!("https://{HOST}/api/transactions"))
            .send()
            .await
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(
    authority: &CertifiedIssuer<'static, KeyPair>,
    dns_name: &str,
    usage: ExtendedKeyUsagePurpose,
) -> (String, String) {
    let mut params = CertificateParams::new([dns_name.to_owned()]).unwrap();
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    (
        params.signed_by(&key, authority).unwrap().pem(),
        key.serialize_pem(),
    )
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// H6, S4.
#[tokio::test]
async fn lets_the_gateway_in() {
    let api = Api::start(Admit::Gateways).await;
    let response = api.call_as(GATEWAY).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.headers()["www-authenticate"],
        "Bearer realm=\"api.example.com\", \
         resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\""
    );
}

/// H6.
#[tokio::test]
async fn refuses_everybody_else_in_the_handshake() {
    let api = Api::start(Admit::Gateways).await;
    let error = api.call_as("partner.example.com").await.unwrap_err();
    assert_eq!(peer_alert(&error), Some(Alert::AccessDenied), "{error:?}");
}

#[tokio::test]
async fn lets_everybody_in_where_that_is_configured() {
    let api = Api::start(Admit::Any).await;
    assert_eq!(api.call_as("partner.example.com").await.unwrap().status(), 401);
}
