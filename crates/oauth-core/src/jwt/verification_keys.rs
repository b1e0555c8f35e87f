//! Public keys from a JWKS, each with the algorithms it may be used with: decided here, never by a token's header.

use std::fmt;
use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;

use super::SignatureAlgorithm;

/// Keys below this are within reach of factoring. RFC 9325 §4.5
pub(crate) const SHORTEST_RSA_MODULUS_BYTES: usize = 2048 / 8;

/// The keys of a JWKS that can verify a signature; clones are the same set.
///
/// [RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)
#[derive(Clone, Default)]
pub struct VerificationKeys(Arc<[VerificationKey]>);

pub(super) struct VerificationKey {
    key_id: String,
    algorithms: Vec<SignatureAlgorithm>,
    pub(super) key: DecodingKey,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

impl VerificationKeys {
    /// Reads a JWKS document. Keys of other kinds, for other uses, without `kid` or too weak are passed over.
    ///
    /// # Errors
    ///
    /// [`JwksError`] where the document is none, or no usable key is left.
    ///
    /// RFC 7517 §5
    pub fn from_jwks(document: &[u8]) -> Result<Self, JwksError> {
        let jwks: Jwks = serde_json::from_slice(document).map_err(|_| JwksError::Malformed)?;
        let keys: Arc<[_]> = jwks
            .keys
            .into_iter()
            .filter_map(VerificationKey::from_json)
            .collect();
        if keys.is_empty() {
            Err(JwksError::NoUsableKey)
        } else {
            Ok(Self(keys))
        }
    }

    /// Whether a key of that id is among them, for whatever algorithm.
    pub fn contains(&self, key_id: &str) -> bool {
        self.0.iter().any(|key| key.key_id == key_id)
    }

    /// Whether both are clones of one set, so that what one verifies the other does. Two readings of a document are two
    /// sets, whatever they hold.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn find(&self, key_id: &str, algorithm: SignatureAlgorithm) -> Option<&VerificationKey> {
        self.0
            .iter()
            .find(|key| key.key_id == key_id && key.algorithms.contains(&algorithm))
    }
}

impl fmt::Debug for VerificationKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_set()
            .entries(self.0.iter().map(|key| &key.key_id))
            .finish()
    }
}

impl VerificationKey {
    fn from_json(json: serde_json::Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        if jwk
            .common
            .public_key_use
            .as_ref()
            .is_some_and(|usage| *usage != PublicKeyUse::Signature)
        {
            return None;
        }
        let algorithms = match jwk.common.key_algorithm {
            Some(algorithm) => {
                vec![
                    possible_algorithms(&jwk)?
                        .into_iter()
                        .find(|possible| is(*possible, algorithm))?,
                ]
            }
            None => possible_algorithms(&jwk)?,
        };
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self {
            key_id: jwk.common.key_id?,
            algorithms,
            key,
        })
    }
}

/// What the key's type allows. RSA moduli below 2048 bits allow nothing.
pub(super) fn possible_algorithms(jwk: &Jwk) -> Option<Vec<SignatureAlgorithm>> {
    match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Some(vec![SignatureAlgorithm::ES256])
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Some(vec![SignatureAlgorithm::EdDSA])
        }
        AlgorithmParameters::RSA(key) if is_long_enough(&key.n) => {
            Some(vec![SignatureAlgorithm::PS256, SignatureAlgorithm::RS256])
        }
        _ => None,
    }
}

/// Zeros in front count for nothing, however many there are. RFC 7518 §6.3.1.1
fn is_long_enough(modulus: &str) -> bool {
    URL_SAFE_NO_PAD
        .decode(modulus)
        .is_ok_and(|bytes| bytes.iter().skip_while(|byte| **byte == 0).count() >= SHORTEST_RSA_MODULUS_BYTES)
}

pub(super) fn is(possible: SignatureAlgorithm, named: KeyAlgorithm) -> bool {
    KeyAlgorithm::from(jsonwebtoken::Algorithm::from(possible)) == named
}

/// Why a JWKS is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// Not a JSON object with an array `keys`.
    #[error("the document is not a JWKS")]
    Malformed,
    /// Not one key that can verify a signature.
    #[error("the JWKS holds no signature key with a `kid` for ES256, PS256, RS256 or EdDSA")]
    NoUsableKey,
    /// More keys than a client can need; each costs a signature to try.
    #[error("the JWKS holds more keys than one client may publish")]
    TooManyKeys,
}
