//! Who calls, as far as token and certificate prove it.

#[cfg(feature = "axum")]
use axum::extract::FromRequestParts;
#[cfg(feature = "axum")]
use axum::response::{IntoResponse, Response as AxumResponse};
#[cfg(feature = "axum")]
use http::request::Parts;
use http::{Response, StatusCode};
use oauth_core::jwt::VerifiedAccessToken;
use oauth_core::scope::Scope;
use oauth_core::thumbprint::CertificateThumbprint;

use crate::rejection::Rejection;

/// The client behind an authorized request: an extension of the request, and an extractor for axum's handlers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The client the token was issued to.
    pub client_id: String,
    /// On whose behalf it calls: the client itself, where no user is involved.
    pub subject: String,
    /// The scope granted to it; holds at least what the route requires.
    pub scope: Scope,
    /// The token's id.
    pub jti: String,
    /// The certificate the token is bound to and the client has proven to hold; `None` for an unbound token.
    pub thumbprint: Option<CertificateThumbprint>,
}

impl Caller {
    pub(crate) fn verify_scope(&self, required: &Scope) -> Result<(), Rejection> {
        if self.scope.contains_all(required) {
            Ok(())
        } else {
            Err(Rejection::InsufficientScope(Box::new(self.clone())))
        }
    }
}

impl From<&VerifiedAccessToken> for Caller {
    fn from(token: &VerifiedAccessToken) -> Self {
        let claims = token.claims();
        Self {
            client_id: claims.client_id.clone(),
            subject: claims.sub.clone(),
            scope: claims.scope.clone(),
            jti: claims.jti.clone(),
            thumbprint: claims.cnf.map(|confirmation| confirmation.x5t_s256),
        }
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = NotProtected;

    /// Fails closed: a route without the layer has no caller, and its handler is not run.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NotProtected> {
        parts.extensions.get::<Self>().cloned().ok_or(NotProtected)
    }
}

/// Something asks for the [`Caller`] on a route that the layer does not protect: a mistake of the API's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the route is not protected: put a layer of ResourceServer on it, outside of whatever asks for its caller"
)]
pub struct NotProtected;

impl NotProtected {
    /// The answer to the caller, who cannot help it: 500, and nothing said. The log is told the mistake.
    pub fn into_answer<B: From<String>>(self) -> Response<B> {
        tracing::error!(reason = "route_not_protected", "{self}");
        let mut answer = Response::new(B::from(String::new()));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    }
}

#[cfg(feature = "axum")]
impl IntoResponse for NotProtected {
    fn into_response(self) -> AxumResponse {
        self.into_answer()
    }
}
