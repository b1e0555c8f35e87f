//! What a JWKS document is read as: the keys of an issuer, or those of a client.

use std::fmt;

use oauth_core::client::PublishedKeys;
use oauth_core::jwt::{JwksError, VerificationKeys};

/// Keys that are read from a JWKS document. `Debug` is for the log.
///
/// [RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)
pub trait FromJwks: fmt::Debug + Send + Sync + Sized + 'static {
    /// Reads the document.
    ///
    /// # Errors
    ///
    /// [`JwksError`] where it cannot be used; then it does not take the place of the one before.
    fn from_jwks(document: &[u8]) -> Result<Self, JwksError>;
}

impl FromJwks for VerificationKeys {
    fn from_jwks(document: &[u8]) -> Result<Self, JwksError> {
        Self::from_jwks(document)
    }
}

impl FromJwks for PublishedKeys {
    fn from_jwks(document: &[u8]) -> Result<Self, JwksError> {
        Self::from_jwks(document)
    }
}
