//! The private keys that sign JWTs, and the public ones that verify: the next, the current and the retired.
//!
//! The rules of their rotation are in [`key_set`]; a directory keeps them. Nothing signs with a key that the JWKS has
//! not shown for as long as it may be cached, and a key is shown until everything it signed has expired.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use oauth_core::jwt::{SignatureAlgorithm, SigningError, SigningKey};
use oauth_core::time::Timestamp;
use serde_json::json;

mod directory;
mod generate;
pub mod key_set;

pub use directory::SigningKeysError;
pub use key_set::RotationPolicy;

use directory::{KeptKey, KeyDirectory};
use key_set::{KeyRecord, Step};

/// The keys of a server, kept in a directory.
#[derive(Debug)]
pub struct SigningKeys {
    directory: KeyDirectory,
    policy: RotationPolicy,
    held: ArcSwap<Held>,
    // Whoever holds the lock changes the keys.
    changing: Mutex<()>,
}

/// One state of the keys, with their JWKS.
#[derive(Debug)]
struct Held {
    keys: Vec<KeptKey>,
    records: Vec<KeyRecord>,
    jwks: Bytes,
}

/// What came of the wish to rotate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The key that signs next, or does so already.
    pub key_id: String,
    /// From when on it signs.
    pub signs_from: Timestamp,
}

impl SigningKeys {
    /// Loads the keys of `directory`, and makes what is missing: on the first start, all of them.
    ///
    /// # Errors
    ///
    /// [`SigningKeysError`] names the file and the remedy.
    pub fn open(directory: &Path, policy: RotationPolicy, now: Timestamp) -> Result<Self, SigningKeysError> {
        let directory = KeyDirectory::open(directory)?;
        let keys = Self {
            held: ArcSwap::from_pointee(Held::new(directory.load()?)?),
            directory,
            policy,
            changing: Mutex::default(),
        };
        keys.maintain(now)?;
        Ok(keys)
    }

    /// Does what is due at `now`: makes the next key, lets it sign when its time has come, removes what has retired.
    ///
    /// # Errors
    ///
    /// [`SigningKeysError`]; what was done before stands, and the keys at hand go on signing.
    pub fn maintain(&self, now: Timestamp) -> Result<(), SigningKeysError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match key_set::next_step(&self.held.load().records, self.policy, now) {
                Some(step) => self.apply(step, now)?,
                None => return Ok(()),
            }
        }
    }

    /// Lets the next key sign as soon as it has been shown for long enough, whatever the schedule says.
    ///
    /// # Errors
    ///
    /// As [`Self::maintain`].
    pub fn rotate(&self, now: Timestamp) -> Result<Rotation, SigningKeysError> {
        {
            let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(step) = key_set::rotate(&self.held.load().records, now) {
                self.apply(step, now)?;
            }
        }
        self.maintain(now)?;
        Ok(self.rotation())
    }

    /// The key that signs at `now`.
    pub fn current(&self, now: Timestamp) -> Arc<SigningKey> {
        let held = self.held.load();
        let signing = key_set::signing(&held.records, now).map(|record| &record.key_id);
        let kept = held.keys.iter().find(|kept| Some(&kept.record.key_id) == signing);
        Arc::clone(
            &kept
                .expect("a key is there since `open`, and the last one is never removed")
                .key,
        )
    }

    /// What the server signs with at `now` and will next: more than one while the algorithm changes.
    pub fn algorithms(&self, now: Timestamp) -> Vec<SignatureAlgorithm> {
        let records = &self.held.load().records;
        let signs = |algorithm: &SignatureAlgorithm| {
            records.iter().any(|record| {
                record.algorithm == *algorithm && key_set::is_yet_to_retire(record, records, now)
            })
        };
        SignatureAlgorithm::ALL.into_iter().filter(signs).collect()
    }

    /// The JWKS document: public members alone.
    ///
    /// [RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)
    pub fn jwks(&self) -> Bytes {
        self.held.load().jwks.clone()
    }

    fn apply(&self, step: Step, now: Timestamp) -> Result<(), SigningKeysError> {
        let mut keys = self.held.load().keys.clone();
        self.directory.apply(step, &mut keys, now)?;
        self.held.store(Arc::new(Held::new(keys)?));
        Ok(())
    }

    fn rotation(&self) -> Rotation {
        let held = self.held.load();
        let scheduled = held
            .records
            .iter()
            .filter_map(|record| Some((record.signs_from?, record)));
        let latest = scheduled.max_by_key(|(signs_from, _)| *signs_from);
        let (signs_from, record) = latest.expect("the first key is scheduled when it is made");
        Rotation {
            key_id: record.key_id.clone(),
            signs_from,
        }
    }
}

impl Held {
    fn new(mut keys: Vec<KeptKey>) -> Result<Self, SigningKeysError> {
        // The same JWKS after every start.
        keys.sort_by_key(|kept| (kept.record.made_at, kept.record.key_id.clone()));
        let public: Result<Vec<_>, SigningError> = keys.iter().map(|kept| kept.key.public_jwk()).collect();
        let jwks = json!({ "keys": public.map_err(SigningKeysError::of_encoding)? });
        Ok(Self {
            records: keys.iter().map(|kept| kept.record.clone()).collect(),
            keys,
            jwks: jwks.to_string().into(),
        })
    }
}

#[cfg(test)]
mod tests;
