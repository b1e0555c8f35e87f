//! The endpoints as a client sees them, without sockets: requests go through the routers, on connections made here.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header, request};
use http_body_util::BodyExt as _;
use mtls::Connection;
use oauth_core::access_token::{AccessToken, SECRET_LENGTH, TokenRecord};
use oauth_core::certificate::ClientCertificate;
use oauth_core::jwt::{AccessTokenVerifier, SignatureAlgorithm, VerificationKeys};
use oauth_core::time::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::registrations::Registrations;
use crate::response::Refused;
use crate::router::{self, INTROSPECTION, REVOCATION, TOKEN};
use crate::signing_keys::SigningKeys;
use crate::token_store::{EmbeddedTokenStore, TokenStore};
use crate::{AuthorizationServer, Configuration};

mod authentication;
mod changes;
mod following;
mod guesses;
mod introspect;
mod metadata;
mod operations;
mod published;
mod revoke;
mod revoked_certificates;
mod several;
mod start;
mod token;
mod wire;

const DEMO: &str = include_str!("demo.toml");

/// Clients that the demo does not need and the tests do; every secret is `Password1`.
const MORE_CLIENTS: &str = r#"
[[clients]]
client_id = "unbound-partner"
token_endpoint_auth_method = "tls_client_auth"
tls_client_auth_subject_dn = "CN=demo-partner"
grant_types = ["client_credentials"]
scope = "transactions accounts"
audience = "api.example.com"
tls_client_certificate_bound_access_tokens = false

[[clients]]
client_id = "secret:partner"
token_endpoint_auth_method = "client_secret_basic"
client_secret_hash = "sha256:GVE_3J2k-3KkoF62aRdUjTyQ_5TVQZ4fI2PuqJ3-4d0"
grant_types = ["client_credentials"]
scope = "transactions"
audience = "api.example.com"

[[clients]]
client_id = "disabled-partner"
token_endpoint_auth_method = "tls_client_auth"
tls_client_auth_subject_dn = "CN=demo-partner"
grant_types = ["client_credentials"]
scope = "transactions archive"
audience = "api.example.com"
disabled = true

[[clients]]
client_id = "other-resource-server"
token_endpoint_auth_method = "client_secret_basic"
client_secret_hash = "sha256:GVE_3J2k-3KkoF62aRdUjTyQ_5TVQZ4fI2PuqJ3-4d0"
resource_server = "other.example.com"
"#;

const FORM: &str = "application/x-www-form-urlencoded";
/// `introspect-client:Password1`.
const INTROSPECT_CLIENT: &str = "Basic aW50cm9zcGVjdC1jbGllbnQ6UGFzc3dvcmQx";
/// `other-resource-server:Password1`.
const OTHER_RESOURCE_SERVER: &str = "Basic b3RoZXItcmVzb3VyY2Utc2VydmVyOlBhc3N3b3JkMQ==";

/// An authorization server over a store of its own.
struct Harness {
    server: Arc<AuthorizationServer>,
    _directory: TempDir,
}

impl Harness {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = EmbeddedTokenStore::open(&directory.path().join("tokens.redb")).unwrap();
        Self::over(Arc::new(store), directory)
    }

    /// The same over another store, to see what becomes of its failures.
    fn with_store(store: impl TokenStore + 'static) -> Self {
        Self::over(Arc::new(store), TempDir::new().unwrap())
    }

    /// The same with another configuration.
    fn configured(text: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let store = EmbeddedTokenStore::open(&directory.path().join("tokens.redb")).unwrap();
        Self::of(text, Arc::new(store), directory)
    }

    fn over(store: Arc<dyn TokenStore>, directory: TempDir) -> Self {
        Self::of(&format!("{DEMO}{MORE_CLIENTS}"), store, directory)
    }

    fn of(text: &str, store: Arc<dyn TokenStore>, directory: TempDir) -> Self {
        let configuration = Configuration::from_toml(text).unwrap();
        let keys =
            SigningKeys::open(directory.path(), crate::rotation(&configuration), crate::now()).unwrap();
        Self::put_together(&configuration, store, keys, directory)
    }

    fn with_keys(store: Arc<dyn TokenStore>, keys: SigningKeys, directory: TempDir) -> Self {
        let configuration = Configuration::from_toml(&format!("{DEMO}{MORE_CLIENTS}")).unwrap();
        Self::put_together(&configuration, store, keys, directory)
    }

    fn put_together(
        configuration: &Configuration,
        store: Arc<dyn TokenStore>,
        keys: SigningKeys,
        directory: TempDir,
    ) -> Self {
        // Without what the clients name beside themselves: tests load it where it matters.
        let registrations = Registrations {
            clients: Arc::new(configuration.clients.clone()),
            ..Registrations::default()
        };
        let server = Arc::new(AuthorizationServer::new(
            configuration.clone(),
            registrations,
            store,
            keys,
        ));
        Self {
            server,
            _directory: directory,
        }
    }

    /// Sends a request to the mutual TLS listener, from a peer with or without a certificate.
    async fn send(&self, request: Request<Body>, certificate: Option<&ClientCertificate>) -> Answer {
        self.send_from(Ipv4Addr::LOCALHOST.into(), request, certificate)
            .await
    }

    /// The same, from this address.
    async fn send_from(
        &self,
        address: IpAddr,
        request: Request<Body>,
        certificate: Option<&ClientCertificate>,
    ) -> Answer {
        let endpoints = router::mutual_tls(self.server.clone());
        Answer::from(endpoints, address, request, certificate).await
    }

    /// Sends a request to the listener that asks for no certificate.
    async fn send_without_mutual_tls(&self, request: Request<Body>) -> Answer {
        let endpoints = router::tls(self.server.clone());
        Answer::from(endpoints, Ipv4Addr::LOCALHOST.into(), request, None).await
    }

    /// A token of `partner-client`, bound to `certificate`, as it is issued.
    async fn token(&self, certificate: &ClientCertificate) -> String {
        let request = post(TOKEN, "grant_type=client_credentials&client_id=partner-client");
        let answer = self.send(request, Some(certificate)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// A token of `partner-client` that was issued and expires when `change` says so.
    async fn stored_token(&self, change: impl FnOnce(&mut TokenRecord)) -> String {
        let token = AccessToken::new(Uuid::now_v7(), [7; SECRET_LENGTH]);
        let issued_at = now();
        let mut record = TokenRecord {
            id: token.id(),
            digest: token.digest(),
            client_id: "partner-client".to_owned(),
            scope: "transactions".parse().unwrap(),
            audience: "api.example.com".to_owned(),
            confirmation: None,
            certificate: None,
            issued_at,
            expires_at: issued_at.plus(Duration::from_secs(900)),
            revoked_at: None,
        };
        change(&mut record);
        self.server.tokens.insert(record.into()).await.unwrap();
        token.expose().to_owned()
    }

    async fn introspect(&self, token: &str, accept: &str) -> Answer {
        let request = introspection()
            .header(header::ACCEPT, accept)
            .body(form("token", token))
            .unwrap();
        self.send(request, None).await
    }

    async fn is_active(&self, token: &str) -> bool {
        self.introspect(token, "application/json").await.json()["active"]
            .as_bool()
            .unwrap()
    }

    fn keys(&self) -> VerificationKeys {
        VerificationKeys::from_jwks(&self.server.signing_keys.jwks()).unwrap()
    }
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    /// The reason that the log and the metrics get to see.
    reason: Option<&'static str>,
}

impl Answer {
    async fn from(
        endpoints: router::Endpoints,
        address: IpAddr,
        mut request: Request<Body>,
        certificate: Option<&ClientCertificate>,
    ) -> Self {
        request.extensions_mut().insert(Arc::new(Connection {
            client_certificate: certificate.cloned(),
            chain: certificate
                .map(|certificate| mtls::PresentedChain::from_der([certificate.der().to_vec()]))
                .unwrap_or_default(),
            peer_address: (address, 4711).into(),
            server_name: None,
            standing: mtls::Standing::without_certificate(),
        }));
        let response = endpoints.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
            reason: parts.extensions.get::<Refused>().map(|refused| refused.reason),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status, error code and reason of a refusal, whose form is checked as well.
    fn refusal(&self) -> (u16, String, &'static str) {
        assert_eq!(self.header(header::CONTENT_TYPE), Some("application/json"));
        assert_eq!(self.header(header::CACHE_CONTROL), Some("no-store"));
        assert_eq!(self.header(header::PRAGMA), Some("no-cache"));
        let json = self.json();
        let members = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>();
        assert_eq!(members, ["error", "error_description"], "{}", self.body);
        (
            self.status.as_u16(),
            json["error"].as_str().unwrap().to_owned(),
            self.reason.unwrap(),
        )
    }
}

fn post(path: &str, form: &'static str) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, FORM)
        .body(form.into())
        .unwrap()
}

fn post_as(authorization: &str, path: &str, form: &'static str) -> Request<Body> {
    let mut request = post(path, form);
    request
        .headers_mut()
        .insert(header::AUTHORIZATION, authorization.parse().unwrap());
    request
}

/// A request of `introspect-client`, but for its form.
fn introspection() -> request::Builder {
    Request::post(INTROSPECTION)
        .header(header::CONTENT_TYPE, FORM)
        .header(header::AUTHORIZATION, INTROSPECT_CLIENT)
}

fn revocation(token: &str, client_id: &str) -> Request<Body> {
    let body = format!("token={token}&client_id={client_id}");
    Request::post(REVOCATION)
        .header(header::CONTENT_TYPE, FORM)
        .body(body.into())
        .unwrap()
}

fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .unwrap()
}

fn form(name: &str, value: &str) -> Body {
    form_urlencoded::Serializer::new(String::new())
        .append_pair(name, value)
        .finish()
        .into()
}

fn certificate(common_name: &str) -> ClientCertificate {
    certificate_until(common_name, SystemTime::now() + Duration::from_secs(24 * 60 * 60))
}

fn certificate_until(common_name: &str, not_after: SystemTime) -> ClientCertificate {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_after = not_after.into();
    of(&params)
}

fn gateway_certificate() -> ClientCertificate {
    of(&CertificateParams::new(vec!["gateway-internal.example.com".to_owned()]).unwrap())
}

fn of(params: &CertificateParams) -> ClientCertificate {
    issued(params, &authority("root"))
}

/// A certification authority: another one with every call, whatever its name.
fn authority(common_name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issued(params: &CertificateParams, authority: &CertifiedIssuer<'_, KeyPair>) -> ClientCertificate {
    let key = KeyPair::generate().unwrap();
    ClientCertificate::from_der(params.signed_by(&key, authority).unwrap().der()).unwrap()
}

fn verifier() -> AccessTokenVerifier {
    AccessTokenVerifier {
        issuer: "https://login.example.com/oauth/v2/oauth-anonymous".to_owned(),
        audiences: vec!["api.example.com".to_owned()],
        algorithms: vec![SignatureAlgorithm::ES256],
    }
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
