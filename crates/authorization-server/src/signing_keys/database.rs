//! Keys in the database that servers share: one row each, whose name says all that is known of the key.
//!
//! Whoever changes them first reads what the others have left, and until the change is durable nobody else decides
//! anything: so every server goes the same way, whichever of them is first.

use oauth_core::time::Timestamp;

use super::failure::SigningKeysError;
use super::kept::{self, KeptKey};
use super::key_set::{RotationPolicy, Step};
use super::{Occasion, carry_out};
use crate::token_store::{KeyChange, KeyRow, PostgresTokenStore};

/// Does what is due at `now`, and answers with all keys there are then.
pub(super) async fn change(
    store: &PostgresTokenStore,
    occasion: Occasion<'_>,
    policy: &RotationPolicy,
    now: Timestamp,
) -> Result<Vec<KeptKey>, SigningKeysError> {
    let decide = |rows| decide(rows, occasion, policy, now);
    let (keys, steps) = store
        .change_signing_keys(decide)
        .await
        .map_err(SigningKeysError::of_store)??;
    steps.iter().for_each(log);
    Ok(keys)
}

/// All keys as they will be, and what was done to them.
type Decision = (Vec<KeptKey>, Vec<Done>);

enum Done {
    Made(KeptKey),
    Scheduled(String, Timestamp),
    Removed(String),
}

fn decide(
    rows: Vec<KeyRow>,
    occasion: Occasion<'_>,
    policy: &RotationPolicy,
    now: Timestamp,
) -> Result<(Vec<KeyChange>, Decision), SigningKeysError> {
    let mut keys = load(rows)?;
    let (mut changes, mut done) = (Vec::new(), Vec::new());
    carry_out(&mut keys, occasion, policy, now, |step, keys| {
        match step {
            Step::Make {
                algorithm,
                signs_from,
            } => {
                let made = KeptKey::make(algorithm, signs_from, now);
                let (kept, private_key) =
                    made.map_err(|cause| SigningKeysError::of_row(algorithm.as_str(), cause))?;
                let name = kept::name(&kept.record);
                changes.push(KeyChange::Insert(KeyRow { name, private_key }));
                done.push(Done::Made(kept.clone()));
                keys.push(kept);
            }
            Step::Schedule { key_id, signs_from } => {
                for kept in keys.iter_mut().filter(|kept| kept.record.key_id == key_id) {
                    let from = kept::name(&kept.record);
                    kept.record = kept::scheduled(&kept.record, signs_from);
                    let to = kept::name(&kept.record);
                    changes.push(KeyChange::Rename { from, to });
                }
                done.push(Done::Scheduled(key_id, signs_from));
            }
            Step::Remove { key_id } => {
                let removed = keys.extract_if(.., |kept| kept.record.key_id == key_id);
                changes.extend(removed.map(|kept| KeyChange::Delete {
                    name: kept::name(&kept.record),
                }));
                done.push(Done::Removed(key_id));
            }
        }
        Ok(())
    })?;
    Ok((changes, (keys, done)))
}

fn load(rows: Vec<KeyRow>) -> Result<Vec<KeptKey>, SigningKeysError> {
    let mut keys = Vec::new();
    for row in rows {
        let name = &row.name;
        match kept::parse_name(name) {
            Some(record) => {
                let kept = KeptKey::read(record, row.private_key.as_bytes());
                keys.push(kept.map_err(|cause| SigningKeysError::of_row(name, cause))?);
            }
            None => tracing::debug!(key.name = %name, "{name} is no signing key"),
        }
    }
    Ok(keys)
}

fn log(done: &Done) {
    match done {
        Done::Made(kept) => kept::log_made(&kept.record),
        Done::Scheduled(key_id, signs_from) => kept::log_scheduled(key_id, *signs_from),
        Done::Removed(key_id) => kept::log_removed(key_id),
    }
}
