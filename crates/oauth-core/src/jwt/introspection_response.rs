//! The signed introspection answer: never an access token, and told apart by its `typ`.

use serde::{Serialize, Serializer};

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
    /// The resource server that asked, by each of its names: the one that tokens are for, and its `client_id` where
    /// that is another, which some clients look for.
    #[serde(serialize_with = "one_or_many")]
    pub aud: Vec<&'a str>,
    /// When it was answered.
    pub iat: Timestamp,
    /// The answer.
    pub token_introspection: &'a IntrospectionResponse,
}

/// RFC 7519 §4.1.3
fn one_or_many<S: Serializer>(audience: &[&str], serializer: S) -> Result<S::Ok, S::Error> {
    match audience {
        [only] => serializer.serialize_str(only),
        many => many.serialize(serializer),
    }
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
