//! A small API behind the layer, an issuer on loopback, and the certificates of those who call.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use axum::{Extension, Router};
use http_body_util::BodyExt;
use jwks::RemoteJwks;
use mtls::Connection;
use oauth_core::certificate::ClientCertificate;
use oauth_core::confirmation::Confirmation;
use oauth_core::jwt::{AccessTokenClaims, AccessTokenVerifier, SignatureAlgorithm, SigningKey};
use oauth_core::time::Timestamp;
use resource_server::{Caller, CertificateSource, ResourceServer};
use tower::ServiceExt;

pub(crate) const ISSUER: &str = "https://login.example.com";
pub(crate) const GATEWAY: &str = "gateway-internal.example.com";

/// The API, the key its issuer signs with, and everybody's certificates.
pub(crate) struct Api {
    pub(crate) resource_server: ResourceServer,
    pub(crate) key: SigningKey,
    pub(crate) partner: ClientCertificate,
    pub(crate) other: ClientCertificate,
    pub(crate) gateway: ClientCertificate,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn challenge(&self) -> &str {
        self.headers[header::WWW_AUTHENTICATE].to_str().unwrap()
    }
}

impl Api {
    pub(crate) async fn start() -> Self {
        let key = signing_key();
        let document = format!(r#"{{"keys":[{}]}}"#, key.public_jwk().unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
        let router = Router::new().route("/jwks", get(|| async { document }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self::with_keys(&uri, key)
    }

    /// An API whose issuer is away.
    pub(crate) fn without_issuer() -> Self {
        let gone = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        Self::with_keys(&format!("http://{gone}/jwks"), signing_key())
    }

    fn with_keys(uri: &str, key: SigningKey) -> Self {
        mtls::install_crypto_provider();
        let http_client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        let verifier = AccessTokenVerifier {
            issuer: ISSUER.into(),
            audiences: vec!["api.example.com".into()],
            algorithms: SignatureAlgorithm::ALL.into(),
        };
        let resource_server = ResourceServer::new(RemoteJwks::new(http_client, uri), verifier)
            .certificates(CertificateSource::gateway([GATEWAY]));
        let certificate = |name: &str| certificate(name, Duration::from_secs(3600));
        Self {
            resource_server,
            key,
            partner: certificate("partner.example.com"),
            other: certificate("other.example.com"),
            gateway: certificate(GATEWAY),
        }
    }

    /// Calls a route that needs the scope `transactions`, over a connection with this certificate.
    pub(crate) async fn call(&self, peer: Option<&ClientCertificate>, mut request: Request) -> Answer {
        let guard = self
            .resource_server
            .require_scope("transactions".parse().unwrap());
        let connection = Connection {
            client_certificate: peer.cloned(),
            chain: mtls::PresentedChain::default(),
            peer_address: (Ipv4Addr::LOCALHOST, 1).into(),
            server_name: None,
            standing: mtls::Standing::without_certificate(),
        };
        request.extensions_mut().insert(Arc::new(connection));
        let router = Router::new().route("/", get(handler).route_layer(guard));
        answer(router.oneshot(request).await.unwrap()).await
    }

    /// A token for the partner, bound to its certificate, changed as the test wants it.
    pub(crate) fn token(&self, change: impl FnOnce(&mut AccessTokenClaims)) -> String {
        let now = Timestamp::from(SystemTime::now());
        let mut claims = AccessTokenClaims {
            iss: ISSUER.into(),
            exp: now.plus(Duration::from_secs(60)),
            aud: vec!["api.example.com".into()],
            sub: "partner-client".into(),
            client_id: "partner-client".into(),
            iat: now,
            nbf: None,
            jti: "a-token".into(),
            scope: "transactions".parse().unwrap(),
            cnf: Some(Confirmation::of(&self.partner)),
        };
        change(&mut claims);
        claims.sign(&self.key).unwrap()
    }
}

/// Says who called, and whether a `Client-Cert` header got through.
async fn handler(Extension(seen): Extension<Caller>, caller: Caller, headers: HeaderMap) -> String {
    assert_eq!(seen, caller);
    assert!(!headers.contains_key("client-cert"));
    caller.client_id
}

pub(crate) fn request(token: &str) -> Request {
    Request::get("/")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap()
}

/// The request as the gateway passes it on.
pub(crate) fn forwarded(token: &str, certificate: &ClientCertificate) -> Request {
    let mut request = request(token);
    let value = oauth_core::client_cert_header::encode(certificate.der());
    request
        .headers_mut()
        .insert("client-cert", value.parse().unwrap());
    request
}

pub(crate) async fn answer(response: axum::response::Response) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8(body).unwrap(),
    }
}

pub(crate) fn signing_key() -> SigningKey {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    SigningKey::from_pkcs8_pem(pem.as_bytes(), SignatureAlgorithm::ES256).unwrap()
}

/// A certificate with this dNSName that was valid until `validity` after an hour ago.
pub(crate) fn certificate(dns_name: &str, validity: Duration) -> ClientCertificate {
    let mut params = rcgen::CertificateParams::new([dns_name.to_owned()]).unwrap();
    params.not_before = (SystemTime::now() - Duration::from_secs(1800)).into();
    params.not_after = params.not_before + validity;
    let der = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    ClientCertificate::from_der(der.der()).unwrap()
}
