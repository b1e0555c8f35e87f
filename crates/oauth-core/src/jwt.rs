//! JSON Web Tokens: signed by the authorization server, verified by gateway and API. The only place that names
//! `jsonwebtoken`, whose defaults are looser than what is wanted here: every claim is checked by hand.
//!
//! A verified token exists only as [`VerifiedAccessToken`], which nothing but the verification makes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, Serializer};

mod access_token;
mod client_assertion;
mod introspection_response;
mod key_pair;
mod signing_key;
mod unverified;
mod verification_keys;

pub(crate) use access_token::verify_time;
pub use access_token::{
    AccessTokenClaims, AccessTokenVerifier, CLOCK_LEEWAY, VerificationError, VerifiedAccessToken,
};
pub use client_assertion::{
    AssertionError, AssertionKeyError, AssertionKeys, ClientAssertionClaims, LONGEST_ASSERTION_LIFETIME,
    VerifiedAssertion, unverified_subject,
};
pub use introspection_response::{IntrospectionClaims, IntrospectionVerifier};
pub use signing_key::{SigningError, SigningKey};
pub use unverified::{is_compact_jws, unverified_issuer};
pub(crate) use verification_keys::SHORTEST_RSA_MODULUS_BYTES;
pub use verification_keys::{JwksError, VerificationKeys};

/// A signature algorithm that this project signs with or accepts: asymmetric ones alone.
///
/// RFC 7518 §3.1, RFC 8725 §3.1
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256.
    #[default]
    ES256,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// Ed25519.
    EdDSA,
}

impl SignatureAlgorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ES256, Self::PS256, Self::RS256, Self::EdDSA];

    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::PS256 => "PS256",
            Self::RS256 => "RS256",
            Self::EdDSA => "EdDSA",
        }
    }
}

impl From<SignatureAlgorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: SignatureAlgorithm) -> Self {
        match algorithm {
            SignatureAlgorithm::ES256 => Self::ES256,
            SignatureAlgorithm::PS256 => Self::PS256,
            SignatureAlgorithm::RS256 => Self::RS256,
            SignatureAlgorithm::EdDSA => Self::EdDSA,
        }
    }
}

/// The header of a JWT whose header and claims are JSON objects.
///
/// RFC 7519 §7.2, RFC 7515 §5.2
fn header_of(token: &str) -> Option<jsonwebtoken::Header> {
    if !token.split('.').take(2).all(|part| json_object(part).is_some()) {
        return None;
    }
    jsonwebtoken::decode_header(token).ok()
}

/// Whether a header's `typ` is `name`, be it with the prefix that a sender may leave out.
///
/// RFC 7515 §4.1.9
fn is_of_type(typ: &str, name: &str) -> bool {
    const PREFIX: &str = "application/";
    let short = match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => typ,
    };
    short.eq_ignore_ascii_case(name)
}

/// Whether a header asks for what is not understood here: any critical member, and a payload that is not encoded.
///
/// RFC 7515 §4.1.11, RFC 7797 §3
fn has_critical_member(header: &jsonwebtoken::Header) -> bool {
    header.crit.is_some() || header.extras.inner().contains_key("b64")
}

/// Audiences as most write them: one as a text, several as a list.
///
/// RFC 7519 §4.1.3
fn one_or_many<T: Serialize, S: Serializer>(audience: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    match audience {
        [one] => one.serialize(serializer),
        many => many.serialize(serializer),
    }
}

/// The JSON of a part that is no other value than an object, as far as its beginning tells, and UTF-8 throughout, also in
/// members that nobody reads. The reader alone would take an array too, member by member.
fn json_object(part: &str) -> Option<String> {
    let json = String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
    json.trim_ascii_start().starts_with('{').then_some(json)
}

impl SignatureAlgorithm {
    /// The algorithm of a token's header, if it is one of ours.
    fn from_header(algorithm: jsonwebtoken::Algorithm) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|ours| jsonwebtoken::Algorithm::from(*ours) == algorithm)
    }
}
