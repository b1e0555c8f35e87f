//! The revocation endpoint: a client gives up a token of its own.
//!
//! It answers 200 only after the revocation is on disk.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use oauth_core::access_token::AccessToken;
use oauth_core::error::{ErrorCode, OAuthError};
use oauth_core::jwt::is_compact_jws;

use crate::audit;
use crate::authenticate::authenticate;
use crate::request::EndpointRequest;
use crate::response::{Cause, NO_STORE, Refusal};
use crate::server::AuthorizationServer;

/// `POST` on the revocation endpoint.
pub(crate) async fn handle(
    State(server): State<Arc<AuthorizationServer>>,
    request: EndpointRequest,
) -> Result<Response, Refusal> {
    revoke(&server, &request)
        .await
        .map_err(|cause| request.refuse(cause))?;
    Ok(NO_STORE.into_response())
}

/// A token that is unknown, or revoked before, needs nothing: its client has what it wants.
///
/// [RFC 7009 §2.1](https://www.rfc-editor.org/rfc/rfc7009#section-2.1), §2.2
async fn revoke(server: &AuthorizationServer, request: &EndpointRequest) -> Result<(), Cause> {
    let form = request.form()?;
    let registrations = server.registrations();
    let client = authenticate(server, &registrations, request, &form)
        .await
        .map_err(Cause::of_caller)?;
    let text = form.required("token", OAuthError::invalid_request("token is missing"))?;
    let Ok(token) = AccessToken::parse(text) else {
        return refuse_jwt(text);
    };
    let Some(record) = server.tokens.find(&token).await? else {
        return Ok(());
    };
    if record.client_id != client.client_id {
        return Err(Cause::ForeignToken(record.id));
    }
    if record.revoked_at.is_none() {
        server.tokens.revoke(record.id, request.now()).await?;
        audit::revoked(&record);
    }
    Ok(())
}

/// A JWT lives until it expires, wherever it has got to: saying that it is revoked would be untrue.
///
/// RFC 7009 §2.2.1
fn refuse_jwt(text: &str) -> Result<(), Cause> {
    if is_compact_jws(text) {
        let error = OAuthError::new(
            ErrorCode::UnsupportedTokenType,
            "only opaque access tokens can be revoked",
        );
        return Err(error.into());
    }
    Ok(())
}
