//! Marks in the file: one table of them, which stays small, and is held in memory for the look-ups.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError, WriteTransaction,
};

use super::bucket::RecordError;
use crate::token_store::{TokensOf, marks};

/// The moment of the latest revocation, in seconds since 1970, by whose tokens are meant.
const MARKS: TableDefinition<'_, &str, u64> = TableDefinition::new("revoked_until");

/// All marks, as the file has them: read from it by the writing thread, looked at by everybody.
#[derive(Debug, Default)]
pub(super) struct Marks(ArcSwap<BTreeMap<String, Timestamp>>);

impl Marks {
    /// To be called once the file is open, and after each commit that may have changed them, before anybody is told.
    pub(super) fn read_from(&self, database: &Database) -> Result<(), RecordError> {
        let transaction = database.begin_read().map_err(RecordError::file)?;
        let table = match transaction.open_table(MARKS) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut marks = BTreeMap::new();
        for entry in table.iter()? {
            let (key, mark) = entry?;
            marks.insert(key.value().to_owned(), Timestamp::from_unix_seconds(mark.value()));
        }
        self.0.store(Arc::new(marks));
        Ok(())
    }

    /// The record, revoked where a mark says so.
    pub(super) fn apply(&self, record: TokenRecord) -> TokenRecord {
        let held = self.0.load();
        // As a rule.
        if held.is_empty() {
            return record;
        }
        let keys = [Some(marks::client_key(&record)), marks::certificate_key(&record)];
        let latest = keys.iter().flatten().filter_map(|key| held.get(key)).max();
        marks::apply(record, latest.copied())
    }
}

pub(super) fn set(transaction: &WriteTransaction, of: &TokensOf, now: Timestamp) -> Result<(), RecordError> {
    let mut table = transaction.open_table(MARKS)?;
    let key = marks::key(of);
    let set = table.get(key.as_str())?.map(|mark| mark.value());
    // A clock that was set back takes nothing back.
    let latest = set.map_or(now.as_unix_seconds(), |set| set.max(now.as_unix_seconds()));
    table.insert(key.as_str(), latest)?;
    Ok(())
}

/// Drops the marks under which no token can live any more.
pub(super) fn purge(transaction: &WriteTransaction, now: Timestamp) -> Result<(), RecordError> {
    let oldest = now.minus(marks::LONGEST_USE).as_unix_seconds();
    transaction.open_table(MARKS)?.retain(|_, mark| mark > oldest)?;
    Ok(())
}
