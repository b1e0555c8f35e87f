//! A key with all that is known of it, and the name that says so wherever the key lies.
//!
//! `MADE.SIGNS.ALGORITHM.KID.pem`: when it was made and from when on it signs, in seconds since 1970, or `next`.

use std::sync::Arc;

use oauth_core::jwt::{SignatureAlgorithm, SigningKey};
use oauth_core::time::Timestamp;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::generate::generate;
use super::key_set::KeyRecord;

const NEXT: &str = "next";

/// A key with its record.
#[derive(Clone, Debug)]
pub(super) struct KeptKey {
    pub(super) record: KeyRecord,
    pub(super) key: Arc<SigningKey>,
}

impl KeptKey {
    /// A new key, and its PEM for whoever keeps it.
    pub(super) fn make(
        algorithm: SignatureAlgorithm,
        signs_from: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Self, Zeroizing<String>), Failure> {
        let pem = generate(algorithm).map_err(|_| Failure::Generation)?;
        let key = SigningKey::from_pkcs8_pem(pem.as_bytes(), algorithm).map_err(Failure::Unusable)?;
        let record = KeyRecord {
            key_id: key.key_id().to_owned(),
            algorithm,
            made_at: now,
            signs_from,
        };
        let key = Arc::new(key);
        Ok((Self { record, key }, pem))
    }

    /// The key in `pem`, which must be the one of `record`.
    pub(super) fn read(record: KeyRecord, pem: &[u8]) -> Result<Self, Failure> {
        let key = SigningKey::from_pkcs8_pem(pem, record.algorithm).map_err(Failure::Unusable)?;
        if key.key_id() != record.key_id {
            return Err(Failure::OtherKey);
        }
        let key = Arc::new(key);
        Ok(Self { record, key })
    }
}

/// The same key, signing from that moment on.
pub(super) fn scheduled(record: &KeyRecord, signs_from: Timestamp) -> KeyRecord {
    KeyRecord {
        signs_from: Some(signs_from),
        ..record.clone()
    }
}

pub(super) fn name(record: &KeyRecord) -> String {
    let KeyRecord {
        key_id,
        algorithm,
        made_at,
        signs_from,
    } = record;
    let signs = signs_from.map_or_else(|| NEXT.to_owned(), |from| from.as_unix_seconds().to_string());
    let (made, algorithm) = (made_at.as_unix_seconds(), algorithm.as_str());
    format!("{made}.{signs}.{algorithm}.{key_id}.pem")
}

pub(super) fn parse_name(name: &str) -> Option<KeyRecord> {
    let mut parts = name.strip_suffix(".pem")?.split('.');
    let (made, signs, algorithm, key_id) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let time = |seconds: &str| seconds.parse().ok().map(Timestamp::from_unix_seconds);
    if parts.next().is_some() {
        return None;
    }
    Some(KeyRecord {
        key_id: key_id.to_owned(),
        algorithm: SignatureAlgorithm::ALL
            .into_iter()
            .find(|known| known.as_str() == algorithm)?,
        made_at: time(made)?,
        signs_from: match signs {
            NEXT => None,
            from => Some(time(from)?),
        },
    })
}

pub(super) fn log_made(record: &KeyRecord) {
    let (key_id, algorithm) = (&record.key_id, record.algorithm.as_str());
    tracing::info!(key.id = %key_id, algorithm, "signing key {key_id} made, and shown from now on");
}

pub(super) fn log_scheduled(key_id: &str, signs_from: Timestamp) {
    let from = signs_from.as_unix_seconds();
    tracing::info!(key.id = %key_id, key.signs_from = from, "signing key {key_id} signs from {from} on");
}

pub(super) fn log_removed(key_id: &str) {
    tracing::info!(key.id = %key_id, "signing key {key_id} removed, and with it whatever it has signed");
}
