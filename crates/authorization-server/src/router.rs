//! Which endpoint is where, and what every request passes on its way: one page.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::FutureExt as _;
use service::request_id::named;

use crate::audit::Durations;
use crate::response::{Cause, Refusal};
use crate::server::AuthorizationServer;
use crate::{audit, introspect, metadata, revoke, token};

/// Path of the token endpoint; on the mutual TLS listener alone.
pub const TOKEN: &str = "/oauth/v2/oauth-token-mutual-tls";
/// Path of the introspection endpoint.
pub const INTROSPECTION: &str = "/oauth/v2/oauth-introspect";
/// Path of the revocation endpoint.
pub const REVOCATION: &str = "/oauth/v2/oauth-revoke";

/// Bounds the memory a request's body takes: many times what the longest useful form needs.
const LONGEST_BODY: usize = 16 * 1024;
/// Bounds how long a slow sender, or a slow disk, keeps a request in hand.
const LONGEST_REQUEST: Duration = Duration::from_secs(15);

/// What the listener serves that asks for no client certificate.
pub fn tls(server: Arc<AuthorizationServer>) -> Router {
    with_layers(shared(&server), server)
}

/// What the mutual TLS listener serves: the same, and the token endpoint.
pub fn mutual_tls(server: Arc<AuthorizationServer>) -> Router {
    with_layers(shared(&server).route(TOKEN, post(token::handle)), server)
}

fn shared(server: &AuthorizationServer) -> Router<Arc<AuthorizationServer>> {
    Router::new()
        .route(INTROSPECTION, post(introspect::handle))
        .route(REVOCATION, post(revoke::handle))
        .route(&server.issuer.jwks_path(), get(metadata::handle_jwks))
        .route(&server.issuer.metadata_path(), get(metadata::handle))
        .route(&server.issuer.openid_configuration_path(), get(metadata::handle))
}

/// All that is served anywhere, for the metrics.
fn paths(server: &AuthorizationServer) -> [String; 6] {
    let issuer = &server.issuer;
    [
        TOKEN.to_owned(),
        INTROSPECTION.to_owned(),
        REVOCATION.to_owned(),
        issuer.jwks_path(),
        issuer.metadata_path(),
        issuer.openid_configuration_path(),
    ]
}

fn with_layers(router: Router<Arc<AuthorizationServer>>, server: Arc<AuthorizationServer>) -> Router {
    let durations = Durations::of(&paths(&server));
    router
        .fallback(async || Refusal::from(Cause::NotFound))
        .method_not_allowed_fallback(async || Refusal::from(Cause::MethodNotAllowed))
        .layer(from_fn(move |request, next| {
            pass(request, next, durations.clone())
        }))
        .with_state(server)
}

/// What every request passes. One layer: each boxes and copies all that is inside it, with every request.
async fn pass(mut request: Request, next: Next, durations: Durations) -> Response {
    DefaultBodyLimit::max(LONGEST_BODY).apply(&mut request);
    let answer = |request| within_time(without_panic(next.run(request)));
    named(request, |request| audit::observe(request, &durations, answer)).await
}

async fn within_time(answer: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(LONGEST_REQUEST, answer).await {
        Ok(response) => response,
        Err(_) => Refusal::from(Cause::TooSlow).into_response(),
    }
}

/// The panic's own message has gone to standard error; it may hold anything, and goes nowhere else.
async fn without_panic(answer: impl Future<Output = Response>) -> Response {
    // What a handler has half changed is its own.
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => response,
        Err(_panic) => {
            tracing::error!("a handler panicked");
            Refusal::from(Cause::Panicked).into_response()
        }
    }
}
