//! The signed introspection answer: never an access token, and told apart by its `typ`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    SignatureAlgorithm, SigningError, SigningKey, VerificationError, VerificationKeys,
    access_token::verified, is_of_type, one_or_many, verify_time,
};
use crate::{
    introspection::IntrospectionResponse,
    time::Timestamp,
    token_facts::{Answer, Audience, Introspected},
};

/// RFC 9701 §5
const TYP: &str = "token-introspection+jwt";

/// For how long after it was made an answer is believed. It has no `exp` of its own: this bounds for how long an answer
/// that was recorded while its token was active can be played back.
const OLDEST_ANSWER: Duration = Duration::from_secs(60);

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

/// What a signed introspection answer must be to be believed.
///
/// [RFC 9701 §5](https://www.rfc-editor.org/rfc/rfc9701#section-5)
#[derive(Clone, Debug)]
pub struct IntrospectionVerifier {
    /// The authorization server that was asked, compared letter by letter.
    pub issuer: String,
    /// Whom the answer must be for: the resource server that asked.
    pub audience: String,
    /// The signature algorithms accepted.
    pub algorithms: Vec<SignatureAlgorithm>,
}

impl IntrospectionVerifier {
    /// Verifies type, signature, issuer, audience and age of `answer`, and reads what it says.
    ///
    /// # Errors
    ///
    /// [`VerificationError`]; [`VerificationError::UnknownKey`] is the one that newer keys may cure.
    ///
    /// RFC 9701 §5, §8.1
    pub fn verify(
        &self,
        answer: &str,
        keys: &VerificationKeys,
        now: Timestamp,
    ) -> Result<Introspected, VerificationError> {
        let claims: ReceivedClaims = verified(answer, keys, &self.algorithms, is_introspection)?;
        if claims.iss != self.issuer {
            return Err(VerificationError::OtherIssuer);
        }
        if !claims.aud.contains(&self.audience) {
            return Err(VerificationError::OtherAudience);
        }
        let believed_until = claims.iat.plus(OLDEST_ANSWER);
        let exp = claims.exp.map_or(believed_until, |exp| exp.min(believed_until));
        verify_time(exp, Some(claims.iat), now)?;
        let introspected = claims.token_introspection.introspected();
        introspected.map_err(|_| VerificationError::Claims)
    }
}

fn is_introspection(typ: Option<&str>) -> bool {
    typ.is_some_and(|typ| is_of_type(typ, TYP))
}

#[derive(Deserialize)]
struct ReceivedClaims {
    iss: String,
    aud: Audience,
    iat: Timestamp,
    exp: Option<Timestamp>,
    token_introspection: Answer,
}

#[cfg(test)]
mod tests;
