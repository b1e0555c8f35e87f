//! The one thread that writes: it takes all changes that wait, commits them together, and only then answers.
//!
//! A commit costs one flush to disk however many changes it holds. After a failed one nobody knows what is on disk:
//! the thread ends, nothing is written any more, and the service is to be started again.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use metrics::{counter, histogram};
use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use redb::{Database, Durability};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::bucket::{self, RecordError};
use super::{StoreError, TokensOf, mark};

/// Bounds the memory that waiting changes take; further ones are refused.
const LONGEST_QUEUE: usize = 4096;
/// Bounds for how long the first change of a batch waits for the others.
const LARGEST_BATCH: usize = 1000;

/// A change to the stored records.
#[derive(Debug)]
pub(super) enum Change {
    Insert(Box<TokenRecord>),
    Revoke { id: Uuid, now: Timestamp },
    RevokeAll { of: TokensOf, now: Timestamp },
    Purge { now: Timestamp },
}

#[derive(Debug)]
struct Request {
    change: Change,
    committed: oneshot::Sender<()>,
}

/// The writing thread, seen from outside; dropping it waits for the changes in hand.
#[derive(Debug)]
pub(super) struct Writer {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    health: StoreHealth,
}

impl Writer {
    pub(super) fn start(database: Arc<Database>, path: PathBuf) -> io::Result<Self> {
        let (requests, waiting) = mpsc::channel(LONGEST_QUEUE);
        let (commits, health) = watch::channel(0);
        let thread = Builder::new().name("token-store".to_owned()).spawn(move || {
            WritingThread {
                database,
                path,
                waiting,
                commits,
            }
            .run();
        })?;
        let health = StoreHealth(health);
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
            health,
        })
    }

    /// Resolves once the change is on disk.
    pub(super) async fn write(&self, change: Change) -> Result<(), StoreError> {
        let requests = self.requests.as_ref().ok_or(StoreError::Failed)?;
        let (committed, answer) = oneshot::channel();
        requests
            .try_send(Request { change, committed })
            .map_err(|error| match error {
                TrySendError::Full(_) => StoreError::Overloaded,
                TrySendError::Closed(_) => StoreError::Failed,
            })?;
        answer.await.map_err(|_| StoreError::Failed)
    }

    pub(super) fn health(&self) -> StoreHealth {
        self.health.clone()
    }

    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        *self.health.0.borrow()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests.take();
        // Whoever opens the file next must find it unlocked. The wait is for one commit at most.
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the token store's writing thread panicked");
        }
    }
}

/// Whether a store still writes.
#[derive(Clone, Debug)]
pub struct StoreHealth(watch::Receiver<u64>);

impl StoreHealth {
    /// Whether the store writes right now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] once it has stopped.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.0.has_changed().map(|_| ()).map_err(|_| StoreError::Failed)
    }

    /// Resolves once the store has stopped.
    pub async fn stopped(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

struct WritingThread {
    database: Arc<Database>,
    path: PathBuf,
    waiting: mpsc::Receiver<Request>,
    /// Dropped when the thread ends, for whatever reason: that is what health looks at.
    commits: watch::Sender<u64>,
}

impl WritingThread {
    fn run(mut self) {
        let mut batch = Vec::with_capacity(LARGEST_BATCH);
        while self.waiting.blocking_recv_many(&mut batch, LARGEST_BATCH) > 0 {
            if let Err(error) = self.commit(&batch) {
                let path = self.path.display();
                tracing::error!(
                    store.path = %path,
                    reason = %error,
                    "the token store {path} cannot be written and stops: {error}"
                );
                // Dropping the requests tells their senders.
                return;
            }
            for request in batch.drain(..) {
                // Whoever has gone away does not need the answer.
                let _gone = request.committed.send(());
            }
        }
    }

    fn commit(&self, batch: &[Request]) -> Result<(), RecordError> {
        let started = Instant::now();
        let mut transaction = self.database.begin_write().map_err(RecordError::file)?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(RecordError::file)?;
        for request in batch {
            match &request.change {
                Change::Insert(record) => bucket::insert(&transaction, record)?,
                Change::Revoke { id, now } => bucket::revoke(&transaction, *id, *now)?,
                Change::RevokeAll { of, now } => mark::set(&transaction, of, *now)?,
                Change::Purge { now } => {
                    mark::purge(&transaction, *now)?;
                    log_purge(bucket::purge(&transaction, *now)?);
                }
            }
        }
        transaction.commit().map_err(RecordError::file)?;
        self.commits.send_modify(|commits| *commits += 1);
        counter!("certbound_authorization_server_store_commits_total").increment(1);
        counter!("certbound_authorization_server_store_changes_total").increment(batch.len() as u64);
        histogram!("certbound_authorization_server_store_commit_duration_seconds").record(started.elapsed());
        Ok(())
    }
}

fn log_purge(buckets: usize) {
    if buckets > 0 {
        tracing::info!(
            store.buckets = buckets,
            "{buckets} hours of expired tokens purged"
        );
    }
}
