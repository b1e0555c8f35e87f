//! Marks in the file: one table of them, which stays small, and is held in memory for the look-ups.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use redb::{Database, ReadableDatabase as _, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::bucket::RecordError;
use crate::token_store::{TokensOf, marks};

/// The moment of the latest revocation, in seconds since 1970, by whose tokens are meant.
const MARKS: TableDefinition<'_, &str, u64> = TableDefinition::new("revoked_until");

/// All marks, as the file has them: read from it by the writing thread, looked at by everybody.
#[derive(Debug, Default)]
pub(super) struct Marks(ArcSwap<Held>);

/// The moment of the latest revocation by whose tokens are meant.
pub(super) type Held = BTreeMap<String, Timestamp>;

impl Marks {
    /// Those of a file that nobody writes yet.
    pub(super) fn of(database: &Database) -> Result<Self, RecordError> {
        let transaction = database.begin_read().map_err(RecordError::file)?;
        match transaction.open_table(MARKS) {
            Ok(table) => Ok(Self(ArcSwap::from_pointee(read(&table)?))),
            Err(TableError::TableDoesNotExist(_)) => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// To be called with what a commit has made of them, before anybody is told of the commit.
    pub(super) fn replace(&self, marks: Held) {
        self.0.store(Arc::new(marks));
    }

    /// The record, revoked where a mark says so.
    pub(super) fn apply(&self, record: Arc<TokenRecord>) -> Arc<TokenRecord> {
        let held = self.0.load();
        // As a rule.
        if held.is_empty() {
            return record;
        }
        let keys = [Some(marks::client_key(&record)), marks::certificate_key(&record)];
        let latest = keys.iter().flatten().filter_map(|key| held.get(key)).max();
        match latest {
            Some(mark) => Arc::new(marks::apply(Arc::unwrap_or_clone(record), Some(*mark))),
            None => record,
        }
    }
}

/// All marks, as this transaction leaves them.
pub(super) fn all(transaction: &WriteTransaction) -> Result<Held, RecordError> {
    read(&transaction.open_table(MARKS)?)
}

fn read(table: &impl ReadableTable<&'static str, u64>) -> Result<Held, RecordError> {
    let mut marks = Held::new();
    for entry in table.iter()? {
        let (key, mark) = entry?;
        marks.insert(key.value().to_owned(), Timestamp::from_unix_seconds(mark.value()));
    }
    Ok(marks)
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
