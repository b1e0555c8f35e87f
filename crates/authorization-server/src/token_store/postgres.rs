//! The shared engine: PostgreSQL, or what speaks its protocol, for any number of authorization servers.
//!
//! Nothing is remembered here between two calls: what one server has answered, every other one knows. While the
//! database cannot be reached every call is refused at once, and once it can again, the store works again by itself.

use std::sync::Arc;

use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::health;
use super::queue::{Effect, Queue};
use super::{AssertionDigest, AssertionUse, Pending, StoreError, StoreHealth, TokenStore, TokensOf};
use crate::configuration::PostgresConfiguration;

mod connections;
mod failure;
mod schema;
mod signing_keys;
mod statements;
mod writer;

use connections::Connections;
use failure::Failure;
pub(crate) use signing_keys::{KeyChange, KeyRow};
use statements::Left;
use writer::{Change, Writer};

/// Token records, used assertions and signing keys in a database that several servers share.
#[derive(Debug)]
pub struct PostgresTokenStore {
    connections: Arc<Connections>,
    queue: Queue<Change>,
    health: StoreHealth,
    /// The writer, and what watches over the connections; both end with the store.
    _tasks: JoinSet<()>,
}

impl PostgresTokenStore {
    /// Connects, and makes or upgrades the tables where that is needed. While nobody answers there, every call is
    /// refused, and all that is done as soon as somebody does.
    ///
    /// # Errors
    ///
    /// [`PostgresError`] names the server and the remedy, where waiting is none.
    pub async fn open(configuration: &PostgresConfiguration) -> Result<Self, PostgresError> {
        let failed = |cause| PostgresError {
            server: configuration.server(),
            cause,
        };
        let (condition, health) = health::channel();
        let connections = Connections::new(configuration, condition).map_err(failed)?;
        match connections.prepare().await {
            Err(failure) if failure.may_pass() => {
                let server = configuration.server();
                tracing::warn!(
                    store.server = server,
                    "store.url: started without {server}, and waiting for it"
                );
                connections.note(&Err(failure));
            }
            prepared => prepared.map_err(failed)?,
        }
        let connections = Arc::new(connections);
        let (queue, waiting) = Queue::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(Writer::new(Arc::clone(&connections), waiting).run());
        tasks.spawn(connections::watch_over(Arc::clone(&connections)));
        Ok(Self {
            connections,
            queue,
            health,
            _tasks: tasks,
        })
    }

    /// A session like those the store works with.
    #[cfg(test)]
    pub(super) async fn client(&self) -> deadpool_postgres::Client {
        self.connections.client().await.unwrap()
    }

    async fn write(&self, change: Change) -> Result<Effect, StoreError> {
        self.connections.verify_reachable()?;
        self.queue.write(change).await
    }

    async fn read(&self, id: Uuid) -> Result<Option<TokenRecord>, StoreError> {
        let client = self.connections.client().await?;
        let record = connections::bounded(statements::record(&client, id)).await;
        self.connections.done(client, record)
    }

    async fn mark(&self, of: TokensOf, now: Timestamp) -> Result<(), StoreError> {
        let client = self.connections.client().await?;
        let marked = connections::bounded(statements::mark(&client, &of, now)).await;
        self.connections.done(client, marked)
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<(), StoreError> {
        // Each batch commits by itself, so that none holds its locks for long.
        while self.delete_batch(now).await? == Left::Something {}
        Ok(())
    }

    async fn delete_batch(&self, now: Timestamp) -> Result<Left, StoreError> {
        let client = self.connections.client().await?;
        let deleted = connections::bounded(statements::delete_expired(&client, now)).await;
        self.connections.done(client, deleted)
    }
}

impl TokenStore for PostgresTokenStore {
    fn insert(&self, record: Arc<TokenRecord>) -> Pending<'_, ()> {
        Box::pin(async move { self.write(Change::Insert(record)).await.map(|_| ()) })
    }

    fn record(&self, id: Uuid) -> Pending<'_, Option<Arc<TokenRecord>>> {
        Box::pin(async move { Ok(self.read(id).await?.map(Arc::new)) })
    }

    fn revoke(&self, id: Uuid, now: Timestamp) -> Pending<'_, ()> {
        Box::pin(async move { self.write(Change::Revoke { id, now }).await.map(|_| ()) })
    }

    fn revoke_all(&self, of: TokensOf, now: Timestamp) -> Pending<'_, ()> {
        Box::pin(self.mark(of, now))
    }

    fn remember_assertion(
        &self,
        assertion: AssertionDigest,
        expires_at: Timestamp,
    ) -> Pending<'_, AssertionUse> {
        let change = Change::RememberAssertion {
            assertion,
            expires_at,
        };
        Box::pin(async move { self.write(change).await.map(AssertionUse::from) })
    }

    fn purge(&self, now: Timestamp) -> Pending<'_, ()> {
        Box::pin(self.delete_expired(now))
    }

    fn health(&self) -> StoreHealth {
        self.health.clone()
    }
}

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("store.url: {server}: {cause}")]
pub struct PostgresError {
    server: String,
    cause: Failure,
}
