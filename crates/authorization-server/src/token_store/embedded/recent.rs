//! The records that lie in the journal alone: few, and held in memory until the file has taken them in.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use uuid::Uuid;

use super::encoding::EncodedRecord;

/// In the order in which the file takes them in.
type Records = BTreeMap<Uuid, Arc<EncodedRecord>>;

/// Filled and emptied by the writing thread, read by everybody.
#[derive(Debug, Default)]
pub(super) struct Recent(RwLock<Records>);

impl Recent {
    pub(super) fn get(&self, id: Uuid) -> Option<Arc<EncodedRecord>> {
        self.records().get(&id).map(Arc::clone)
    }

    pub(super) fn records(&self) -> RwLockReadGuard<'_, Records> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called once they are on disk.
    pub(super) fn add(&self, records: &[&Arc<EncodedRecord>]) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.extend(records.iter().map(|record| (record.id, Arc::clone(record))));
    }

    /// To be called once the file has them: whoever does not find one here looks there next.
    pub(super) fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
