//! The private keys that sign JWTs, and the public ones that verify: the next, the current and the retired.
//!
//! The rules of their rotation are in [`key_set`]; a directory keeps them, or the database that servers share: then
//! the JWKS of any verifies what any has signed. Nothing signs with a key that the JWKS has not shown for as long as it
//! may be cached, and a key is shown until everything it signed has expired.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use oauth_core::jwt::{SignatureAlgorithm, SigningError, SigningKey};
use oauth_core::time::Timestamp;
use serde_json::json;
use tokio::sync::Mutex;

mod database;
mod directory;
mod failure;
mod generate;
mod kept;
pub(crate) mod key_set;

pub(crate) use failure::SigningKeysError;
pub(crate) use key_set::{Ownership, RotationPolicy};

use crate::token_store::{PostgresTokenStore, TokenStore as _};
use directory::KeyDirectory;
use kept::KeptKey;
use key_set::{KeyRecord, Step};

/// The keys of a server, or of several.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    keeper: Keeper,
    policy: ArcSwap<RotationPolicy>,
    held: ArcSwap<Held>,
    // Whoever holds the lock changes the keys.
    changing: Mutex<()>,
}

/// Where the keys lie.
#[derive(Debug)]
enum Keeper {
    Directory(KeyDirectory),
    Database(Arc<PostgresTokenStore>),
}

/// What the keys are changed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion<'a> {
    /// It may be time for something.
    Schedule,
    /// An operator asks for a rotation.
    Demand,
    /// An operator wants this key ended at once.
    Compromise(&'a str),
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
pub(crate) struct Rotation {
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
    pub(crate) fn open(
        directory: &Path,
        policy: RotationPolicy,
        now: Timestamp,
    ) -> Result<Self, SigningKeysError> {
        let directory = KeyDirectory::open(directory)?;
        let mut keys = directory.load()?;
        directory.change(&mut keys, Occasion::Schedule, &policy, now)?;
        Self::of(Keeper::Directory(directory), keys, policy)
    }

    /// Takes the keys from the database, and makes what is missing. All servers that use the database get the same
    /// ones, also when they start at once.
    ///
    /// Whoever can read that database can sign as the authorization server: it is to be guarded as the directory of
    /// keys would be, its backups too.
    ///
    /// While the database cannot be reached there are none, and [`Self::maintain`] gets them later.
    ///
    /// # Errors
    ///
    /// [`SigningKeysError`] where the database fails, or what it holds is no key.
    pub(crate) async fn shared(
        store: Arc<PostgresTokenStore>,
        policy: RotationPolicy,
        now: Timestamp,
    ) -> Result<Self, SigningKeysError> {
        let changed = database::change(&store, Occasion::Schedule, &policy, now).await;
        let keys = match changed {
            Err(_) if store.health().verify().is_err() => Vec::new(),
            changed => changed?,
        };
        Self::of(Keeper::Database(store), keys, policy)
    }

    fn of(keeper: Keeper, keys: Vec<KeptKey>, policy: RotationPolicy) -> Result<Self, SigningKeysError> {
        Ok(Self {
            keeper,
            policy: ArcSwap::from_pointee(policy),
            held: ArcSwap::from_pointee(Held::new(keys)?),
            changing: Mutex::default(),
        })
    }

    /// Does what is due at `now`: makes the next key, lets it sign when its time has come, removes what has retired.
    /// Learns, too, what other servers that share the keys have done.
    ///
    /// # Errors
    ///
    /// [`SigningKeysError`]; what was done before stands, and the keys at hand go on signing.
    pub(crate) async fn maintain(&self, now: Timestamp) -> Result<(), SigningKeysError> {
        self.change(Occasion::Schedule, now).await
    }

    /// Lets the next key sign as soon as it has been shown for long enough, whatever the schedule says.
    ///
    /// # Errors
    ///
    /// As [`Self::maintain`].
    pub(crate) async fn rotate(&self, now: Timestamp) -> Result<Rotation, SigningKeysError> {
        self.change(Occasion::Demand, now).await?;
        Ok(self.rotation())
    }

    /// Removes a key at once, because somebody else may have it: from here on the JWKS shows it no more, and what it
    /// has signed verifies nowhere that has fetched the JWKS since. Other servers that share the keys show it, and may sign
    /// with it, until their next [`Self::maintain`]. `None` where there is no such key.
    ///
    /// # Errors
    ///
    /// As [`Self::maintain`]; then the key may still be there, and the operator is to try again.
    pub(crate) async fn retire(
        &self,
        key_id: &str,
        now: Timestamp,
    ) -> Result<Option<Rotation>, SigningKeysError> {
        // Another server may have made it.
        self.change(Occasion::Schedule, now).await?;
        if !self.held.load().records.iter().any(|key| key.key_id == key_id) {
            return Ok(None);
        }
        self.change(Occasion::Compromise(key_id), now).await?;
        Ok(Some(self.rotation()))
    }

    /// From the next [`Self::maintain`] on there are keys for these algorithms as well.
    pub(crate) fn sign_also_with(&self, further: BTreeSet<SignatureAlgorithm>) {
        let policy = RotationPolicy::clone(&self.policy.load());
        self.policy.store(Arc::new(RotationPolicy { further, ..policy }));
    }

    /// Whether there are no keys yet, because the database has not been there since the start.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.load().keys.is_empty()
    }

    /// The key that signs at `now`; `None` where there are no keys yet.
    pub(crate) fn current(&self, now: Timestamp) -> Option<Arc<SigningKey>> {
        let held = self.held.load();
        held.key_of(key_set::signing(
            &held.records,
            self.policy.load().algorithm,
            now,
        )?)
    }

    /// The key that signs with `algorithm` at `now`; `None` while none has been shown for long enough.
    pub(crate) fn current_with(
        &self,
        algorithm: SignatureAlgorithm,
        now: Timestamp,
    ) -> Option<Arc<SigningKey>> {
        let held = self.held.load();
        held.key_of(key_set::signing_with(&held.records, algorithm, now)?)
    }

    /// What the server signs with at `now` and will next: more than one while the algorithm changes, or where clients
    /// ask for others.
    pub(crate) fn algorithms(&self, now: Timestamp) -> Vec<SignatureAlgorithm> {
        let (policy, held) = (self.policy.load(), self.held.load());
        let current = key_set::signing(&held.records, policy.algorithm, now).map(|key| key.algorithm);
        let signed_with: BTreeSet<_> = policy.algorithms().chain(current).collect();
        let in_order = SignatureAlgorithm::ALL.into_iter();
        in_order
            .filter(|algorithm| signed_with.contains(algorithm))
            .collect()
    }

    /// The JWKS document: public members alone.
    ///
    /// [RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)
    pub(crate) fn jwks(&self) -> Bytes {
        self.held.load().jwks.clone()
    }

    async fn change(&self, occasion: Occasion<'_>, now: Timestamp) -> Result<(), SigningKeysError> {
        let _changing = self.changing.lock().await;
        let policy = self.policy.load_full();
        match &self.keeper {
            Keeper::Directory(directory) => {
                let mut keys = self.held.load().keys.clone();
                let changed = directory.change(&mut keys, occasion, &policy, now);
                // What was done before a failure stands.
                self.held.store(Arc::new(Held::new(keys)?));
                changed
            }
            Keeper::Database(store) => {
                let keys = database::change(store, occasion, &policy, now).await?;
                self.held.store(Arc::new(Held::new(keys)?));
                Ok(())
            }
        }
    }

    fn rotation(&self) -> Rotation {
        let (held, algorithm) = (self.held.load(), self.policy.load().algorithm);
        let scheduled = held
            .records
            .iter()
            .filter(|record| record.algorithm == algorithm)
            .filter_map(|record| Some((record.signs_from?, record)));
        let latest = scheduled.max_by_key(|(signs_from, _)| *signs_from);
        let (signs_from, record) = latest.expect("the first key is scheduled when it is made");
        Rotation {
            key_id: record.key_id.clone(),
            signs_from,
        }
    }
}

/// Has `apply` carry out, one by one, the steps that are due; it changes `keys` accordingly.
fn carry_out<E>(
    keys: &mut Vec<KeptKey>,
    occasion: Occasion<'_>,
    policy: &RotationPolicy,
    now: Timestamp,
    mut apply: impl FnMut(Step, &mut Vec<KeptKey>) -> Result<(), E>,
) -> Result<(), E> {
    let demanded = match occasion {
        Occasion::Schedule => Vec::new(),
        Occasion::Demand => key_set::rotate(&records(keys), policy, now),
        Occasion::Compromise(key_id) => key_set::retire(&records(keys), key_id, now),
    };
    for step in demanded {
        apply(step, keys)?;
    }
    while let Some(step) = key_set::next_step(&records(keys), policy, now) {
        apply(step, keys)?;
    }
    Ok(())
}

fn records(keys: &[KeptKey]) -> Vec<KeyRecord> {
    keys.iter().map(|kept| kept.record.clone()).collect()
}

impl Held {
    fn new(mut keys: Vec<KeptKey>) -> Result<Self, SigningKeysError> {
        // The same JWKS after every start, at every server.
        keys.sort_by_key(|kept| (kept.record.made_at, kept.record.key_id.clone()));
        let public: Result<Vec<_>, SigningError> = keys.iter().map(|kept| kept.key.public_jwk()).collect();
        let jwks = json!({ "keys": public.map_err(SigningKeysError::of_encoding)? });
        Ok(Self {
            records: records(&keys),
            keys,
            jwks: jwks.to_string().into(),
        })
    }

    fn key_of(&self, record: &KeyRecord) -> Option<Arc<SigningKey>> {
        let kept = self
            .keys
            .iter()
            .find(|kept| kept.record.key_id == record.key_id)?;
        Some(Arc::clone(&kept.key))
    }
}

#[cfg(test)]
mod tests;
