//! Stub issuers whose keys are found by metadata.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use oauth_core::confirmation::Confirmation;
use oauth_core::jwt::{AccessTokenClaims, SigningKey};
use pki::Member;
use serde_json::json;
use service::Shutdown;

use super::API;
use super::certificates::{certificate_of, new_signing_key, now};
use super::stubs::serve;

/// Where an issuer has its metadata, and what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metadata {
    /// Between host and path. RFC 8414 §3.1
    Inserted,
    /// Behind the path alone.
    Appended,
    /// Of another issuer.
    Foreign,
    /// Nowhere.
    Absent,
}

impl Metadata {
    const ALL: [Self; 4] = [Self::Inserted, Self::Appended, Self::Foreign, Self::Absent];

    const fn tenant(self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::Appended => "appended",
            Self::Foreign => "foreign",
            Self::Absent => "absent",
        }
    }
}

/// One issuer, with keys that can be exchanged.
#[derive(Debug)]
pub(crate) struct StubIssuer {
    pub(crate) name: String,
    metadata: Metadata,
    published: Mutex<Vec<serde_json::Value>>,
    pub(crate) key: SigningKey,
    pub(crate) fetches: AtomicUsize,
}

impl StubIssuer {
    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        let keys = keys.iter().map(|key| key.public_jwk().unwrap()).collect();
        *self.published.lock().unwrap() = keys;
    }

    /// What an access token of `member`'s says.
    pub(crate) fn claims(&self, member: Member) -> AccessTokenClaims {
        let issued_at = now();
        AccessTokenClaims {
            iss: self.name.clone(),
            exp: issued_at.plus(Duration::from_secs(900)),
            aud: vec![API.to_owned()],
            sub: "partner-client".to_owned(),
            client_id: "partner-client".to_owned(),
            iat: issued_at,
            nbf: None,
            jti: "1".to_owned(),
            scope: "transactions".parse().unwrap(),
            cnf: Some(Confirmation::of(&certificate_of(member))),
        }
    }

    /// An access token bound to the certificate of `member`.
    pub(crate) fn issue(&self, member: Member) -> String {
        self.claims(member).sign(&self.key).unwrap()
    }
}

/// One issuer of each kind.
pub(crate) struct StubIssuers(Arc<HashMap<&'static str, StubIssuer>>);

impl StubIssuers {
    pub(super) fn serve(shutdown: &Shutdown) -> Self {
        let shared: Arc<std::sync::OnceLock<Arc<HashMap<&'static str, StubIssuer>>>> = Arc::default();
        let router = Router::new()
            .route("/.well-known/oauth-authorization-server/{tenant}", get(inserted))
            .route("/{tenant}/.well-known/openid-configuration", get(appended))
            .route("/{tenant}/jwks", get(jwks))
            .with_state(Arc::clone(&shared));
        let address = serve(router, Member::Login, shutdown);
        let issuers = Metadata::ALL.map(|metadata| (metadata.tenant(), issuer(metadata, address)));
        let issuers = Arc::new(HashMap::from(issuers));
        shared.set(Arc::clone(&issuers)).unwrap();
        Self(issuers)
    }

    pub(crate) fn with(&self, metadata: Metadata) -> &StubIssuer {
        &self.0[metadata.tenant()]
    }

    /// `[[issuers]]` that name no `jwks_uri`.
    pub(super) fn configuration(&self) -> String {
        let section = |issuer: &StubIssuer| format!("[[issuers]]\nissuer = \"{}\"\n", issuer.name);
        self.0.values().map(section).collect()
    }
}

fn issuer(metadata: Metadata, address: SocketAddr) -> StubIssuer {
    let issuer = StubIssuer {
        name: format!("https://localhost:{}/{}", address.port(), metadata.tenant()),
        metadata,
        published: Mutex::default(),
        key: new_signing_key(),
        fetches: AtomicUsize::new(0),
    };
    issuer.publish(&[&issuer.key]);
    issuer
}

type Shared = Arc<std::sync::OnceLock<Arc<HashMap<&'static str, StubIssuer>>>>;

async fn inserted(State(issuers): State<Shared>, Path(tenant): Path<String>) -> Response {
    metadata_of(
        &issuers.get().unwrap()[tenant.as_str()],
        &[Metadata::Inserted, Metadata::Foreign],
    )
}

async fn appended(State(issuers): State<Shared>, Path(tenant): Path<String>) -> Response {
    metadata_of(&issuers.get().unwrap()[tenant.as_str()], &[Metadata::Appended])
}

fn metadata_of(issuer: &StubIssuer, here: &[Metadata]) -> Response {
    if !here.contains(&issuer.metadata) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let name = match issuer.metadata {
        Metadata::Foreign => "https://login.example.com/other",
        _ => &issuer.name,
    };
    Json(json!({ "issuer": name, "jwks_uri": format!("{}/jwks", issuer.name) })).into_response()
}

async fn jwks(State(issuers): State<Shared>, Path(tenant): Path<String>) -> Response {
    let issuer = &issuers.get().unwrap()[tenant.as_str()];
    issuer.fetches.fetch_add(1, Ordering::SeqCst);
    Json(json!({ "keys": *issuer.published.lock().unwrap() })).into_response()
}
