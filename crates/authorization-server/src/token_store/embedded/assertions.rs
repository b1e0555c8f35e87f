//! The assertions that clients have used: one table per hour of expiry, so that purging drops a table.
//!
//! The authentication of clients bounds how far ahead an assertion may expire, and with it the number of tables.

use oauth_core::time::Timestamp;
use redb::{ReadableTable as _, TableDefinition, WriteTransaction};

use super::bucket::{RecordError, SECONDS_PER_HOUR};
use crate::token_store::queue::Effect;
use crate::token_store::{AssertionDigest, CLOCK_DIFFERENCE};

/// The hours of expiry that have a table.
const HOURS: TableDefinition<'_, u64, ()> = TableDefinition::new("assertion-hours");

const fn table(name: &str) -> TableDefinition<'_, &'static [u8; 32], ()> {
    TableDefinition::new(name)
}

fn table_name(hour: u64) -> String {
    format!("assertions-{hour}")
}

/// A digest counts as used whatever its expiry was said to be the other time.
pub(super) fn remember(
    transaction: &WriteTransaction,
    assertion: AssertionDigest,
    expires_at: Timestamp,
) -> Result<Effect, RecordError> {
    let mut hours = transaction.open_table(HOURS)?;
    for entry in hours.iter()? {
        let hour = entry?.0.value();
        let used = transaction.open_table(table(&table_name(hour)))?;
        if used.get(assertion.as_bytes())?.is_some() {
            return Ok(Effect::AlreadyThere);
        }
    }
    let hour = expires_at.as_unix_seconds() / SECONDS_PER_HOUR;
    hours.insert(hour, ())?;
    transaction
        .open_table(table(&table_name(hour)))?
        .insert(assertion.as_bytes(), ())?;
    Ok(Effect::Made)
}

/// Drops every hour that is over at `now`, by whatever clock.
pub(super) fn purge(transaction: &WriteTransaction, now: Timestamp) -> Result<(), RecordError> {
    let this_hour = now.minus(CLOCK_DIFFERENCE).as_unix_seconds() / SECONDS_PER_HOUR;
    let mut hours = transaction.open_table(HOURS)?;
    let mut past = Vec::new();
    for entry in hours.range(..this_hour)? {
        past.push(entry?.0.value());
    }
    for hour in past {
        transaction.delete_table(table(&table_name(hour)))?;
        hours.remove(hour)?;
    }
    Ok(())
}
