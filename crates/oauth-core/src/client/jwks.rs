//! The public keys that a client is registered with.
//!
//! Read strictly: where a JWKS in the wild may hold keys a reader does not understand, a registration that holds one
//! is a mistake to be told, and a private key in it a mishap.

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::jwt::{AssertionKeyError, AssertionKeys};

use super::registered_certificates::{RegisteredCertificateError, RegisteredCertificates};

/// Bounds what one request to authenticate can cost: a signature per key.
pub(super) const MOST_KEYS: usize = 16;

/// Members that only private and symmetric keys have. RFC 7518 §6.2.2, §6.3.2, §6.4.1, RFC 8037 §2
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The member `jwks` of a registration: a table, or the same as JSON text. `Debug` shows no key.
///
/// [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2)
#[derive(Clone, Default)]
pub struct ClientJwks(Value);

impl ClientJwks {
    /// The certificates in it, for `self_signed_tls_client_auth`.
    ///
    /// # Errors
    ///
    /// [`ClientJwksError`] where a key has no `x5c`, or one that is not its own self-signed certificate.
    ///
    /// RFC 8705 §2.2.2
    pub(super) fn registered_certificates(&self) -> Result<RegisteredCertificates, ClientJwksError> {
        let certificates = self.keys()?.into_iter().enumerate().map(|(index, key)| {
            RegisteredCertificates::certificate_of(key)
                .map_err(|reason| ClientJwksError::Certificate { index, reason })
        });
        certificates.collect()
    }

    /// The keys in it that verify assertions, for `private_key_jwt`.
    ///
    /// # Errors
    ///
    /// [`ClientJwksError`] where a key cannot verify a signature, or does not say by which algorithm.
    ///
    /// RFC 7523 §3
    pub(super) fn assertion_keys(&self) -> Result<AssertionKeys, ClientJwksError> {
        let mut keys = AssertionKeys::default();
        for (index, key) in self.keys()?.into_iter().enumerate() {
            keys.add(key)
                .map_err(|reason| ClientJwksError::AssertionKey { index, reason })?;
        }
        Ok(keys)
    }

    fn keys(&self) -> Result<Vec<&Map<String, Value>>, ClientJwksError> {
        let keys = self.0.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or(ClientJwksError::Malformed)?;
        if keys.is_empty() || keys.len() > MOST_KEYS {
            return Err(ClientJwksError::NumberOfKeys);
        }
        keys.iter()
            .enumerate()
            .map(|(index, key)| {
                let key = key.as_object().ok_or(ClientJwksError::Malformed)?;
                if is_secret(key) {
                    return Err(ClientJwksError::Secret { index });
                }
                Ok(key)
            })
            .collect()
    }
}

pub(super) fn is_secret(key: &Map<String, Value>) -> bool {
    SECRET_MEMBERS.iter().any(|member| key.contains_key(*member))
}

impl<'de> Deserialize<'de> for ClientJwks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            // What is no JSON holds no keys, and is refused as that.
            Value::String(text) => serde_json::from_str(&text).unwrap_or_default(),
            value => value,
        }))
    }
}

impl From<Value> for ClientJwks {
    fn from(document: Value) -> Self {
        Self(document)
    }
}

impl fmt::Debug for ClientJwks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientJwks(..)")
    }
}

/// What is wrong with the keys of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientJwksError {
    /// Not an object with an array `keys` of objects.
    #[error("give a JWK set: `keys` with one table per key, or the same as JSON text")]
    Malformed,
    /// No key, or more than anybody needs.
    #[error("register between 1 and {MOST_KEYS} keys")]
    NumberOfKeys,
    /// A private or symmetric key.
    #[error("keys[{index}] is secret; register the public half of an asymmetric key, and make a new one")]
    Secret {
        /// Which key.
        index: usize,
    },
    /// A key that brings no certificate to compare with.
    #[error("keys[{index}]: {reason}")]
    Certificate {
        /// Which key.
        index: usize,
        /// What is wrong with it.
        reason: RegisteredCertificateError,
    },
    /// A key that cannot verify assertions.
    #[error("keys[{index}]: {reason}")]
    AssertionKey {
        /// Which key.
        index: usize,
        /// What is wrong with it.
        reason: AssertionKeyError,
    },
}
