//! Records that were written or read not long ago, decoded: a token is asked about soon after it was issued, and again
//! after that, and is looked up in memory.
//!
//! What was read is right until something changes the record. Once a change is on disk, and before anybody is told of
//! it, the changes are counted up and then the record is taken out; and nothing is put in that was read under another
//! count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oauth_core::access_token::TokenRecord;
use uuid::Uuid;

use super::bucket::RecordError;
use crate::places::{Places, key_of};

/// Bounds the memory: 32 MiB of records as they are as a rule.
const MOST_KNOWN: usize = 1 << 16;
/// Of the texts of a record; one with longer ones, of a client with a long scope, is read each time.
const LONGEST_TEXTS: usize = 1024;

/// Filled by everybody who has a record, emptied by the writing thread.
#[derive(Debug)]
pub(super) struct Known {
    records: Places<Arc<TokenRecord>>,
    changes: AtomicU64,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            records: Places::so_many(MOST_KNOWN),
            changes: AtomicU64::default(),
        }
    }
}

impl Known {
    /// The record of that id: as it is known, or by `read`.
    pub(super) fn get_or_read(
        &self,
        id: Uuid,
        read: impl FnOnce() -> Result<Option<TokenRecord>, RecordError>,
    ) -> Result<Option<Arc<TokenRecord>>, RecordError> {
        if let Some(known) = self
            .records
            .of(key_of(id))
            .as_ref()
            .filter(|known| known.id == id)
        {
            return Ok(Some(Arc::clone(known)));
        }
        let changes = self.changes.load(Ordering::SeqCst);
        let Some(record) = read()?.map(Arc::new) else {
            return Ok(None);
        };
        let mut place = self.records.of(key_of(id));
        // Under the lock: whoever changes the record now waits for it, and takes the record out again.
        if self.changes.load(Ordering::SeqCst) == changes && is_short(&record) {
            *place = Some(Arc::clone(&record));
        }
        Ok(Some(record))
    }

    /// To be called once a new record is on disk, and before anybody knows of it who could change it.
    pub(super) fn add(&self, record: Arc<TokenRecord>) {
        if is_short(&record) {
            let mut place = self.records.of(key_of(record.id));
            *place = Some(record);
        }
    }

    /// To be called once a record was changed on disk, and before anybody is told.
    pub(super) fn forget(&self, id: Uuid) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.records.of(key_of(id)).take();
    }

    /// The same for any number of records.
    pub(super) fn forget_all(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.records.clear();
    }
}

fn is_short(record: &TokenRecord) -> bool {
    let texts = [&record.client_id, record.scope.as_str(), &record.audience];
    texts.map(str::len).iter().sum::<usize>() <= LONGEST_TEXTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_store::tests::record_issued_at;

    fn read(record: &TokenRecord) -> Result<Option<TokenRecord>, RecordError> {
        Ok(Some(record.clone()))
    }

    #[test]
    fn reads_a_record_once_until_it_is_changed() {
        let (known, record) = (Known::default(), record_issued_at(1));
        let (other, unread) = (record_issued_at(1), || panic!("read again"));
        for read_record in [&record, &other] {
            let found = known.get_or_read(read_record.id, || read(read_record)).unwrap();
            assert_eq!(found.as_deref(), Some(read_record));
            let again = known.get_or_read(read_record.id, unread).unwrap();
            assert_eq!(again.as_deref(), Some(read_record));
        }
        let revoked = TokenRecord {
            revoked_at: Some(record.issued_at),
            ..record.clone()
        };
        known.forget(record.id);
        assert_eq!(
            known.get_or_read(other.id, unread).unwrap().as_deref(),
            Some(&other)
        );
        let found = known.get_or_read(record.id, || read(&revoked)).unwrap();
        assert_eq!(found.as_deref(), Some(&revoked));
        known.forget_all();
        assert!(known.get_or_read(other.id, || Ok(None)).unwrap().is_none());
        known.add(Arc::new(other.clone()));
        assert_eq!(
            known.get_or_read(other.id, unread).unwrap().as_deref(),
            Some(&other)
        );
    }

    /// I16: the reader has the record as it was, and says so; who asks after the change reads again.
    #[test]
    fn does_not_keep_what_was_changed_while_it_was_read() {
        let (known, record) = (Known::default(), record_issued_at(1));
        let found = known.get_or_read(record.id, || {
            known.forget(record.id);
            read(&record)
        });
        assert_eq!(found.unwrap().as_deref(), Some(&record));
        assert!(known.get_or_read(record.id, || Ok(None)).unwrap().is_none());
    }

    #[test]
    fn reads_a_record_with_a_long_scope_each_time() {
        let scope = "x".repeat(LONGEST_TEXTS).parse().unwrap();
        let (known, record) = (Known::default(), record_issued_at(1));
        let long = TokenRecord { scope, ..record };
        assert!(known.get_or_read(long.id, || read(&long)).unwrap().is_some());
        assert!(known.get_or_read(long.id, || Ok(None)).unwrap().is_none());
        known.add(Arc::new(long.clone()));
        assert!(known.get_or_read(long.id, || Ok(None)).unwrap().is_none());
    }

    #[test]
    fn remembers_neither_absence_nor_failure() {
        let (known, record) = (Known::default(), record_issued_at(1));
        assert!(known.get_or_read(record.id, || Ok(None)).unwrap().is_none());
        assert!(known.get_or_read(record.id, || Err(RecordError::Record)).is_err());
        let found = known.get_or_read(record.id, || read(&record)).unwrap();
        assert_eq!(found.as_deref(), Some(&record));
    }
}
