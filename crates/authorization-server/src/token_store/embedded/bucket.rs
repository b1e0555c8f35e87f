//! How records lie in the file: one table per hour of issue, so that purging drops a table and touches no record.
//!
//! The hour is read from the record's version 7 id, which a token carries: a lookup opens one small table.

use std::io;

use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use redb::{ReadTransaction, ReadableTable as _, TableDefinition, TableError, WriteTransaction};
use uuid::Uuid;

use super::encoding::{EncodedRecord, decode};

/// The latest expiry, in seconds since 1970, of the records of each hour.
const BUCKETS: TableDefinition<'_, u64, u64> = TableDefinition::new("buckets");

pub(super) const SECONDS_PER_HOUR: u64 = 60 * 60;
const VERSION_OF_IDS: usize = 7;

/// The table of one hour of issue, counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bucket(u64);

impl Bucket {
    /// The bucket of that id; `None` for an id that this server cannot have given.
    fn of(id: Uuid) -> Option<Self> {
        let issued_at = id
            .get_timestamp()
            .filter(|_| id.get_version_num() == VERSION_OF_IDS)?;
        let (seconds, _) = issued_at.to_unix();
        Some(Self(seconds / SECONDS_PER_HOUR))
    }

    fn table_name(self) -> String {
        format!("tokens-{}", self.0)
    }
}

/// The table of a bucket: ids, which grow with time, and records in bytes.
const fn table(name: &str) -> TableDefinition<'_, u128, &'static [u8]> {
    TableDefinition::new(name)
}

pub(super) fn read(transaction: &ReadTransaction, id: Uuid) -> Result<Option<TokenRecord>, RecordError> {
    let Some(bucket) = Bucket::of(id) else {
        return Ok(None);
    };
    let records = match transaction.open_table(table(&bucket.table_name())) {
        Ok(records) => records,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let record = records.get(id.as_u128())?;
    record.map(|bytes| decode(bytes.value())).transpose()
}

/// Whether a record of that id has a table to lie in.
pub(super) fn has_place_for(id: Uuid) -> bool {
    Bucket::of(id).is_some()
}

/// Cheapest in the order of their ids: then each table is opened once, and written from its left to its right.
pub(super) fn insert<'a>(
    transaction: &WriteTransaction,
    records: impl Iterator<Item = &'a EncodedRecord>,
) -> Result<(), RecordError> {
    let mut buckets = transaction.open_table(BUCKETS)?;
    let mut records = records.peekable();
    while let Some(first) = records.peek() {
        let bucket = Bucket::of(first.id).ok_or(RecordError::Id)?;
        let name = bucket.table_name();
        let mut table = transaction.open_table(table(&name))?;
        let kept = buckets.get(bucket.0)?.map(|latest| latest.value());
        let mut latest = kept;
        while let Some(record) = records.next_if(|record| Bucket::of(record.id) == Some(bucket)) {
            table.insert(record.id.as_u128(), record.as_bytes())?;
            latest = latest.max(Some(record.expires_at.as_unix_seconds()));
        }
        if let Some(latest) = latest.filter(|_| latest != kept) {
            buckets.insert(bucket.0, latest)?;
        }
    }
    Ok(())
}

pub(super) fn revoke(transaction: &WriteTransaction, id: Uuid, now: Timestamp) -> Result<(), RecordError> {
    let Some(bucket) = Bucket::of(id) else {
        return Ok(());
    };
    match written(transaction, bucket, id)? {
        Some(record) if record.revoked_at.is_none() => write(
            transaction,
            bucket,
            &TokenRecord {
                revoked_at: Some(now),
                ..record
            },
        ),
        Some(_) | None => Ok(()),
    }
}

/// Drops every bucket whose last record has expired at `now`.
pub(super) fn purge(transaction: &WriteTransaction, now: Timestamp) -> Result<usize, RecordError> {
    let mut buckets = transaction.open_table(BUCKETS)?;
    let mut expired = Vec::new();
    for entry in buckets.iter()? {
        let (bucket, latest) = entry?;
        if latest.value() <= now.as_unix_seconds() {
            expired.push(Bucket(bucket.value()));
        }
    }
    for bucket in &expired {
        transaction.delete_table(table(&bucket.table_name()))?;
        buckets.remove(bucket.0)?;
    }
    Ok(expired.len())
}

fn written(
    transaction: &WriteTransaction,
    bucket: Bucket,
    id: Uuid,
) -> Result<Option<TokenRecord>, RecordError> {
    let name = bucket.table_name();
    let records = transaction.open_table(table(&name))?;
    let record = records.get(id.as_u128())?;
    record.map(|bytes| decode(bytes.value())).transpose()
}

fn write(transaction: &WriteTransaction, bucket: Bucket, record: &TokenRecord) -> Result<(), RecordError> {
    let name = bucket.table_name();
    transaction
        .open_table(table(&name))?
        .insert(record.id.as_u128(), EncodedRecord::of(record).as_bytes())?;
    Ok(())
}

/// Why a record could not be read or written: for the log alone.
#[derive(Debug, thiserror::Error)]
pub(in crate::token_store) enum RecordError {
    /// The file.
    #[error("{0}")]
    File(Box<redb::Error>),
    /// What lies in it.
    #[error("a record cannot be understood")]
    Record,
    /// The id has no time in it.
    #[error("a record's id is not a version 7 UUID")]
    Id,
    /// The journal beside the file.
    #[error("the journal: {0}")]
    Journal(#[from] io::Error),
    /// More records at once than the queue lets in.
    #[error("a group of records is too long for the journal")]
    Group,
}

impl RecordError {
    pub(super) fn file(error: impl Into<redb::Error>) -> Self {
        Self::File(Box::new(error.into()))
    }
}

impl From<TableError> for RecordError {
    fn from(error: TableError) -> Self {
        Self::file(error)
    }
}

impl From<redb::StorageError> for RecordError {
    fn from(error: redb::StorageError) -> Self {
        Self::file(error)
    }
}
