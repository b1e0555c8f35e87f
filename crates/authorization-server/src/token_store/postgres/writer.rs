//! The one task that writes: it takes all changes that wait, has them committed together, and only then answers.
//!
//! A failed batch fails whoever waits for it, and nobody else: the next one is tried on another connection.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use deadpool_postgres::Client;
use metrics::{counter, histogram};
use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::connections::{Connections, bounded};
use super::failure::Failure;
use super::statements;
use crate::token_store::queue::{Effect, LARGEST_BATCH, Request};
use crate::token_store::{AssertionDigest, StoreError};

/// A change to what is stored.
#[derive(Debug)]
pub(super) enum Change {
    Insert(Arc<TokenRecord>),
    Revoke {
        id: Uuid,
        now: Timestamp,
    },
    RememberAssertion {
        assertion: AssertionDigest,
        expires_at: Timestamp,
    },
}

pub(super) struct Writer {
    connections: Arc<Connections>,
    waiting: mpsc::Receiver<Request<Change>>,
}

impl Writer {
    pub(super) const fn new(connections: Arc<Connections>, waiting: mpsc::Receiver<Request<Change>>) -> Self {
        Self { connections, waiting }
    }

    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(LARGEST_BATCH);
        while self.waiting.recv_many(&mut batch, LARGEST_BATCH).await > 0 {
            let changes = Changes::of(&batch);
            // A batch that failed is dropped, which tells its senders; the cause is in the log.
            if let Ok(new_assertions) = self.commit(&changes).await {
                answer(&mut batch, new_assertions);
            }
            batch.clear();
        }
    }

    /// The assertions of the batch that had not been used before; all changes are durable.
    async fn commit(&self, changes: &Changes) -> Result<HashSet<Vec<u8>>, StoreError> {
        let client = self.connections.client().await?;
        let started = Instant::now();
        let made = bounded(make(&client, changes)).await;
        let new_assertions = self.connections.done(client, made)?;
        self.connections.count_commit();
        counter!("certbound_authorization_server_store_commits_total").increment(1);
        counter!("certbound_authorization_server_store_changes_total").increment(changes.count() as u64);
        histogram!("certbound_authorization_server_store_commit_duration_seconds").record(started.elapsed());
        Ok(new_assertions)
    }
}

/// Three statements, sent without waiting for one another.
async fn make(client: &Client, changes: &Changes) -> Result<HashSet<Vec<u8>>, Failure> {
    let ((), (), new_assertions) = tokio::try_join!(
        statements::insert(client, &changes.records),
        statements::revoke(client, &changes.revocations),
        statements::remember(client, &changes.assertions),
    )?;
    Ok(new_assertions.into_iter().collect())
}

/// Whoever comes first in the batch is the one that used an assertion first.
fn answer(batch: &mut Vec<Request<Change>>, mut new_assertions: HashSet<Vec<u8>>) {
    for request in batch.drain(..) {
        let effect = match &request.change {
            Change::RememberAssertion { assertion, .. }
                if !new_assertions.remove(assertion.as_bytes().as_slice()) =>
            {
                Effect::AlreadyThere
            }
            Change::Insert(_) | Change::Revoke { .. } | Change::RememberAssertion { .. } => Effect::Made,
        };
        request.answer(effect);
    }
}

/// A batch, by what is to be done.
#[derive(Debug, Default)]
struct Changes {
    records: Vec<Arc<TokenRecord>>,
    revocations: Vec<(Uuid, Timestamp)>,
    assertions: Vec<(AssertionDigest, Timestamp)>,
}

impl Changes {
    fn of(batch: &[Request<Change>]) -> Self {
        let mut changes = Self::default();
        for request in batch {
            match &request.change {
                Change::Insert(record) => changes.records.push(Arc::clone(record)),
                Change::Revoke { id, now } => changes.revocations.push((*id, *now)),
                Change::RememberAssertion {
                    assertion,
                    expires_at,
                } => changes.assertions.push((*assertion, *expires_at)),
            }
        }
        changes.keep_first_of_each();
        changes
    }

    /// One statement touches no row twice.
    fn keep_first_of_each(&mut self) {
        let mut ids = HashSet::new();
        self.revocations.retain(|(id, _)| ids.insert(*id));
        let mut digests = HashSet::new();
        self.assertions
            .retain(|(assertion, _)| digests.insert(*assertion));
    }

    fn count(&self) -> usize {
        self.records.len() + self.revocations.len() + self.assertions.len()
    }
}
