//! A stub authorization server and a stub API, over TLS.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use futures_util::stream;
use http::{HeaderMap, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use mtls::{
    Alpn, ClientCertificates, ClientEku, Credentials, CrlPolicy, RevocationLists, Verification, bind,
    serve_tls, server_config,
};
use oauth_core::confirmation::Confirmation;
use oauth_core::jwt::{AccessTokenClaims, SigningKey};
use pki::Member;
use serde_json::json;
use service::Shutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::certificates::{certificate_of, credentials, new_signing_key, now, trust};
use super::{API, ISSUER};

/// What the stub authorization server says about a token.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Jwt(String),
    Inactive,
    Status(u16),
    Typed(&'static str, String),
    Silence,
}

/// The stub authorization server and the stub API.
pub(crate) struct Stubs {
    answers: Mutex<HashMap<String, Answer>>,
    pub(crate) introspections: Mutex<Vec<(HeaderMap, String)>>,
    /// One permit for each introspection that may be answered.
    pub(crate) turnstile: Semaphore,
    pub(crate) signing_key: SigningKey,
    cache_control: Mutex<HeaderMap>,
    pub(crate) api_response: Mutex<HeaderMap>,
    /// What the API adds to its answers' bodies, where it is asked for trailers.
    pub(crate) api_trailers: Mutex<HeaderMap>,
}

impl Stubs {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::default(),
            introspections: Mutex::default(),
            turnstile: Semaphore::new(1_000),
            signing_key: new_signing_key(),
            cache_control: Mutex::default(),
            api_response: Mutex::default(),
            api_trailers: Mutex::default(),
        })
    }

    pub(super) fn serve_authorization_server(self: &Arc<Self>, shutdown: &Shutdown) -> SocketAddr {
        let router = Router::new()
            .route("/introspect", post(introspect))
            .route("/jwks", get(jwks));
        serve(router.with_state(Arc::clone(self)), Member::Login, shutdown)
    }

    /// The same, showing a certificate that is not the authorization server's.
    pub(super) fn serve_impostor(
        self: &Arc<Self>,
        credentials: &Credentials,
        shutdown: &Shutdown,
    ) -> SocketAddr {
        let router = Router::new().route("/introspect", post(introspect));
        serve_as(router.with_state(Arc::clone(self)), credentials, shutdown)
    }

    pub(super) fn serve_api(self: &Arc<Self>, shutdown: &Shutdown) -> SocketAddr {
        serve(
            Router::new().fallback(any(echo)).with_state(Arc::clone(self)),
            Member::ApiInternal,
            shutdown,
        )
    }

    pub(crate) fn claims(&self, member: Option<Member>) -> AccessTokenClaims {
        let issued_at = now();
        AccessTokenClaims {
            iss: ISSUER.to_owned(),
            exp: issued_at.plus(Duration::from_secs(900)),
            aud: vec![API.to_owned()],
            sub: "partner-client".to_owned(),
            client_id: "partner-client".to_owned(),
            iat: issued_at,
            nbf: None,
            jti: "1".to_owned(),
            scope: "transactions".parse().unwrap(),
            cnf: member.map(|member| Confirmation::of(&certificate_of(member))),
        }
    }

    /// Makes `token` one that is bound to the certificate of `member`, and returns the JWT it stands for.
    pub(crate) fn issue(&self, token: &str, member: Member) -> String {
        let jwt = self.claims(Some(member)).sign(&self.signing_key).unwrap();
        self.answer(token, Answer::Jwt(jwt.clone()));
        jwt
    }

    pub(crate) fn answer(&self, token: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(token.to_owned(), answer);
    }

    pub(crate) fn introspections_of(&self, token: &str) -> usize {
        let parameter = format!("token={token}");
        self.introspections
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, body)| body.split('&').next() == Some(&parameter))
            .count()
    }

    /// Answers to introspections say from now on that they must not be kept.
    pub(crate) fn forbid_keeping(&self) {
        let no_store = http::HeaderValue::from_static("no-store");
        self.cache_control
            .lock()
            .unwrap()
            .insert(header::CACHE_CONTROL, no_store);
    }
}

async fn introspect(State(stubs): State<Arc<Stubs>>, headers: HeaderMap, body: String) -> Response {
    let token = body
        .split('&')
        .find_map(|pair| pair.strip_prefix("token="))
        .unwrap_or_default()
        .to_owned();
    stubs.introspections.lock().unwrap().push((headers, body));
    stubs.turnstile.acquire().await.unwrap().forget();
    let answer = stubs
        .answers
        .lock()
        .unwrap()
        .get(&token)
        .cloned()
        .unwrap_or(Answer::Inactive);
    let cache_control = stubs.cache_control.lock().unwrap().clone();
    let response = match answer {
        Answer::Jwt(jwt) => ([(header::CONTENT_TYPE, "application/jwt")], jwt).into_response(),
        Answer::Inactive => StatusCode::NO_CONTENT.into_response(),
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Typed(content_type, body) => ([(header::CONTENT_TYPE, content_type)], body).into_response(),
        Answer::Silence => std::future::pending().await,
    };
    (cache_control, response).into_response()
}

async fn jwks(State(stubs): State<Arc<Stubs>>) -> Response {
    Json(json!({ "keys": [stubs.signing_key.public_jwk().unwrap()] })).into_response()
}

/// Answers with what it was asked.
async fn echo(State(stubs): State<Arc<Stubs>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(collected) = body.collect().await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let trailers: Vec<_> = collected
        .trailers()
        .into_iter()
        .flat_map(HeaderMap::keys)
        .collect();
    let trailers: Vec<_> = trailers.iter().map(|name| name.as_str()).collect();
    let peer = parts.extensions.get::<Arc<mtls::Connection>>();
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("?")))
        .collect();
    let asked = json!({
        "method": parts.method.as_str(),
        "peer": peer.map(|connection| connection.peer_address.to_string()),
        "version": format!("{:?}", parts.version),
        "host": parts.uri.authority().map(ToString::to_string),
        "target": parts.uri.path_and_query().map(ToString::to_string),
        "headers": headers,
        "trailers": trailers,
        "body": String::from_utf8_lossy(&collected.to_bytes()),
    });
    let fields = stubs.api_response.lock().unwrap().clone();
    if !parts.headers.contains_key(header::TE) {
        return (fields, Json(asked)).into_response();
    }
    let frames = [
        Ok::<_, Infallible>(Frame::data(Bytes::from(asked.to_string()))),
        Ok(Frame::trailers(stubs.api_trailers.lock().unwrap().clone())),
    ];
    let body = axum::body::Body::new(StreamBody::new(stream::iter(frames)));
    ([(header::TRAILER, "checksum")], fields, body).into_response()
}

/// A server that answers `login`.
pub(super) fn serve_login(shutdown: &Shutdown) -> SocketAddr {
    serve(
        Router::new().route("/", get(|| async { "login" })),
        Member::Login,
        shutdown,
    )
}

/// A server that takes a request and closes.
pub(super) async fn serve_broken_api() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.peek(&mut [0; 1]).await.unwrap();
        }
    });
    address
}

pub(super) fn serve(router: Router, member: Member, shutdown: &Shutdown) -> SocketAddr {
    serve_as(router, &credentials(member), shutdown)
}

fn serve_as(router: Router, credentials: &Credentials, shutdown: &Shutdown) -> SocketAddr {
    let revocation = RevocationLists::load(&[], CrlPolicy::IfPresent).unwrap();
    let verification = Verification::new(trust(), revocation, ClientEku::Required);
    let certificates = ClientCertificates::Optional(verification);
    let tls = server_config(credentials, &certificates, Alpn::Http2OrHttp1).unwrap();
    let listener = bind("127.0.0.1:0".parse().unwrap(), "stub").unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_tls(listener, tls, router, shutdown.requested()));
    address
}

/// A port on which nobody listens, as far as one can know.
pub(super) fn closed_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
