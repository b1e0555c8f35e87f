//! The journal beside the file: new records are appended here, flushed once for a whole group of them, and go into the
//! file many at a time. A commit of the file writes a dozen pages; an append writes the records, in the bytes in which
//! they will lie in the file.
//!
//! Nothing is lost and nothing comes back: a group counts from its flush on; the file names the generation of the
//! journal whose groups it has not taken in yet, and takes them in and names the next generation in one commit; what a
//! crash cut off fails its digest, and was never answered.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use redb::{Database, ReadableDatabase as _, TableDefinition, TableError, WriteTransaction};

use super::bucket::{self, RecordError};
use super::encoding::{self, EncodedRecord};

/// The one generation of the journal that the file has not taken in.
const GENERATION: TableDefinition<'_, (), u64> = TableDefinition::new("journal_generation");

/// Bounds what lies in the journal, and with it the records held in memory and how long taking them in lasts; the last
/// group may exceed it. The file has that length from the start: blocks that are there are flushed at a fraction of the
/// cost.
const LONGEST: usize = 1024 * 1024;

/// In front of each group: the length of what follows, and its digest.
const LENGTH: usize = 4;
const DIGEST: usize = 32;

/// Where groups of records are appended.
#[derive(Debug)]
pub(in crate::token_store) struct Journal {
    file: File,
    generation: u64,
    length: u64,
}

impl Journal {
    /// Where the journal of the store at `path` lies.
    pub(in crate::token_store) fn path(store: &Path) -> PathBuf {
        let mut path = store.as_os_str().to_owned();
        path.push(".journal");
        path.into()
    }

    /// Opens the journal at `path`, which is there, and has the store take in what lies in it.
    pub(in crate::token_store) fn recover(database: &Database, path: &Path) -> Result<Self, RecordError> {
        let mut journal = Self {
            file: OpenOptions::new().write(true).open(path)?,
            generation: generation(database)?,
            length: 0,
        };
        let bytes = fs::read(path)?;
        let records = read(&bytes, journal.generation)?;
        let transaction = database.begin_write().map_err(RecordError::file)?;
        bucket::insert(&transaction, records.iter())?;
        let generation = journal.take_in(&transaction)?;
        transaction.commit().map_err(RecordError::file)?;
        journal.start_over(generation);
        if !records.is_empty() {
            let (tokens, path) = (records.len(), path.display());
            tracing::info!(
                store.tokens = tokens,
                "{tokens} tokens taken in from {path}: the last server was not stopped in order"
            );
        }
        if bytes.len() < LONGEST {
            journal.file.write_all_at(&vec![0; LONGEST], 0)?;
            journal.file.sync_all()?;
        }
        Ok(journal)
    }

    /// Whether another group fits in.
    pub(super) const fn has_room(&self) -> bool {
        self.length < LONGEST as u64
    }

    /// One that no group can be appended to.
    #[cfg(test)]
    pub(in crate::token_store) fn on_a_full_disk() -> Self {
        Self {
            file: OpenOptions::new().write(true).open("/dev/full").unwrap(),
            generation: 0,
            length: 0,
        }
    }

    /// Appends a group; it is on disk when this returns.
    pub(super) fn append(&mut self, records: &[&Arc<EncodedRecord>]) -> Result<(), RecordError> {
        let mut group = vec![0; LENGTH + DIGEST];
        for record in records {
            group.extend_from_slice(record.as_bytes());
        }
        let body = &group[LENGTH + DIGEST..];
        let length = u32::try_from(body.len()).map_err(|_| RecordError::Group)?;
        let digest = digest(self.generation, body);
        group[..LENGTH].copy_from_slice(&length.to_be_bytes());
        group[LENGTH..][..DIGEST].copy_from_slice(&digest);
        self.file.write_all_at(&group, self.length)?;
        self.file.sync_data()?;
        self.length += group.len() as u64;
        Ok(())
    }

    /// Has the file say, with the commit of this transaction, that it took in what lies here; what comes next.
    pub(super) fn take_in(&self, transaction: &WriteTransaction) -> Result<u64, RecordError> {
        let next = new_generation()?;
        transaction.open_table(GENERATION)?.insert((), next)?;
        Ok(next)
    }

    /// Begins at the front again, after that commit; what lies here is written over.
    pub(super) const fn start_over(&mut self, generation: u64) {
        self.generation = generation;
        self.length = 0;
    }
}

/// The generation that the file has not taken in; one that nothing was written in, where it has never had a journal.
fn generation(database: &Database) -> Result<u64, RecordError> {
    let transaction = database.begin_read().map_err(RecordError::file)?;
    let named = match transaction.open_table(GENERATION) {
        Ok(table) => table.get(())?.map(|generation| generation.value()),
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    named.map_or_else(new_generation, Ok)
}

/// No number that this file or a copy of it has had: a journal may lie here whose file was moved away, or put back from
/// a copy.
fn new_generation() -> Result<u64, RecordError> {
    getrandom::u64().map_err(|error| RecordError::Journal(error.into()))
}

/// The records of all whole groups of that generation, from the front.
fn read(mut bytes: &[u8], generation: u64) -> Result<Vec<EncodedRecord>, RecordError> {
    let mut records = Vec::new();
    while let Some((body, rest)) = split_group(bytes, generation) {
        let group = encoding::decode_all(body)?;
        records.extend(group.iter().map(EncodedRecord::of));
        bytes = rest;
    }
    Ok(records)
}

fn split_group(bytes: &[u8], generation: u64) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let (expected, rest) = rest.split_first_chunk::<DIGEST>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (body, rest) = rest.split_at_checked(length)?;
    (digest(generation, body) == *expected).then_some((body, rest))
}

/// With the generation, so that none of an earlier one counts.
fn digest(generation: u64, body: &[u8]) -> [u8; DIGEST] {
    let mut context = Context::new(&SHA256);
    context.update(&generation.to_be_bytes());
    context.update(body);
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
