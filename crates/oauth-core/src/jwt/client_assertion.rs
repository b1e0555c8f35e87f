//! The client assertion: a JWT by which a client proves who it is, once, to one authorization server.
//!
//! Key and algorithm are the registered ones, never the token's. That an assertion is used once is for the caller to
//! see to, who has a memory: [`VerifiedAssertion`] says what to remember and for how long.

use std::time::Duration;

use jsonwebtoken::{
    DecodingKey,
    jwk::{Jwk, PublicKeyUse},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    CLOCK_LEEWAY, SignatureAlgorithm, SigningError, SigningKey,
    access_token::{PLAIN_TYP, signature_alone},
    has_critical_member, header_of, is_of_type,
    verification_keys::{is, possible_algorithms},
};
use crate::time::Timestamp;

/// The explicit type. RFC 8725 §3.11
const TYP: &str = "client-authentication+jwt";

/// How far ahead an assertion may expire: bounds how long it must be remembered, and how long a stolen one is good.
pub const LONGEST_ASSERTION_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// The claims of a client assertion.
///
/// [RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523#section-3)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientAssertionClaims {
    /// Who made it: the client.
    pub iss: String,
    /// For whom it speaks: the client too.
    pub sub: String,
    /// For whom it is meant: the authorization server's issuer identifier, and nobody else, so one string.
    pub aud: String,
    /// From when on it is worth nothing.
    pub exp: Timestamp,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<Timestamp>,
    /// Before when it is worth nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<Timestamp>,
    /// Its id, never used twice.
    pub jti: String,
}

impl ClientAssertionClaims {
    /// The assertion, in compact form.
    ///
    /// # Errors
    ///
    /// [`SigningError`], as from every signature.
    pub fn sign(&self, key: &SigningKey) -> Result<String, SigningError> {
        key.sign(TYP, self)
    }
}

/// The `sub` of an assertion of which nothing has been checked: fit to look up a client, and for nothing else.
///
/// RFC 7521 §4.2
pub fn unverified_subject(assertion: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Unverified {
        sub: String,
    }
    jsonwebtoken::dangerous::insecure_decode_claims::<Unverified>(assertion)
        .ok()
        .map(|claims| claims.sub)
}

/// The public keys of a `private_key_jwt` client, each with the one algorithm it is used with.
///
/// RFC 7523 §2.2
#[derive(Clone, Default)]
pub struct AssertionKeys(Vec<AssertionKey>);

#[derive(Clone)]
struct AssertionKey {
    key_id: Option<String>,
    algorithm: SignatureAlgorithm,
    key: DecodingKey,
}

impl AssertionKeys {
    /// Adds a key as it stands in a JWKS.
    ///
    /// # Errors
    ///
    /// [`AssertionKeyError`] where it is no key for signatures, or leaves open with which algorithm.
    pub(crate) fn add(&mut self, jwk: &Map<String, Value>) -> Result<(), AssertionKeyError> {
        let jwk: Jwk =
            serde_json::from_value(Value::Object(jwk.clone())).map_err(|_| AssertionKeyError::Unsupported)?;
        let usage = jwk.common.public_key_use.as_ref();
        if usage.is_some_and(|usage| *usage != PublicKeyUse::Signature) {
            return Err(AssertionKeyError::OtherUse);
        }
        let possible = possible_algorithms(&jwk).ok_or(AssertionKeyError::Unsupported)?;
        let algorithm = match (jwk.common.key_algorithm, possible.as_slice()) {
            (Some(named), possible) => possible.iter().find(|possible| is(**possible, named)),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        self.0.push(AssertionKey {
            algorithm: *algorithm.ok_or(AssertionKeyError::Algorithm)?,
            key: DecodingKey::from_jwk(&jwk).map_err(|_| AssertionKeyError::Unsupported)?,
            key_id: jwk.common.key_id,
        });
        Ok(())
    }

    /// What the keys are used with.
    pub fn algorithms(&self) -> impl Iterator<Item = SignatureAlgorithm> {
        self.0.iter().map(|key| key.algorithm)
    }

    /// Verifies that `assertion` was made by `client_id` for `audience` and is good at `now`.
    ///
    /// # Errors
    ///
    /// [`AssertionError`].
    ///
    /// [RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523#section-3), RFC 7521 §4.2, RFC 8725 §3
    pub fn verify(
        &self,
        assertion: &str,
        client_id: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<VerifiedAssertion, AssertionError> {
        let header = header_of(assertion).ok_or(AssertionError::Malformed)?;
        if !is_assertion(header.typ.as_deref()) {
            return Err(AssertionError::OtherType);
        }
        if has_critical_member(&header) {
            return Err(AssertionError::CriticalHeader);
        }
        let (claims, algorithm) = self.verified_claims(assertion, header.alg, header.kid.as_deref())?;
        claims.verify(client_id, audience, now)?;
        Ok(VerifiedAssertion {
            jti: claims.jti,
            algorithm,
            expires_at: claims.exp,
        })
    }

    fn verified_claims(
        &self,
        assertion: &str,
        algorithm: jsonwebtoken::Algorithm,
        key_id: Option<&str>,
    ) -> Result<(ClientAssertionClaims, SignatureAlgorithm), AssertionError> {
        let mut failure = AssertionError::UnknownKey;
        for key in self.0.iter().filter(|key| key.answers_to(key_id)) {
            if jsonwebtoken::Algorithm::from(key.algorithm) != algorithm {
                failure = AssertionError::Algorithm;
                continue;
            }
            match jsonwebtoken::decode(assertion, &key.key, &signature_alone(key.algorithm)) {
                Ok(data) => return Ok((data.claims, key.algorithm)),
                Err(error) => failure = AssertionError::from(error.kind()),
            }
        }
        Err(failure)
    }
}

impl AssertionKey {
    /// Keys may share an id, and an assertion need not name one. RFC 7517 §4.5
    fn answers_to(&self, key_id: Option<&str>) -> bool {
        key_id.is_none() || self.key_id.as_deref() == key_id
    }
}

impl std::fmt::Debug for AssertionKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = self.0.iter().map(|key| (&key.key_id, key.algorithm));
        formatter.debug_list().entries(ids).finish()
    }
}

fn is_assertion(typ: Option<&str>) -> bool {
    typ.is_none_or(|typ| is_of_type(typ, TYP) || typ.eq_ignore_ascii_case(PLAIN_TYP))
}

impl ClientAssertionClaims {
    fn verify(&self, client_id: &str, audience: &str, now: Timestamp) -> Result<(), AssertionError> {
        if self.iss != client_id || self.sub != client_id {
            return Err(AssertionError::OtherClient);
        }
        if self.aud != audience {
            return Err(AssertionError::OtherAudience);
        }
        if self.jti.is_empty() {
            return Err(AssertionError::Claims);
        }
        if self.exp <= now {
            return Err(AssertionError::Expired);
        }
        if self.exp > now.plus(LONGEST_ASSERTION_LIFETIME) {
            return Err(AssertionError::TooLong);
        }
        let valid_from = self.iat.max(self.nbf);
        if valid_from.is_some_and(|valid_from| valid_from > now.plus(CLOCK_LEEWAY)) {
            return Err(AssertionError::NotYetValid);
        }
        Ok(())
    }
}

/// An assertion that its client made, and that is good once: what to remember so that it is not used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedAssertion {
    /// Its id, the client's choice.
    pub jti: String,
    /// What it is signed with.
    pub algorithm: SignatureAlgorithm,
    /// From when on it need not be remembered any more.
    pub expires_at: Timestamp,
}

/// Why a key cannot verify assertions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionKeyError {
    /// Of a type, curve or size that signs nothing here.
    #[error("use an EC key on P-256, an Ed25519 key, or an RSA key of 2048 bits or more")]
    Unsupported,
    /// For encryption.
    #[error("its `use` is not `sig`")]
    OtherUse,
    /// No algorithm, where several are possible, or one that the key is not for.
    #[error("name its algorithm: `alg` = ES256 for EC, EdDSA for Ed25519, PS256 or RS256 for RSA")]
    Algorithm,
}

/// Why an assertion proves nothing: for the log. To the caller all are one `invalid_client`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionError {
    /// Not a JWT in compact form, or of an algorithm nobody accepts, such as `none`.
    #[error("the assertion is not a signed JWT")]
    Malformed,
    /// Another explicit type. RFC 8725 §3.11
    #[error("the assertion's typ is that of another kind of JWT")]
    OtherType,
    /// A header parameter that must be understood, and is not. RFC 7515 §4.1.11
    #[error("the assertion has a critical header parameter")]
    CriticalHeader,
    /// A `kid` that is not registered for the client.
    #[error("the assertion names a key that is not registered")]
    UnknownKey,
    /// An algorithm that is not registered for the key.
    #[error("the assertion's algorithm is not the one registered for its key")]
    Algorithm,
    /// The signature is not that key's.
    #[error("the assertion's signature is wrong")]
    Signature,
    /// A claim is missing, repeated or of the wrong type; an `aud` that is a list counts so too.
    #[error("the assertion's claims are incomplete or malformed")]
    Claims,
    /// `iss` or `sub` is not the client. RFC 7523 §3
    #[error("the assertion's iss and sub are not both the client_id")]
    OtherClient,
    /// `aud` is not this server's issuer identifier.
    #[error("the assertion is for another audience")]
    OtherAudience,
    /// Past `exp`.
    #[error("the assertion is expired")]
    Expired,
    /// `exp` too far ahead.
    #[error("the assertion expires more than 5 minutes from now")]
    TooLong,
    /// Before `nbf` or `iat`.
    #[error("the assertion is not yet valid")]
    NotYetValid,
    /// Used before.
    #[error("the assertion has been used before")]
    Replayed,
}

impl From<&jsonwebtoken::errors::ErrorKind> for AssertionError {
    fn from(kind: &jsonwebtoken::errors::ErrorKind) -> Self {
        match kind {
            jsonwebtoken::errors::ErrorKind::InvalidSignature => Self::Signature,
            jsonwebtoken::errors::ErrorKind::Json(_) => Self::Claims,
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests;
