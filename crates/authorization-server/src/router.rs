//! Which endpoint is where, and what every request passes on its way: one page.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use service::request_id::name_request;
use tower_http::catch_panic::CatchPanicLayer;

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

/// Innermost first.
fn with_layers(router: Router<Arc<AuthorizationServer>>, server: Arc<AuthorizationServer>) -> Router {
    router
        .fallback(async || Refusal::from(Cause::NotFound))
        .method_not_allowed_fallback(async || Refusal::from(Cause::MethodNotAllowed))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(from_fn(within_time))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(from_fn(audit::observe))
        .layer(from_fn(name_request))
        .with_state(server)
}

async fn within_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::from(Cause::TooSlow).into_response(),
    }
}

/// The panic's own message has gone to standard error; it may hold anything, and goes nowhere else.
fn after_panic(_panic: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Refusal::from(Cause::Panicked).into_response()
}
