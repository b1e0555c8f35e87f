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
use redb::{Database, Durability, WriteTransaction};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::bucket::{self, RecordError};
use super::{assertions, mark};
use crate::token_store::health::{self, Condition};
use crate::token_store::queue::{Effect, LARGEST_BATCH, Queue, Request};
use crate::token_store::{AssertionDigest, StoreError, StoreHealth, TokensOf};

/// A change to the stored records.
#[derive(Debug)]
pub(super) enum Change {
    Insert(Box<TokenRecord>),
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

/// The writing thread, seen from outside; dropping it waits for the changes in hand.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<Queue<Change>>,
    thread: Option<JoinHandle<()>>,
    health: StoreHealth,
}

impl Writer {
    pub(super) fn start(database: Arc<Database>, path: PathBuf) -> io::Result<Self> {
        let (queue, waiting) = Queue::new();
        let (condition, health) = health::channel();
        let thread = Builder::new().name("token-store".to_owned()).spawn(move || {
            WritingThread {
                database,
                path,
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

    pub(super) fn health(&self) -> StoreHealth {
        self.health.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.take();
        // Whoever opens the file next must find it unlocked. The wait is for one commit at most.
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the token store's writing thread panicked");
        }
    }
}

struct WritingThread {
    database: Arc<Database>,
    path: PathBuf,
    waiting: mpsc::Receiver<Request<Change>>,
    /// Dropped when the thread ends, for whatever reason: that is what health looks at.
    condition: watch::Sender<Condition>,
}

impl WritingThread {
    fn run(mut self) {
        let mut batch = Vec::with_capacity(LARGEST_BATCH);
        while self.waiting.blocking_recv_many(&mut batch, LARGEST_BATCH) > 0 {
            match self.commit(&batch) {
                Ok(effects) => answer(&mut batch, effects),
                Err(error) => {
                    let path = self.path.display();
                    tracing::error!(
                        store.path = %path,
                        reason = %error,
                        "the token store {path} cannot be written and stops: {error}"
                    );
                    // Dropping the requests tells their senders.
                    return;
                }
            }
        }
    }

    /// The effect of each request of the batch, all of them durable.
    fn commit(&self, batch: &[Request<Change>]) -> Result<Vec<Effect>, RecordError> {
        let started = Instant::now();
        let mut transaction = self.database.begin_write().map_err(RecordError::file)?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(RecordError::file)?;
        let effects: Result<Vec<Effect>, RecordError> = batch
            .iter()
            .map(|request| make(&transaction, &request.change))
            .collect();
        let effects = effects?;
        transaction.commit().map_err(RecordError::file)?;
        self.condition.send_modify(|condition| condition.commits += 1);
        counter!("certbound_authorization_server_store_commits_total").increment(1);
        counter!("certbound_authorization_server_store_changes_total").increment(batch.len() as u64);
        histogram!("certbound_authorization_server_store_commit_duration_seconds").record(started.elapsed());
        Ok(effects)
    }
}

fn answer(batch: &mut Vec<Request<Change>>, effects: Vec<Effect>) {
    for (request, effect) in batch.drain(..).zip(effects) {
        request.answer(effect);
    }
}

fn make(transaction: &WriteTransaction, change: &Change) -> Result<Effect, RecordError> {
    match change {
        Change::Insert(record) => bucket::insert(transaction, record)?,
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
