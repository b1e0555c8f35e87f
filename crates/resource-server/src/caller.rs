//! Who calls, as far as token and certificate prove it.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use oauth_core::jwt::VerifiedAccessToken;
use oauth_core::scope::Scope;
use oauth_core::thumbprint::CertificateThumbprint;

/// The client behind an authorized request: an extension of the request, and an extractor for axum's handlers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The client the token was issued to.
    pub client_id: String,
    /// The scope granted to it; holds at least what the route requires.
    pub scope: Scope,
    /// The token's id.
    pub jti: String,
    /// The certificate the token is bound to and the client has proven to hold; `None` for an unbound token.
    pub thumbprint: Option<CertificateThumbprint>,
}

impl From<&VerifiedAccessToken> for Caller {
    fn from(token: &VerifiedAccessToken) -> Self {
        let claims = token.claims();
        Self {
            client_id: claims.client_id.clone(),
            scope: claims.scope.clone(),
            jti: claims.jti.clone(),
            thumbprint: claims.cnf.map(|confirmation| confirmation.x5t_s256),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = NotProtected;

    /// Fails closed: a route without the layer has no caller, and its handler is not run.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NotProtected> {
        parts.extensions.get::<Self>().cloned().ok_or(NotProtected)
    }
}

/// A handler asks for the [`Caller`] on a route that the layer does not protect: a mistake of the API's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the route is not protected: put the layer of ResourceServer::require_scope on it")]
pub struct NotProtected;

impl IntoResponse for NotProtected {
    fn into_response(self) -> Response {
        tracing::error!(reason = "route.not_protected", "{self}");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}
