//! Every statement, and what goes in and comes out: rows for records, marks and digests.
//!
//! Each is a transaction of its own. Changes go in batches: one statement, one flush, whatever their number.

use std::sync::Arc;

use deadpool_postgres::Client;
use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::failure::{Failure, is_contention};
use crate::token_store::{AssertionDigest, CLOCK_DIFFERENCE, TokensOf, marks};

const RECORD: &str = "SELECT record, revoked_at, (SELECT max(revoked_until) FROM certbound_marks \
    WHERE key IN (certbound_tokens.client_key, certbound_tokens.certificate_key)) \
    FROM certbound_tokens WHERE id = $1";
const INSERT: &str = "INSERT INTO certbound_tokens (id, record, client_key, certificate_key, expires_at) \
    SELECT * FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[])";
/// The first revocation stands.
const REVOKE: &str = "UPDATE certbound_tokens SET revoked_at = revocation.moment \
    FROM unnest($1::UUID[], $2::BIGINT[]) AS revocation (id, moment) \
    WHERE certbound_tokens.id = revocation.id AND certbound_tokens.revoked_at IS NULL";
/// A clock that was set back takes nothing back.
const MARK: &str = "INSERT INTO certbound_marks (key, revoked_until) VALUES ($1, $2) ON CONFLICT (key) \
    DO UPDATE SET revoked_until = GREATEST(certbound_marks.revoked_until, EXCLUDED.revoked_until)";
/// The primary key decides who was first.
const REMEMBER: &str = "INSERT INTO certbound_assertions (digest, expires_at) \
    SELECT * FROM unnest($1::BYTEA[], $2::BIGINT[]) \
    ON CONFLICT (digest) DO NOTHING RETURNING digest";
const DELETE_TOKENS: &str = "DELETE FROM certbound_tokens WHERE id IN (SELECT id FROM certbound_tokens \
    WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) RETURNING 1";
const DELETE_ASSERTIONS: &str = "DELETE FROM certbound_assertions WHERE digest IN (SELECT digest \
    FROM certbound_assertions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) RETURNING 1";
const DELETE_MARKS: &str = "DELETE FROM certbound_marks WHERE revoked_until <= $1";

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
    let (revoked_at, mark): (Option<i64>, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
    let record = TokenRecord {
        revoked_at: revoked_at.map(timestamp).transpose()?,
        ..record
    };
    Ok(Some(marks::apply(record, mark.map(timestamp).transpose()?)))
}

pub(super) async fn insert(client: &Client, records: &[Arc<TokenRecord>]) -> Result<(), Failure> {
    if records.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = records.iter().map(|record| record.id).collect();
    let texts: Vec<String> = records
        .iter()
        .map(|record| serde_json::to_string(&**record))
        .collect::<Result<_, _>>()?;
    let expiries: Vec<i64> = records
        .iter()
        .map(|record| seconds(record.expires_at))
        .collect::<Result<_, _>>()?;
    let clients: Vec<String> = records.iter().map(|record| marks::client_key(record)).collect();
    let certificates: Vec<Option<String>> = records
        .iter()
        .map(|record| marks::certificate_key(record))
        .collect();
    execute(
        client,
        INSERT,
        &[&ids, &texts, &clients, &certificates, &expiries],
    )
    .await?;
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

pub(super) async fn mark(client: &Client, of: &TokensOf, now: Timestamp) -> Result<(), Failure> {
    execute(client, MARK, &[&marks::key(of), &seconds(now)?]).await?;
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
    // As many as an operator has set in a day.
    execute(client, DELETE_MARKS, &[&seconds(now.minus(marks::LONGEST_USE))?]).await?;
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
