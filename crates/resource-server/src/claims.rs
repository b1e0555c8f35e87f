//! All that a verified token says, in a type of the API's own.

use std::sync::Arc;

#[cfg(feature = "axum")]
use axum::extract::FromRequestParts;
#[cfg(feature = "axum")]
use axum::response::{IntoResponse, Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Extensions;
#[cfg(feature = "axum")]
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::caller::NotProtected;
#[cfg(feature = "axum")]
use crate::rejection::{Rejection, Resource};
#[cfg(feature = "axum")]
use oauth_core::scope::Scope;

/// The claims of an authorized request's token, read into `T`: for claims of the issuer's own, beside those that the
/// [`Caller`](crate::Caller) has. An extractor for axum's handlers; elsewhere [`Self::of`] reads them.
///
/// A token in which a claim that `T` needs is missing, repeated or of another type is refused as `invalid_token`.
///
/// ```
/// use resource_server::Claims;
///
/// #[derive(serde::Deserialize)]
/// struct Tenancy {
///     tenant: String,
/// }
///
/// async fn list_orders(Claims(Tenancy { tenant }): Claims<Tenancy>) -> String {
///     format!("the orders of {tenant}")
/// }
/// ```
///
/// RFC 9068 §2.2.3
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims<T>(pub T);

impl<T: DeserializeOwned> Claims<T> {
    /// Reads the claims of the request with these extensions.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`] where there are none, or other ones than `T` needs.
    pub fn of(extensions: &Extensions) -> Result<Self, ClaimsError> {
        let payload = extensions.get::<VerifiedPayload>().ok_or(NotProtected)?;
        let json = URL_SAFE_NO_PAD.decode(payload.0.as_bytes());
        let json = json.map_err(|_| ClaimsError::Unreadable("the payload is not base64url".into()))?;
        // The error says which claim, and never its value: that could be personal.
        let claims = serde_json::from_slice(&json)
            .map_err(|error| ClaimsError::Unreadable(format!("{:?} error", error.classify())))?;
        Ok(Self(claims))
    }
}

/// Why an API has no claims to go by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// No layer has verified a token.
    #[error(transparent)]
    NotProtected(#[from] NotProtected),
    /// The token has not the claims that are asked for.
    #[error("the token's claims are not those that the API needs: {0}")]
    Unreadable(String),
}

#[cfg(feature = "axum")]
impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Claims<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Response> {
        Self::of(&parts.extensions).map_err(|error| match error {
            ClaimsError::NotProtected(mistake) => mistake.into_response(),
            ClaimsError::Unreadable(reason) => match parts.extensions.get::<Arc<Resource>>() {
                Some(resource) => {
                    Rejection::Claims(reason).into_answer(&parts.headers, &Scope::default(), resource)
                }
                None => NotProtected.into_response(),
            },
        })
    }
}

/// The middle part of a token whose signature has been verified: worth nothing to whoever finds it.
#[derive(Clone)]
pub(crate) struct VerifiedPayload(Arc<str>);

impl VerifiedPayload {
    pub(crate) fn of(verified_token: &str) -> Self {
        Self(verified_token.split('.').nth(1).unwrap_or_default().into())
    }
}
