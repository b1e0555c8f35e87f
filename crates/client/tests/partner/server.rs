//! An authorization server and an API behind one listener, which do as the test tells them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use client::{Client, ClientConfiguration, TokenEndpoint};
use mtls::{Alpn, ClientCertificates, ClientEku, CrlPolicy, RevocationLists, Timeouts, Verification};
use serde_json::{Value, json};

use crate::certificates::{Authority, Pem};

pub(crate) const TOKEN_ENDPOINT: &str = "https://login.example.com/token";
pub(crate) const ISSUER: &str = "https://login.example.com/issuer";
pub(crate) const API: &str = "https://api.example.com/api";

/// What the API does with a token and a body.
type Handler = Box<dyn Fn(&str, &[u8]) -> Response + Send + Sync>;

/// What the servers do.
pub(crate) struct Behaviour {
    /// Answers the n-th token request, counted from 1.
    pub(crate) token: Box<dyn Fn(usize) -> Response + Send + Sync>,
    pub(crate) api: Handler,
    pub(crate) metadata: Value,
    pub(crate) resource_metadata: Value,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            token: Box::new(|number| token_answer(number, 900)),
            api: Box::new(|token, _| Json(json!({ "token": token })).into_response()),
            metadata: json!({ "issuer": ISSUER, "token_endpoint": TOKEN_ENDPOINT }),
            resource_metadata: json!({ "resource": API, "authorization_servers": [ISSUER] }),
        }
    }
}

pub(crate) fn token_answer(number: usize, expires_in: u64) -> Response {
    let token = format!("token-{number}");
    Json(json!({ "access_token": token, "token_type": "bearer", "expires_in": expires_in })).into_response()
}

/// The answer of an API that refuses a token. RFC 6750 §3
pub(crate) fn refused(status: StatusCode, error: &str) -> Response {
    let challenge = format!("Bearer realm=\"api\", error=\"{error}\"");
    (
        status,
        [(header::WWW_AUTHENTICATE, challenge)],
        Json(json!({ "error": error })),
    )
        .into_response()
}

/// The servers, their authority, and what they have seen.
pub(crate) struct Servers {
    pub(crate) authority: Authority,
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
}

struct Seen {
    behaviour: Behaviour,
    token_requests: AtomicUsize,
    forms: Mutex<Vec<String>>,
    calls: Mutex<Vec<(String, Bytes)>>,
}

impl Servers {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        Self::start_for(
            &["login.example.com", "api.example.com", "mtls.example.com"],
            behaviour,
        )
    }

    /// With a certificate for these hosts.
    pub(crate) fn start_for(hosts: &[&str], behaviour: Behaviour) -> Self {
        let authority = Authority::new();
        let no_lists = RevocationLists::load(&[], CrlPolicy::IfPresent).unwrap();
        let verification = Verification::new(authority.trust(), no_lists, ClientEku::Required);
        let required = ClientCertificates::Required(verification);
        let tls = mtls::server_config(&authority.server(hosts), &required, Alpn::Http2OrHttp1).unwrap();
        let listener = mtls::bind((Ipv4Addr::LOCALHOST, 0).into(), "test").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen {
            behaviour,
            token_requests: AtomicUsize::new(0),
            forms: Mutex::default(),
            calls: Mutex::default(),
        });
        tokio::spawn(mtls::serve_tls(
            listener,
            tls,
            router(Arc::clone(&seen)),
            std::future::pending(),
        ));
        Self {
            authority,
            address,
            seen,
        }
    }

    pub(crate) fn configuration(&self, certificate: &Pem) -> ClientConfiguration {
        let hosts = [
            "login.example.com",
            "api.example.com",
            "mtls.example.com",
            "other.example.com",
        ];
        ClientConfiguration {
            token_endpoint: TokenEndpoint::Url(TOKEN_ENDPOINT.into()),
            client_id: "partner-client".into(),
            scope: "transactions".parse().unwrap(),
            credentials: certificate.credentials(),
            trust: self.authority.trust(),
            connect_to: hosts
                .map(|host| format!("{host}={}", self.address).parse().unwrap())
                .into(),
            timeouts: Timeouts::default(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.configuration(&self.authority.client())).unwrap()
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.seen.token_requests.load(Ordering::SeqCst)
    }

    pub(crate) fn forms(&self) -> Vec<String> {
        self.seen.forms.lock().unwrap().clone()
    }

    /// The tokens and bodies that the API was called with.
    pub(crate) fn calls(&self) -> Vec<(String, Bytes)> {
        self.seen.calls.lock().unwrap().clone()
    }
}

fn router(seen: Arc<Seen>) -> Router {
    Router::new()
        .route("/token", post(token))
        .route("/api", any(api))
        .route("/.well-known/oauth-authorization-server/issuer", get(metadata))
        .route(
            "/.well-known/oauth-protected-resource/api",
            get(resource_metadata),
        )
        .with_state(seen)
}

async fn token(State(seen): State<Arc<Seen>>, form: String) -> Response {
    seen.forms.lock().unwrap().push(form);
    let number = seen.token_requests.fetch_add(1, Ordering::SeqCst) + 1;
    (seen.behaviour.token)(number)
}

async fn api(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Response {
    let authorization = headers[header::AUTHORIZATION].to_str().unwrap();
    let token = authorization.strip_prefix("Bearer ").unwrap().to_owned();
    let response = (seen.behaviour.api)(&token, &body);
    seen.calls.lock().unwrap().push((token, body));
    response
}

async fn metadata(State(seen): State<Arc<Seen>>) -> Json<Value> {
    Json(seen.behaviour.metadata.clone())
}

async fn resource_metadata(State(seen): State<Arc<Seen>>) -> Json<Value> {
    Json(seen.behaviour.resource_metadata.clone())
}
