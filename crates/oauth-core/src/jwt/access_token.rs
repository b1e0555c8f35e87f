//! The JWT access token: what travels from the gateway to the API, and what both demand of it.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    SignatureAlgorithm, SigningError, SigningKey, VerificationKeys, has_critical_member, header_of,
    is_of_type, one_or_many,
};
use crate::{
    access_token::TokenRecord,
    confirmation::{Confirmation, present},
    scope::Scope,
    time::Timestamp,
    token_facts::{Audience, Members, TokenFacts},
};

/// The explicit type. RFC 9068 §2.1
pub(super) const TYP: &str = "at+jwt";

/// What libraries write that know of no explicit type. RFC 7519 §5.1
pub(super) const PLAIN_TYP: &str = "JWT";

/// By how much clocks may differ. It bounds for how long an expired token can still be used, and how far ahead of
/// us the issuer's clock may run.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(10);

/// The claims of an access token.
///
/// [RFC 9068 §2.2](https://www.rfc-editor.org/rfc/rfc9068#section-2.2), RFC 8705 §3.1
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTokenClaims {
    /// Who issued the token.
    pub iss: String,
    /// From when on it is worth nothing.
    pub exp: Timestamp,
    /// Who may be shown it.
    #[serde(serialize_with = "one_or_many", deserialize_with = "many_or_one")]
    pub aud: Vec<String>,
    /// On whose behalf: the client itself.
    pub sub: String,
    /// To whom it was issued.
    pub client_id: String,
    /// When it was issued.
    pub iat: Timestamp,
    /// Before when it is worth nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<Timestamp>,
    /// Its id.
    pub jti: String,
    /// The scope granted.
    #[serde(default)]
    pub scope: Scope,
    /// The certificate it is bound to.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub cnf: Option<Confirmation>,
}

impl AccessTokenClaims {
    /// The claims of the JWT that stands for the opaque token of `record`.
    pub fn of(record: &TokenRecord, issuer: &str) -> Self {
        Self {
            iss: issuer.to_owned(),
            exp: record.expires_at,
            aud: vec![record.audience.clone()],
            sub: record.client_id.clone(),
            client_id: record.client_id.clone(),
            iat: record.issued_at,
            nbf: None,
            jti: record.id.to_string(),
            scope: record.scope.clone(),
            cnf: record.confirmation,
        }
    }

    /// The access token, in compact form.
    ///
    /// # Errors
    ///
    /// [`SigningError`], as from every signature.
    pub fn sign(&self, key: &SigningKey) -> Result<String, SigningError> {
        key.sign(TYP, self)
    }

    /// As [`Self::sign`], with claims of the issuer's own beside these. One that has the name of these makes a token
    /// that nobody accepts: a repeated claim has no meaning.
    ///
    /// # Errors
    ///
    /// As [`Self::sign`].
    ///
    /// RFC 9068 §2.2.3, RFC 7519 §4
    pub fn sign_with(&self, further: &Map<String, Value>, key: &SigningKey) -> Result<String, SigningError> {
        #[derive(Serialize)]
        struct WithFurther<'a> {
            #[serde(flatten)]
            claims: &'a AccessTokenClaims,
            #[serde(flatten)]
            further: &'a Map<String, Value>,
        }
        let claims = self;
        key.sign(TYP, &WithFurther { claims, further })
    }
}

fn many_or_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Audience::deserialize(deserializer).map(Vec::from)
}

/// The claims of a token whose signature, type, issuer, audience and times have been checked; nothing else makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedAccessToken {
    claims: AccessTokenClaims,
}

impl VerifiedAccessToken {
    /// What the token says.
    pub const fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// What the token says, for whoever keeps nothing else of it.
    pub(crate) fn into_claims(self) -> AccessTokenClaims {
        self.claims
    }

    /// Whether the token can still be used at `now`; asked again whenever the verified token is used later.
    ///
    /// # Errors
    ///
    /// [`VerificationError::Expired`] or [`VerificationError::NotYetValid`].
    ///
    /// RFC 7519 §4.1.4, §4.1.5
    pub fn verify_time(&self, now: Timestamp) -> Result<(), VerificationError> {
        self.claims.verify_time(now)
    }
}

impl AccessTokenClaims {
    fn verify_time(&self, now: Timestamp) -> Result<(), VerificationError> {
        verify_time(self.exp, self.nbf.max(Some(self.iat)), now)
    }
}

/// Whether something that expires at `exp`, and is good from `valid_from` on, can be used at `now`.
pub(crate) fn verify_time(
    exp: Timestamp,
    valid_from: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), VerificationError> {
    if now >= exp.plus(CLOCK_LEEWAY) {
        Err(VerificationError::Expired)
    } else if valid_from.is_some_and(|valid_from| valid_from > now.plus(CLOCK_LEEWAY)) {
        Err(VerificationError::NotYetValid)
    } else {
        Ok(())
    }
}

/// What an access token must be to be believed.
///
/// [RFC 9068 §4](https://www.rfc-editor.org/rfc/rfc9068#section-4)
#[derive(Clone, Debug)]
pub struct AccessTokenVerifier {
    /// The one issuer, compared letter by letter.
    pub issuer: String,
    /// Names of ours of which the token's audience must hold at least one.
    pub audiences: Vec<String>,
    /// The signature algorithms accepted.
    pub algorithms: Vec<SignatureAlgorithm>,
}

impl AccessTokenVerifier {
    /// Verifies type, algorithm, signature, issuer, audience and times of `token`.
    ///
    /// Key and algorithm come from `keys`; a token's `jku`, `x5u`, `jwk` and `x5c` are never looked at.
    ///
    /// # Errors
    ///
    /// [`VerificationError`]; [`VerificationError::UnknownKey`] is the one that newer keys may cure.
    ///
    /// RFC 9068 §4, RFC 8725 §3
    pub fn verify(
        &self,
        token: &str,
        keys: &VerificationKeys,
        now: Timestamp,
    ) -> Result<VerifiedAccessToken, VerificationError> {
        let claims: AccessTokenClaims = verified(token, keys, &self.algorithms, is_access_token)?;
        self.verify_names(&claims.iss, &claims.aud)?;
        claims.verify_time(now)?;
        Ok(VerifiedAccessToken { claims })
    }

    /// As [`Self::verify`], for an issuer that does not follow RFC 9068: `typ` may also be `JWT`, or absent, and of the
    /// claims `iss`, `aud` and `exp` alone are demanded. Such a JWT is told from an ID token of the same issuer by its
    /// audience alone.
    ///
    /// # Errors
    ///
    /// As [`Self::verify`].
    ///
    /// RFC 7519 §5.1
    pub fn verify_plain(
        &self,
        token: &str,
        keys: &VerificationKeys,
        now: Timestamp,
    ) -> Result<TokenFacts, VerificationError> {
        let is_plain = |typ: Option<&str>| typ.is_none_or(|typ| typ.eq_ignore_ascii_case(PLAIN_TYP));
        let members: Members = verified(token, keys, &self.algorithms, |typ| {
            is_plain(typ) || is_access_token(typ)
        })?;
        let facts = members.facts().map_err(|_| VerificationError::Claims)?;
        self.verify_names(facts.grant.iss.as_deref().unwrap_or_default(), &facts.grant.aud)?;
        facts.lifetime.verify(now)?;
        Ok(facts)
    }

    fn verify_names(&self, issuer: &str, audience: &[String]) -> Result<(), VerificationError> {
        if issuer != self.issuer {
            return Err(VerificationError::OtherIssuer);
        }
        if !audience.iter().any(|audience| self.audiences.contains(audience)) {
            return Err(VerificationError::OtherAudience);
        }
        Ok(())
    }
}

fn is_access_token(typ: Option<&str>) -> bool {
    typ.is_some_and(|typ| is_of_type(typ, TYP))
}

/// The claims of a JWT whose type, algorithm and signature are as they should be. Nothing else of it is checked.
///
/// RFC 8725 §3
pub(super) fn verified<C: DeserializeOwned>(
    token: &str,
    keys: &VerificationKeys,
    algorithms: &[SignatureAlgorithm],
    is_type: impl FnOnce(Option<&str>) -> bool,
) -> Result<C, VerificationError> {
    let header = header_of(token).ok_or(VerificationError::Malformed)?;
    if !is_type(header.typ.as_deref()) {
        return Err(VerificationError::OtherType);
    }
    if has_critical_member(&header) {
        return Err(VerificationError::CriticalHeader);
    }
    let algorithm = SignatureAlgorithm::from_header(header.alg)
        .filter(|algorithm| algorithms.contains(algorithm))
        .ok_or(VerificationError::AlgorithmNotAccepted)?;
    let key_id = header.kid.ok_or(VerificationError::NoKeyId)?;
    let key = match keys.find(&key_id, algorithm) {
        Some(key) => &key.key,
        None if keys.contains(&key_id) => return Err(VerificationError::AlgorithmNotAccepted),
        None => return Err(VerificationError::UnknownKey),
    };
    verified_claims(token, key, algorithm)
}

/// Checks the signature and reads the claims.
fn verified_claims<C: DeserializeOwned>(
    token: &str,
    key: &jsonwebtoken::DecodingKey,
    algorithm: SignatureAlgorithm,
) -> Result<C, VerificationError> {
    jsonwebtoken::decode(token, key, &signature_alone(algorithm))
        .map(|data| data.claims)
        .map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidSignature => VerificationError::Signature,
            jsonwebtoken::errors::ErrorKind::Json(_) => VerificationError::Claims,
            _ => VerificationError::Malformed,
        })
}

/// The library's own claim checks are switched off: they read the clock, and pass over what is absent or of the
/// wrong type.
pub(super) fn signature_alone(algorithm: SignatureAlgorithm) -> jsonwebtoken::Validation {
    let mut signature_alone = jsonwebtoken::Validation::new(algorithm.into());
    signature_alone.required_spec_claims.clear();
    signature_alone.validate_exp = false;
    signature_alone.validate_aud = false;
    signature_alone
}

/// Why an access token is not believed: for the log. To the caller all are one `invalid_token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerificationError {
    /// Not a JWT in compact form, or of an algorithm nobody accepts, such as `none`.
    #[error("not a signed JWT")]
    Malformed,
    /// Another explicit type than `at+jwt`. RFC 9068 §4
    #[error("the JWT's typ is not at+jwt")]
    OtherType,
    /// A header parameter that must be understood, and is not. RFC 7515 §4.1.11
    #[error("the JWT has a critical header parameter")]
    CriticalHeader,
    /// The algorithm is not accepted here, or not for that key.
    #[error("the JWT's algorithm is not accepted")]
    AlgorithmNotAccepted,
    /// No `kid`.
    #[error("the JWT names no key")]
    NoKeyId,
    /// A `kid` that the keys at hand do not hold.
    #[error("the JWT names an unknown key")]
    UnknownKey,
    /// The signature is not that key's.
    #[error("the JWT's signature is wrong")]
    Signature,
    /// A claim is missing, repeated or of the wrong type; a `cnf` of another kind counts so too.
    #[error("the JWT's claims are incomplete or malformed")]
    Claims,
    /// Another `iss`.
    #[error("the JWT is of another issuer")]
    OtherIssuer,
    /// None of our names in `aud`.
    #[error("the JWT is for another audience")]
    OtherAudience,
    /// Past `exp`.
    #[error("the JWT is expired")]
    Expired,
    /// Before `nbf` or `iat`.
    #[error("the JWT is not yet valid")]
    NotYetValid,
}

#[cfg(test)]
mod tests;
