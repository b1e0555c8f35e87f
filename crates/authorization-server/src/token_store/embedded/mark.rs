//! Marks in the file: one table of them, which stays small.

use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use redb::{ReadTransaction, ReadableTable as _, TableDefinition, TableError, WriteTransaction};

use super::bucket::RecordError;
use crate::token_store::{TokensOf, marks};

/// The moment of the latest revocation, in seconds since 1970, by whose tokens are meant.
const MARKS: TableDefinition<'_, &str, u64> = TableDefinition::new("revoked_until");

pub(super) fn set(transaction: &WriteTransaction, of: &TokensOf, now: Timestamp) -> Result<(), RecordError> {
    let mut table = transaction.open_table(MARKS)?;
    let key = marks::key(of);
    let set = table.get(key.as_str())?.map(|mark| mark.value());
    // A clock that was set back takes nothing back.
    let latest = set.map_or(now.as_unix_seconds(), |set| set.max(now.as_unix_seconds()));
    table.insert(key.as_str(), latest)?;
    Ok(())
}

/// The record, revoked where a mark says so.
pub(super) fn apply(transaction: &ReadTransaction, record: TokenRecord) -> Result<TokenRecord, RecordError> {
    let table = match transaction.open_table(MARKS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(record),
        Err(error) => return Err(error.into()),
    };
    let keys = [Some(marks::client_key(&record)), marks::certificate_key(&record)];
    let mut latest = None;
    for key in keys.into_iter().flatten() {
        let mark = table.get(key.as_str())?;
        latest = latest.max(mark.map(|mark| Timestamp::from_unix_seconds(mark.value())));
    }
    Ok(marks::apply(record, latest))
}

/// Drops the marks under which no token can live any more.
pub(super) fn purge(transaction: &WriteTransaction, now: Timestamp) -> Result<(), RecordError> {
    let oldest = now.minus(marks::LONGEST_USE).as_unix_seconds();
    transaction.open_table(MARKS)?.retain(|_, mark| mark > oldest)?;
    Ok(())
}
