//! The one thread that writes: it takes all changes that wait, commits them together, and only then answers.
//!
//! A commit costs one flush to disk however many changes it holds: new records alone go into the journal while there
//! is room, all else into the file, and with it what lies in the journal. A flush of a good disk is over before a
//! second change has come; therefore a busy store commits at intervals, and only an idle one at once. After a failed
//! commit nobody knows what is on disk: the thread ends, nothing is written any more, and the service is to be started
//! again.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};
use std::{iter, mem};

use metrics::{counter, histogram};
use oauth_core::time::Timestamp;
use redb::{Database, Durability, WriteTransaction};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::assertions;
use super::bucket::{self, RecordError};
use super::encoding::EncodedRecord;
use super::journal::Journal;
use super::known::Known;
use super::mark::{self, Marks};
use super::recent::Recent;
use crate::token_store::health::{self, Condition, count_commit};
use crate::token_store::queue::{Effect, LARGEST_BATCH, Queue, Request};
use crate::token_store::{AssertionDigest, StoreError, StoreHealth, TokensOf};

/// From one commit's beginning to the next one's, at least: at a thousand flushes in a second they cost a small part of
/// a core, and no caller notices the wait.
const COMMIT_INTERVAL: Duration = Duration::from_millis(1);

/// A change to the stored records.
#[derive(Debug)]
pub(super) enum Change {
    Insert(Arc<EncodedRecord>),
    Revoke {
        id: Uuid,
        now: Timestamp,
    },
    RevokeAll {
        of: TokensOf,
        now: Timestamp,
    },
    RememberAssertion {
        assertion: AssertionDigest,
        expires_at: Timestamp,
    },
    Purge {
        now: Timestamp,
    },
}

impl Change {
    const fn may_change_marks(&self) -> bool {
        matches!(self, Self::RevokeAll { .. } | Self::Purge { .. })
    }
}

/// The writing thread, seen from outside; dropping it waits for the changes in hand.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<Queue<Change>>,
    thread: Option<JoinHandle<()>>,
    health: StoreHealth,
}

impl Writer {
    /// To be called within the runtime of those who will wait for changes.
    pub(super) fn start(files: Files) -> io::Result<Self> {
        let (queue, waiting) = Queue::new();
        let (condition, health) = health::channel();
        let runtime = Handle::current();
        let thread = Builder::new().name("token-store".to_owned()).spawn(move || {
            WritingThread {
                files,
                runtime,
                waiting,
                condition,
            }
            .run();
        })?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            health,
        })
    }

    /// Resolves once the change is on disk.
    pub(super) async fn write(&self, change: Change) -> Result<Effect, StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Failed)?;
        queue.write(change).await
    }

    /// Whether it still writes.
    pub(super) fn verify(&self) -> Result<(), StoreError> {
        self.health.verify()
    }

    pub(super) fn health(&self) -> StoreHealth {
        self.health.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.take();
        // Whoever opens the file next must find it unlocked. The wait is for two commits at most.
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the token store's writing thread panicked");
        }
    }
}

struct WritingThread {
    files: Files,
    /// Of those who wait.
    runtime: Handle,
    waiting: mpsc::Receiver<Request<Change>>,
    /// Dropped when the thread ends, for whatever reason: that is what health looks at.
    condition: watch::Sender<Condition>,
}

impl WritingThread {
    fn run(mut self) {
        if let Err(error) = self.commit_what_comes() {
            let path = self.files.path.display();
            tracing::error!(
                store.path = %path,
                reason = %error,
                "the token store {path} cannot be written and stops: {error}"
            );
            // Dropping the requests tells their senders.
        }
    }

    /// Returns once nobody is left to hand in changes.
    fn commit_what_comes(&mut self) -> Result<(), RecordError> {
        let mut batch = Vec::new();
        while self.waiting.blocking_recv_many(&mut batch, LARGEST_BATCH) > 0 {
            let started = Instant::now();
            let effects = self.commit(&batch)?;
            self.answer(mem::take(&mut batch), effects);
            thread::sleep(COMMIT_INTERVAL.saturating_sub(started.elapsed()));
        }
        // So that the file, closed in order, is whole without its journal.
        self.files.commit_to_database(&[])?;
        Ok(())
    }

    /// The effect of each request of the batch, all of them durable.
    fn commit(&mut self, batch: &[Request<Change>]) -> Result<Vec<Effect>, RecordError> {
        let started = Instant::now();
        let effects = self.files.commit(batch)?;
        count_commit(&self.condition);
        counter!("certbound_authorization_server_store_commits_total").increment(1);
        counter!("certbound_authorization_server_store_changes_total").increment(batch.len() as u64);
        histogram!("certbound_authorization_server_store_commit_duration_seconds").record(started.elapsed());
        Ok(effects)
    }

    /// From within the runtime, which is woken once and not for each request.
    fn answer(&self, batch: Vec<Request<Change>>, effects: Vec<Effect>) {
        self.runtime.spawn(async move {
            for (request, effect) in batch.into_iter().zip(effects) {
                request.answer(effect);
            }
        });
    }
}

/// What the thread writes.
pub(super) struct Files {
    pub(super) path: PathBuf,
    pub(super) database: Arc<Database>,
    pub(super) journal: Journal,
    /// What lies in the journal.
    pub(super) recent: Arc<Recent>,
    /// What was read of late.
    pub(super) known: Arc<Known>,
    pub(super) marks: Arc<Marks>,
}

impl Files {
    fn commit(&mut self, batch: &[Request<Change>]) -> Result<Vec<Effect>, RecordError> {
        match new_records(batch) {
            Some(records) if self.journal.has_room() => {
                self.journal.append(&records)?;
                self.recent.add(&records);
                Ok(vec![Effect::Made; batch.len()])
            }
            Some(_) | None => self.commit_to_database(batch),
        }
    }

    fn commit_to_database(&mut self, batch: &[Request<Change>]) -> Result<Vec<Effect>, RecordError> {
        let mut transaction = self.database.begin_write().map_err(RecordError::file)?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(RecordError::file)?;
        bucket::insert(&transaction, self.recent.records().values().map(Arc::as_ref))?;
        let effects: Result<Vec<Effect>, RecordError> = batch
            .iter()
            .map(|request| make(&transaction, &request.change))
            .collect();
        let effects = effects?;
        let changes_marks = batch.iter().any(|request| request.change.may_change_marks());
        let marks = changes_marks.then(|| mark::all(&transaction)).transpose()?;
        let generation = self.journal.take_in(&transaction)?;
        transaction.commit().map_err(RecordError::file)?;
        self.journal.start_over(generation);
        self.recent.clear();
        if let Some(marks) = marks {
            self.marks.replace(marks);
        }
        self.forget_what_changed(batch);
        Ok(effects)
    }

    fn forget_what_changed(&self, batch: &[Request<Change>]) {
        for request in batch {
            match request.change {
                Change::Revoke { id, .. } => self.known.forget(id),
                Change::Purge { .. } => self.known.forget_all(),
                // A new record was not known, and marks are looked at apart from records.
                Change::Insert(_) | Change::RevokeAll { .. } | Change::RememberAssertion { .. } => {}
            }
        }
    }
}

/// The records of the batch, if it is of new ones alone.
fn new_records(batch: &[Request<Change>]) -> Option<Vec<&Arc<EncodedRecord>>> {
    let records = batch.iter().map(|request| match &request.change {
        Change::Insert(record) if bucket::has_place_for(record.id) => Some(record),
        _ => None,
    });
    records.collect()
}

fn make(transaction: &WriteTransaction, change: &Change) -> Result<Effect, RecordError> {
    match change {
        Change::Insert(record) => bucket::insert(transaction, iter::once(record.as_ref()))?,
        Change::Revoke { id, now } => bucket::revoke(transaction, *id, *now)?,
        Change::RevokeAll { of, now } => mark::set(transaction, of, *now)?,
        Change::RememberAssertion {
            assertion,
            expires_at,
        } => return assertions::remember(transaction, *assertion, *expires_at),
        Change::Purge { now } => {
            log_purge(bucket::purge(transaction, *now)?);
            assertions::purge(transaction, *now)?;
            mark::purge(transaction, *now)?;
        }
    }
    Ok(Effect::Made)
}

fn log_purge(buckets: usize) {
    if buckets > 0 {
        tracing::info!(
            store.buckets = buckets,
            "{buckets} hours of expired tokens purged"
        );
    }
}
