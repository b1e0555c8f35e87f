//! Every statement, and what goes in and comes out: rows for records, digests and keys.
//!
//! Each is a transaction of its own. Changes go in batches: one statement, one flush, whatever their number.

use deadpool_postgres::Client;
use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::failure::{Failure, is_contention};
use crate::token_store::{AssertionDigest, CLOCK_DIFFERENCE};

const RECORD: &str = "SELECT record, revoked_at FROM certbound_tokens WHERE id = $1";
const INSERT: &str = "INSERT INTO certbound_tokens (id, record, expires_at) \
    SELECT * FROM unnest($1::UUID[], $2::TEXT[], $3::BIGINT[])";
/// The first revocation stands.
const REVOKE: &str = "UPDATE certbound_tokens SET revoked_at = revocation.moment \
    FROM unnest($1::UUID[], $2::BIGINT[]) AS revocation (id, moment) \
    WHERE certbound_tokens.id = revocation.id AND certbound_tokens.revoked_at IS NULL";
/// The primary key decides who was first.
const REMEMBER: &str = "INSERT INTO certbound_assertions (digest, expires_at) \
    SELECT * FROM unnest($1::BYTEA[], $2::BIGINT[]) \
    ON CONFLICT (digest) DO NOTHING RETURNING digest";
const SIGNING_KEY: &str = "SELECT private_key FROM certbound_signing_keys WHERE name = $1";
/// The primary key decides which of several servers made the key.
const KEEP_SIGNING_KEY: &str = "INSERT INTO certbound_signing_keys (name, private_key) VALUES ($1, $2) \
    ON CONFLICT (name) DO NOTHING";
const DELETE_TOKENS: &str = "DELETE FROM certbound_tokens WHERE id IN (SELECT id FROM certbound_tokens \
    WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) RETURNING 1";
const DELETE_ASSERTIONS: &str = "DELETE FROM certbound_assertions WHERE digest IN (SELECT digest \
    FROM certbound_assertions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) RETURNING 1";

/// Bounds for how long a deletion holds its locks.
const LARGEST_DELETION: usize = 1000;
/// How often a statement is made that the database undoes because of others.
const ATTEMPTS: usize = 3;

pub(super) async fn record(client: &Client, id: Uuid) -> Result<Option<TokenRecord>, Failure> {
    let rows = execute(client, RECORD, &[&id]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let record: TokenRecord = serde_json::from_str(row.try_get(0)?)?;
    let revoked_at: Option<i64> = row.try_get(1)?;
    Ok(Some(TokenRecord {
        revoked_at: revoked_at.map(timestamp).transpose()?,
        ..record
    }))
}

pub(super) async fn insert(client: &Client, records: &[TokenRecord]) -> Result<(), Failure> {
    if records.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = records.iter().map(|record| record.id).collect();
    let texts: Vec<String> = records
        .iter()
        .map(serde_json::to_string)
        .collect::<Result<_, _>>()?;
    let expiries: Vec<i64> = records
        .iter()
        .map(|record| seconds(record.expires_at))
        .collect::<Result<_, _>>()?;
    execute(client, INSERT, &[&ids, &texts, &expiries]).await?;
    Ok(())
}

pub(super) async fn revoke(client: &Client, revocations: &[(Uuid, Timestamp)]) -> Result<(), Failure> {
    if revocations.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = revocations.iter().map(|(id, _)| *id).collect();
    let moments: Vec<i64> = revocations
        .iter()
        .map(|(_, now)| seconds(*now))
        .collect::<Result<_, _>>()?;
    execute(client, REVOKE, &[&ids, &moments]).await?;
    Ok(())
}

/// The digests that were not there before; each of `assertions` is there once.
pub(super) async fn remember(
    client: &Client,
    assertions: &[(AssertionDigest, Timestamp)],
) -> Result<Vec<Vec<u8>>, Failure> {
    if assertions.is_empty() {
        return Ok(Vec::new());
    }
    let digests: Vec<&[u8]> = assertions
        .iter()
        .map(|(assertion, _)| assertion.as_bytes().as_slice())
        .collect();
    let expiries: Vec<i64> = assertions
        .iter()
        .map(|(_, expires_at)| seconds(*expires_at))
        .collect::<Result<_, _>>()?;
    let rows = execute(client, REMEMBER, &[&digests, &expiries]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Deletes some of what has expired, and says whether more is left.
pub(super) async fn delete_expired(client: &Client, now: Timestamp) -> Result<Left, Failure> {
    let tokens = delete(client, DELETE_TOKENS, now).await?;
    let assertions = delete(client, DELETE_ASSERTIONS, now.minus(CLOCK_DIFFERENCE)).await?;
    Ok(if tokens.max(assertions) == LARGEST_DELETION {
        Left::Something
    } else {
        Left::Nothing
    })
}

/// What is left to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Something,
}

async fn delete(client: &Client, deletion: &str, before: Timestamp) -> Result<usize, Failure> {
    let limit = i64::try_from(LARGEST_DELETION).unwrap_or(i64::MAX);
    let deleted = execute(client, deletion, &[&seconds(before)?, &limit]).await?;
    Ok(deleted.len())
}

pub(super) async fn signing_key(client: &Client, name: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    let rows = execute(client, SIGNING_KEY, &[&name]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(Zeroizing::new(row.try_get(0)?)))
}

pub(super) async fn keep_signing_key(
    client: &Client,
    name: &str,
    made: &str,
) -> Result<Zeroizing<String>, Failure> {
    execute(client, KEEP_SIGNING_KEY, &[&name, &made]).await?;
    // Another server may have been faster.
    signing_key(client, name).await?.ok_or(Failure::NoSigningKey)
}

async fn execute(
    client: &Client,
    statement: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Failure> {
    let prepared = client.prepare_cached(statement).await?;
    for _ in 1..ATTEMPTS {
        match client.query(&prepared, parameters).await {
            Err(error) if is_contention(&error) => {}
            rows => return Ok(rows?),
        }
    }
    Ok(client.query(&prepared, parameters).await?)
}

fn seconds(moment: Timestamp) -> Result<i64, Failure> {
    i64::try_from(moment.as_unix_seconds()).map_err(|_| Failure::Time)
}

fn timestamp(seconds: i64) -> Result<Timestamp, Failure> {
    u64::try_from(seconds)
        .map(Timestamp::from_unix_seconds)
        .map_err(|_| Failure::Time)
}
