//! Which key signs, which are shown, and what is to be done next: pure rules over what is known of the keys.
//!
//! Decides nothing about where keys lie: a directory, or a database that several servers share, keeps the records and
//! carries out the steps. Of every key there is first the announcement, then its reign, then its retirement; the next
//! key is made as soon as there is none, so that a rotation need not wait.

use std::time::Duration;

use oauth_core::jwt::SignatureAlgorithm;
use oauth_core::time::Timestamp;

/// From its making until a key may sign: longer than the JWKS may be cached (5 minutes), by what several servers may
/// take to learn of each other's keys. Whoever verifies has seen the key before its first signature.
pub const ANNOUNCEMENT: Duration = Duration::from_secs(10 * 60);

/// From its last signature until a key is removed: longer than any token can live (24 hours), by what clocks may
/// differ.
pub const RETIREMENT: Duration = Duration::from_secs(25 * 60 * 60);

/// What is known of a key beside the key itself; no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its `kid`, the RFC 7638 thumbprint.
    pub key_id: String,
    /// What it signs with.
    pub algorithm: SignatureAlgorithm,
    /// From when on the JWKS shows it.
    pub made_at: Timestamp,
    /// From when on it signs, until another does; `None` for the next key, as long as nothing asks for it.
    pub signs_from: Option<Timestamp>,
}

/// When keys change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    /// What the signing key is to be of.
    pub algorithm: SignatureAlgorithm,
    /// For how long one key signs.
    pub rotate_every: Duration,
}

/// One change to the keys; to be made durable before the next is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a key.
    Make {
        /// Of this algorithm.
        algorithm: SignatureAlgorithm,
        /// As [`KeyRecord::signs_from`].
        signs_from: Option<Timestamp>,
    },
    /// Let the next key sign.
    Schedule {
        /// Which key.
        key_id: String,
        /// From when on.
        signs_from: Timestamp,
    },
    /// Remove a key that nobody needs any more.
    Remove {
        /// Which key.
        key_id: String,
    },
}

/// The key that signs at `now`; `None` where there is no key at all.
pub fn signing(keys: &[KeyRecord], now: Timestamp) -> Option<&KeyRecord> {
    let due = keys
        .iter()
        .filter(|key| key.signs_from.is_some_and(|from| from <= now));
    let scheduled = keys.iter().filter(|key| key.signs_from.is_some());
    // With a clock that was set back none is due: the first of them has been seen by most.
    due.max_by_key(|key| order(key))
        .or_else(|| scheduled.min_by_key(|key| order(key)))
        .or_else(|| keys.first())
}

/// Whether the key signs at `now` or may do so later; all others have retired.
pub fn is_yet_to_retire(key: &KeyRecord, keys: &[KeyRecord], now: Timestamp) -> bool {
    key.signs_from.is_none() || signing(keys, now).is_none_or(|signing| order(key) >= order(signing))
}

/// What is to be done at `now`, one step at a time; `None` when all is done.
pub fn next_step(keys: &[KeyRecord], policy: RotationPolicy, now: Timestamp) -> Option<Step> {
    let Some(latest) = latest(keys) else {
        return Some(first_key(keys, policy, now));
    };
    if let Some(useless) = useless(keys, policy, now) {
        let key_id = useless.key_id.clone();
        return Some(Step::Remove { key_id });
    }
    let Some(next) = next(keys) else {
        return Some(Step::Make {
            algorithm: policy.algorithm,
            signs_from: None,
        });
    };
    let is_over = latest
        .signs_from
        .is_some_and(|from| from.plus(policy.rotate_every) <= now);
    (is_over || latest.algorithm != policy.algorithm).then(|| schedule(next, now))
}

/// The step of a rotation that an operator asks for; `None` where one is on its way already, or no next key is there.
pub fn rotate(keys: &[KeyRecord], now: Timestamp) -> Option<Step> {
    let is_under_way = latest(keys)
        .and_then(|key| key.signs_from)
        .is_some_and(|from| from > now);
    next(keys)
        .filter(|_| !is_under_way)
        .map(|next| schedule(next, now))
}

/// Nobody has seen a JWKS without the first key, so it signs at once.
fn first_key(keys: &[KeyRecord], policy: RotationPolicy, now: Timestamp) -> Step {
    match next(keys) {
        Some(next) => schedule(next, now),
        None => Step::Make {
            algorithm: policy.algorithm,
            signs_from: Some(now),
        },
    }
}

fn schedule(next: &KeyRecord, now: Timestamp) -> Step {
    Step::Schedule {
        key_id: next.key_id.clone(),
        signs_from: next.made_at.plus(ANNOUNCEMENT).max(now),
    }
}

/// The key that signs, or will sign, last of all.
fn latest(keys: &[KeyRecord]) -> Option<&KeyRecord> {
    keys.iter()
        .filter(|key| key.signs_from.is_some())
        .max_by_key(|key| order(key))
}

fn next(keys: &[KeyRecord]) -> Option<&KeyRecord> {
    keys.iter().find(|key| key.signs_from.is_none())
}

/// A next key of an algorithm that is no longer wanted, or a key whose last token has expired.
fn useless(keys: &[KeyRecord], policy: RotationPolicy, now: Timestamp) -> Option<&KeyRecord> {
    keys.iter().find(|key| match key.signs_from {
        None => key.algorithm != policy.algorithm,
        Some(_) => successor(keys, key)
            .and_then(|successor| successor.signs_from)
            .is_some_and(|from| from.plus(RETIREMENT) <= now),
    })
}

fn successor<'k>(keys: &'k [KeyRecord], key: &KeyRecord) -> Option<&'k KeyRecord> {
    keys.iter()
        .filter(|other| other.signs_from.is_some() && order(other) > order(key))
        .min_by_key(|other| order(other))
}

/// The order in which keys sign; the same on every server.
fn order(key: &KeyRecord) -> (Timestamp, Timestamp, &str) {
    (key.signs_from.unwrap_or(key.made_at), key.made_at, &key.key_id)
}

#[cfg(test)]
#[path = "key_set_tests.rs"]
mod tests;
