//! The tables, and how they come to be: made by whichever server starts first, upgraded by the first newer one.
//!
//! The row that holds the version is the lock. Plain SQL throughout, which the wire-compatible databases take too;
//! every upgrade can be repeated, because not all of them undo one that was cut short.

use std::time::Duration;

use deadpool_postgres::Client;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

use super::failure::{Failure, is_contention};

/// What leads from each version to the next; version 0 has no tables. Entries are never changed, only added, and a
/// program of the version before must be able to go on working with the result.
const UPGRADES: &[&str] = &["
    CREATE TABLE IF NOT EXISTS certbound_tokens (
        id UUID PRIMARY KEY,
        record TEXT NOT NULL,
        client_key TEXT NOT NULL,
        certificate_key TEXT,
        expires_at BIGINT NOT NULL,
        revoked_at BIGINT
    );
    CREATE INDEX IF NOT EXISTS certbound_tokens_expires_at ON certbound_tokens (expires_at);
    CREATE TABLE IF NOT EXISTS certbound_assertions (
        digest BYTEA PRIMARY KEY,
        expires_at BIGINT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS certbound_assertions_expires_at ON certbound_assertions (expires_at);
    CREATE TABLE IF NOT EXISTS certbound_marks (
        key TEXT PRIMARY KEY,
        revoked_until BIGINT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS certbound_signing_keys (
        name TEXT PRIMARY KEY,
        private_key TEXT NOT NULL
    );
"];

const MAKE_VERSION: &str = "
    CREATE TABLE IF NOT EXISTS certbound_schema (the_row INT4 PRIMARY KEY, version INT4 NOT NULL);
    INSERT INTO certbound_schema (the_row, version) VALUES (1, 0) ON CONFLICT (the_row) DO NOTHING;
";
const VERSION: &str = "SELECT version FROM certbound_schema WHERE the_row = 1";
pub(super) const LOCK_VERSION: &str = "SELECT version FROM certbound_schema WHERE the_row = 1 FOR UPDATE";
const SET_VERSION: &str = "UPDATE certbound_schema SET version = $1 WHERE the_row = 1";

/// Servers that start at once get in one another's way, but one of them gets on each time.
const ATTEMPTS: usize = 10;
/// Bounds for how long a start takes, and waits for the upgrade that another server is making.
const LONGEST_UPGRADE: Duration = Duration::from_secs(60);

/// Leaves tables of the version that this program knows.
pub(super) async fn make_or_upgrade(client: &mut Client) -> Result<(), Failure> {
    let made = timeout(LONGEST_UPGRADE, make_or_upgrade_patiently(client)).await;
    made.unwrap_or(Err(Failure::TooSlow))
}

async fn make_or_upgrade_patiently(client: &mut Client) -> Result<(), Failure> {
    if version(client).await? == Some(known()) {
        return Ok(());
    }
    for _ in 1..ATTEMPTS {
        match upgrade(client).await {
            Err(UpgradeFailure::InTheWay) => {}
            Err(UpgradeFailure::Other(failure)) => return Err(failure),
            Ok(()) => return Ok(()),
        }
    }
    upgrade(client).await.map_err(|failure| match failure {
        UpgradeFailure::InTheWay => Failure::TooSlow,
        UpgradeFailure::Other(failure) => failure,
    })
}

fn known() -> i32 {
    i32::try_from(UPGRADES.len()).unwrap_or(i32::MAX)
}

/// The version of the tables; `None` where there are none. Needs no right to make any.
async fn version(client: &Client) -> Result<Option<i32>, Failure> {
    let rows = match client.query(VERSION, &[]).await {
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(None),
        rows => rows?,
    };
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let found = row.try_get(0)?;
    verify_known(found)?;
    Ok(Some(found))
}

fn verify_known(found: i32) -> Result<(), Failure> {
    if found > known() {
        return Err(Failure::NewerSchema {
            found,
            known: known(),
        });
    }
    Ok(())
}

async fn upgrade(client: &mut Client) -> Result<(), UpgradeFailure> {
    client.batch_execute(MAKE_VERSION).await?;
    let transaction = client.transaction().await?;
    let patience = format!("SET LOCAL statement_timeout = {}", LONGEST_UPGRADE.as_millis());
    transaction.batch_execute(&patience).await?;
    let found: i32 = transaction.query_one(LOCK_VERSION, &[]).await?.try_get(0)?;
    verify_known(found)?;
    let done = usize::try_from(found).unwrap_or_default();
    for upgrade in UPGRADES.iter().skip(done) {
        transaction.batch_execute(upgrade).await?;
    }
    transaction.execute(SET_VERSION, &[&known()]).await?;
    transaction.commit().await?;
    if done < UPGRADES.len() {
        tracing::info!(
            store.version = known(),
            "the store's tables are now of version {}",
            known()
        );
    }
    Ok(())
}

enum UpgradeFailure {
    /// Another server did the same at the same moment.
    InTheWay,
    Other(Failure),
}

impl From<Failure> for UpgradeFailure {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<tokio_postgres::Error> for UpgradeFailure {
    fn from(error: tokio_postgres::Error) -> Self {
        let made_meanwhile = matches!(
            error.code(),
            Some(&SqlState::UNIQUE_VIOLATION | &SqlState::DUPLICATE_TABLE | &SqlState::DUPLICATE_OBJECT)
        );
        if made_meanwhile || is_contention(&error) {
            Self::InTheWay
        } else {
            Self::Other(error.into())
        }
    }
}
