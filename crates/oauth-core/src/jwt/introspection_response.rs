//! The signed introspection answer: never an access token, and told apart by its `typ`.

use serde::Serialize;

use super::{SigningError, SigningKey};
use crate::{introspection::IntrospectionResponse, time::Timestamp};

/// RFC 9701 §5
const TYP: &str = "token-introspection+jwt";

/// The claims of a signed introspection answer. They carry no top-level `sub` and `exp`, so that nobody takes the
/// answer for a token.
///
/// [RFC 9701 §5](https://www.rfc-editor.org/rfc/rfc9701#section-5)
#[derive(Clone, Debug, Serialize)]
pub struct IntrospectionClaims<'a> {
    /// Who answers.
    pub iss: &'a str,
    /// The resource server that asked.
    pub aud: &'a str,
    /// When it was answered.
    pub iat: Timestamp,
    /// The answer.
    pub token_introspection: &'a IntrospectionResponse,
}

impl IntrospectionClaims<'_> {
    /// The signed answer, in compact form.
    ///
    /// # Errors
    ///
    /// [`SigningError`], as from every signature.
    pub fn sign(&self, key: &SigningKey) -> Result<String, SigningError> {
        key.sign(TYP, self)
    }
}
