//! Which key signs, which are shown, and what is to be done next: pure rules over what is known of the keys.
//!
//! Decides nothing about where keys lie: a directory, or a database that several servers share, keeps the records and
//! carries out the steps. Of every key there is first the announcement, then its reign, then its retirement; the next
//! key is made as soon as there is none, so that a rotation need not wait. Each algorithm has its own succession, so
//! that servers with different ones can share their keys.

use std::collections::BTreeSet;
use std::time::Duration;

use oauth_core::jwt::SignatureAlgorithm;
use oauth_core::time::Timestamp;

/// From its making until a key may sign: longer than the JWKS may be cached (5 minutes), by what several servers may
/// take to learn of each other's keys. Whoever verifies has seen the key before its first signature.
pub(crate) const ANNOUNCEMENT: Duration = Duration::from_secs(10 * 60);

/// From its last signature until a key is removed: longer than any token can live (24 hours), by what clocks may
/// differ.
pub(crate) const RETIREMENT: Duration = Duration::from_secs(25 * 60 * 60);

/// The longest that one key may sign. A succession that nobody has continued for longer is nobody's any more.
pub(crate) const LONGEST_REIGN: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What is known of a key beside the key itself; no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRecord {
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RotationPolicy {
    /// What access tokens are signed with, and all that nothing else is asked for.
    pub algorithm: SignatureAlgorithm,
    /// What else is asked for.
    pub further: BTreeSet<SignatureAlgorithm>,
    /// For how long one key signs.
    pub rotate_every: Duration,
    /// Who else has a say.
    pub ownership: Ownership,
}

/// Whose keys they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// One server's.
    Sole,
    /// Those of several servers, whose algorithms may differ: none knows what the others sign with.
    Shared,
}

impl RotationPolicy {
    /// All that is signed with, what is signed most with first.
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = SignatureAlgorithm> {
        let further = self.further.iter().copied();
        std::iter::once(self.algorithm).chain(further.filter(|further| *further != self.algorithm))
    }
}

/// One change to the keys; to be made durable before the next is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
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

/// The key that signs with `algorithm` at `now`; `None` where none has been shown for long enough.
pub(crate) fn signing_with(
    keys: &[KeyRecord],
    algorithm: SignatureAlgorithm,
    now: Timestamp,
) -> Option<&KeyRecord> {
    keys.iter()
        .filter(|key| key.algorithm == algorithm && key.signs_from.is_some_and(|from| from <= now))
        .max_by_key(|key| order(key))
}

/// The key that signs at `now`, with `algorithm` if possible; `None` where there is no key at all.
pub(crate) fn signing(
    keys: &[KeyRecord],
    algorithm: SignatureAlgorithm,
    now: Timestamp,
) -> Option<&KeyRecord> {
    let due = keys
        .iter()
        .filter(|key| key.signs_from.is_some_and(|from| from <= now));
    let scheduled = keys.iter().filter(|key| key.signs_from.is_some());
    // Until a key of a new algorithm may sign, the one before does. With a clock that was set back none is due: the
    // first of them has been seen by most.
    signing_with(keys, algorithm, now)
        .or_else(|| due.max_by_key(|key| order(key)))
        .or_else(|| scheduled.min_by_key(|key| order(key)))
        .or_else(|| keys.first())
}

/// What is to be done at `now`, one step at a time; `None` when all is done.
pub(crate) fn next_step(keys: &[KeyRecord], policy: &RotationPolicy, now: Timestamp) -> Option<Step> {
    if let Some(useless) = keys.iter().find(|key| is_useless(key, keys, policy, now)) {
        let key_id = useless.key_id.clone();
        return Some(Step::Remove { key_id });
    }
    policy
        .algorithms()
        .find_map(|algorithm| next_step_of(algorithm, keys, policy, now))
}

fn next_step_of(
    algorithm: SignatureAlgorithm,
    keys: &[KeyRecord],
    policy: &RotationPolicy,
    now: Timestamp,
) -> Option<Step> {
    let latest = latest(keys, algorithm).and_then(|key| key.signs_from);
    let is_over = latest.is_none_or(|from| from.plus(policy.rotate_every) <= now);
    match next(keys, algorithm) {
        Some(next) => is_over.then(|| schedule(next, now)),
        None => Some(Step::Make {
            algorithm,
            // Nobody has seen a JWKS without keys that are made together with the first.
            signs_from: (latest.is_none() && keys.iter().all(|key| key.made_at >= now)).then_some(now),
        }),
    }
}

/// The steps of a rotation that an operator asks for; none for an algorithm where one is on its way already, or no
/// next key is there.
pub(crate) fn rotate(keys: &[KeyRecord], policy: &RotationPolicy, now: Timestamp) -> Vec<Step> {
    let steps = policy.algorithms().filter_map(|algorithm| {
        let latest = latest(keys, algorithm).and_then(|key| key.signs_from);
        let is_under_way = latest.is_some_and(|from| from > now);
        next(keys, algorithm)
            .filter(|_| !is_under_way)
            .map(|next| schedule(next, now))
    });
    steps.collect()
}

/// The steps that end a key at once, because somebody else may have it; none where there is no such key.
///
/// If it is the one that signs, the next takes over at once, shown for long enough or not: whoever does not know it yet
/// asks for the JWKS again.
pub(crate) fn retire(keys: &[KeyRecord], key_id: &str, now: Timestamp) -> Vec<Step> {
    let Some(compromised) = keys.iter().find(|key| key.key_id == key_id) else {
        return Vec::new();
    };
    let algorithm = compromised.algorithm;
    let remove = Step::Remove {
        key_id: key_id.to_owned(),
    };
    if signing_with(keys, algorithm, now) != Some(compromised) {
        return vec![remove];
    }
    // First, so that after a crash in between nothing goes back to a key that has retired.
    let replace = match next(keys, algorithm) {
        Some(next) => Step::Schedule {
            key_id: next.key_id.clone(),
            signs_from: now,
        },
        None => Step::Make {
            algorithm,
            signs_from: Some(now),
        },
    };
    vec![replace, remove]
}

fn schedule(next: &KeyRecord, now: Timestamp) -> Step {
    Step::Schedule {
        key_id: next.key_id.clone(),
        signs_from: next.made_at.plus(ANNOUNCEMENT).max(now),
    }
}

/// The key that signs, or will sign, last of all of its algorithm.
fn latest(keys: &[KeyRecord], algorithm: SignatureAlgorithm) -> Option<&KeyRecord> {
    keys.iter()
        .filter(|key| key.algorithm == algorithm && key.signs_from.is_some())
        .max_by_key(|key| order(key))
}

fn next(keys: &[KeyRecord], algorithm: SignatureAlgorithm) -> Option<&KeyRecord> {
    keys.iter()
        .find(|key| key.algorithm == algorithm && key.signs_from.is_none())
}

/// A key whose last token has expired, or one of an algorithm that nobody wants any more.
fn is_useless(key: &KeyRecord, keys: &[KeyRecord], policy: &RotationPolicy, now: Timestamp) -> bool {
    let is_wanted = policy.algorithms().any(|algorithm| algorithm == key.algorithm);
    let has_retired = |successor: &KeyRecord| {
        successor
            .signs_from
            .is_some_and(|from| from.plus(RETIREMENT) <= now)
    };
    if key.signs_from.is_some() && successor(keys, key, key.algorithm).is_some_and(has_retired) {
        return true;
    }
    if is_wanted {
        return false;
    }
    match (policy.ownership, key.signs_from) {
        (Ownership::Sole, None) => true,
        (Ownership::Sole, Some(_)) => successor(keys, key, policy.algorithm).is_some_and(has_retired),
        // Another server may want it; if so, it has made or scheduled a key since.
        (Ownership::Shared, signs_from) => {
            let begun = signs_from.unwrap_or(key.made_at);
            begun.plus(LONGEST_REIGN).plus(RETIREMENT) <= now
        }
    }
}

/// The key of `algorithm` that signs next after this one.
fn successor<'k>(
    keys: &'k [KeyRecord],
    key: &KeyRecord,
    algorithm: SignatureAlgorithm,
) -> Option<&'k KeyRecord> {
    keys.iter()
        .filter(|other| {
            other.algorithm == algorithm && other.signs_from.is_some() && order(other) > order(key)
        })
        .min_by_key(|other| order(other))
}

/// The order in which keys sign; the same on every server.
fn order(key: &KeyRecord) -> (Timestamp, Timestamp, &str) {
    (key.signs_from.unwrap_or(key.made_at), key.made_at, &key.key_id)
}

#[cfg(test)]
#[path = "key_set_tests.rs"]
mod tests;
