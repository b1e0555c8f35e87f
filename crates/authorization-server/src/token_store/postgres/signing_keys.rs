//! The signing keys in the database: a row each, changed by one server at a time.
//!
//! The row that holds the version of the tables is the lock, so that no two servers decide about the keys at once.

use deadpool_postgres::Client;
use tokio_postgres::{IsolationLevel, Transaction};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::schema::LOCK_VERSION;
use super::{PostgresTokenStore, connections};
use crate::token_store::StoreError;

const KEYS: &str = "SELECT name, private_key FROM certbound_signing_keys ORDER BY name";
const INSERT: &str = "INSERT INTO certbound_signing_keys (name, private_key) VALUES ($1, $2)";
const RENAME: &str = "UPDATE certbound_signing_keys SET name = $2 WHERE name = $1";
const DELETE: &str = "DELETE FROM certbound_signing_keys WHERE name = $1";

/// A private key, in PEM, and its name.
pub(crate) struct KeyRow {
    pub(crate) name: String,
    pub(crate) private_key: Zeroizing<String>,
}

/// A change to one row.
pub(crate) enum KeyChange {
    Insert(KeyRow),
    Rename { from: String, to: String },
    Delete { name: String },
}

impl PostgresTokenStore {
    /// Lets `decide` say, from all keys there are, what is to be changed. While it does nobody else changes them; what
    /// it answers with beside is passed on once the changes are durable. Where it fails nothing is changed.
    pub(crate) async fn change_signing_keys<T: Send, E: Send>(
        &self,
        decide: impl FnOnce(Vec<KeyRow>) -> Result<(Vec<KeyChange>, T), E> + Send,
    ) -> Result<Result<T, E>, StoreError> {
        let mut client = self.connections.client().await?;
        let changed = connections::bounded(change(&mut client, decide)).await;
        self.connections.done(client, changed)
    }
}

async fn change<T: Send, E: Send>(
    client: &mut Client,
    decide: impl FnOnce(Vec<KeyRow>) -> Result<(Vec<KeyChange>, T), E> + Send,
) -> Result<Result<T, E>, Failure> {
    // What is read after the lock is what the one before has left, whatever the database's own default is.
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .start()
        .await?;
    transaction.query_one(LOCK_VERSION, &[]).await?;
    let (changes, decision) = match decide(keys(&transaction).await?) {
        Ok(decided) => decided,
        Err(refusal) => {
            transaction.rollback().await?;
            return Ok(Err(refusal));
        }
    };
    for change in &changes {
        make(&transaction, change).await?;
    }
    transaction.commit().await?;
    Ok(Ok(decision))
}

async fn keys(transaction: &Transaction<'_>) -> Result<Vec<KeyRow>, Failure> {
    let mut keys = Vec::new();
    for row in transaction.query(KEYS, &[]).await? {
        keys.push(KeyRow {
            name: row.try_get(0)?,
            private_key: Zeroizing::new(row.try_get(1)?),
        });
    }
    Ok(keys)
}

async fn make(transaction: &Transaction<'_>, change: &KeyChange) -> Result<(), Failure> {
    match change {
        KeyChange::Insert(key) => {
            let private_key = key.private_key.as_str();
            transaction.execute(INSERT, &[&key.name, &private_key]).await?
        }
        KeyChange::Rename { from, to } => transaction.execute(RENAME, &[from, to]).await?,
        KeyChange::Delete { name } => transaction.execute(DELETE, &[name]).await?,
    };
    Ok(())
}
