//! What an operator does to the running server: rotate its keys, end one of them, revoke all tokens of a client or of
//! a certificate.
//!
//! Served on the admin listener, to this machine alone; the subcommands of the same names send the requests.

use std::sync::{Arc, Weak};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use oauth_core::thumbprint::CertificateThumbprint;
use serde::Deserialize;
use serde_json::json;
use service::{Operation, OperationOption};
use tokio::runtime::Handle;

use crate::server::AuthorizationServer;
use crate::token_store::TokensOf;
use crate::{audit, now};

const STOPPING: &str = "the server is stopping";

/// The subcommands.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "rotate-keys",
        about: "Let the running server sign with its next key, as soon as that has been shown for long enough",
        options: &[],
    },
    Operation {
        name: "retire-key",
        about: "Remove a compromised signing key from the running server and its JWKS at once; the next one signs. Servers \
                that share its database follow within a minute",
        options: &[OperationOption {
            name: "kid",
            value: "KID",
            about: "Which key, as the JWKS names it; whoever has cached the JWKS believes it for up to 5 minutes more",
        }],
    },
    Operation {
        name: "revoke",
        about: "Revoke, at the running server, all tokens of a client or of a certificate that were issued up to now by its \
                clock. Where the clocks of servers that share a database differ, do it again once they all have \
                passed that moment",
        options: &[
            OperationOption {
                name: "client",
                value: "ID",
                about: "All tokens issued to this client_id so far, registered or not",
            },
            OperationOption {
                name: "certificate",
                value: "THUMBPRINT",
                about: "All tokens bound to this certificate so far; the x5t#S256 that `pki show` prints",
            },
        ],
    },
];

/// The endpoints behind [`OPERATIONS`]. They keep nothing alive: the admin listener outlives the server's work.
pub(crate) fn router(server: &Arc<AuthorizationServer>) -> Router {
    Router::new()
        .route("/rotate-keys", post(rotate_keys))
        .route("/retire-key", post(retire_key))
        .route("/revoke", post(revoke))
        .with_state(Arc::downgrade(server))
}

async fn rotate_keys(State(server): State<Weak<AuthorizationServer>>) -> Response {
    let Some(server) = server.upgrade() else {
        return failed(STOPPING);
    };
    // Keys are made and the disk may be written to; and whoever hangs up interrupts nothing.
    let runtime = Handle::current();
    let rotate = move || runtime.block_on(server.signing_keys.rotate(now()));
    let rotated = tokio::task::spawn_blocking(rotate).await;
    match rotated {
        Ok(Ok(rotation)) => {
            let signs_from = rotation.signs_from.as_unix_seconds();
            Json(json!({ "kid": rotation.key_id, "signs_from": signs_from })).into_response()
        }
        Ok(Err(error)) => failed(&error.to_string()),
        Err(_panicked) => failed("the rotation panicked"),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compromised {
    kid: String,
}

async fn retire_key(
    State(server): State<Weak<AuthorizationServer>>,
    Json(Compromised { kid }): Json<Compromised>,
) -> Response {
    let Some(server) = server.upgrade() else {
        return failed(STOPPING);
    };
    let runtime = Handle::current();
    let retire = move || runtime.block_on(server.signing_keys.retire(&kid, now()));
    match tokio::task::spawn_blocking(retire).await {
        Ok(Ok(Some(rotation))) => Json(json!({ "signs_now": rotation.key_id })).into_response(),
        Ok(Ok(None)) => {
            let unknown = "kid: there is no such key; the JWKS lists them\n";
            (StatusCode::NOT_FOUND, unknown).into_response()
        }
        Ok(Err(error)) => failed(&error.to_string()),
        Err(_panicked) => failed("the removal panicked"),
    }
}

/// Exactly one member.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum Revocation {
    Client(String),
    Certificate(String),
}

async fn revoke(
    State(server): State<Weak<AuthorizationServer>>,
    Json(revocation): Json<Revocation>,
) -> Response {
    let of = match revocation {
        Revocation::Client(client_id) => TokensOf::Client(client_id),
        Revocation::Certificate(text) => match CertificateThumbprint::parse(&text) {
            Ok(thumbprint) => TokensOf::Certificate(thumbprint),
            Err(error) => {
                return (StatusCode::BAD_REQUEST, format!("certificate: {error}\n")).into_response();
            }
        },
    };
    let Some(server) = server.upgrade() else {
        return failed(STOPPING);
    };
    let revoked_until = now();
    match server.tokens.revoke_all(of.clone(), revoked_until).await {
        Ok(()) => {
            audit::all_revoked(&of);
            Json(json!({ "revoked_until": revoked_until })).into_response()
        }
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(reason: &str) -> Response {
    tracing::error!(reason, "an operation failed: {reason}");
    (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response()
}
