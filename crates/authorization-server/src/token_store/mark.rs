//! Marks in the file: all tokens of a client, or of a certificate, that were issued up to a moment are revoked.
//!
//! One mark does for any number of tokens; it is looked at when a record is read.

use std::time::Duration;

use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use redb::{ReadTransaction, ReadableTable as _, TableDefinition, TableError, WriteTransaction};

use super::TokensOf;
use super::bucket::RecordError;

/// The moment of the latest revocation, in seconds since 1970, by whose tokens are meant.
const MARKS: TableDefinition<'_, &str, u64> = TableDefinition::new("revoked_until");

/// Longer than any token lives (24 hours), by what clocks may differ: then a mark has nothing left to revoke.
const LONGEST_USE: Duration = Duration::from_secs(25 * 60 * 60);

pub(super) fn set(transaction: &WriteTransaction, of: &TokensOf, now: Timestamp) -> Result<(), RecordError> {
    let mut marks = transaction.open_table(MARKS)?;
    let key = key(of);
    let set = marks.get(key.as_str())?.map(|mark| mark.value());
    // A clock that was set back takes nothing back.
    let latest = set.map_or(now.as_unix_seconds(), |set| set.max(now.as_unix_seconds()));
    marks.insert(key.as_str(), latest)?;
    Ok(())
}

/// The record, revoked where a mark says so.
pub(super) fn apply(transaction: &ReadTransaction, record: TokenRecord) -> Result<TokenRecord, RecordError> {
    let marks = match transaction.open_table(MARKS) {
        Ok(marks) => marks,
        Err(TableError::TableDoesNotExist(_)) => return Ok(record),
        Err(error) => return Err(error.into()),
    };
    let client = TokensOf::Client(record.client_id.clone());
    let certificate = record
        .confirmation
        .map(|confirmation| TokensOf::Certificate(confirmation.x5t_s256));
    let mut revoked_at = record.revoked_at;
    for of in [Some(client), certificate].into_iter().flatten() {
        let mark = marks.get(key(&of).as_str())?;
        let mark = mark.map(|mark| Timestamp::from_unix_seconds(mark.value()));
        // Fails closed: a token issued in the very second of the mark is revoked as well.
        revoked_at = revoked_at.or(mark.filter(|mark| record.issued_at <= *mark));
    }
    Ok(TokenRecord { revoked_at, ..record })
}

/// Drops the marks under which no token can live any more.
pub(super) fn purge(transaction: &WriteTransaction, now: Timestamp) -> Result<(), RecordError> {
    let oldest = now.minus(LONGEST_USE).as_unix_seconds();
    transaction.open_table(MARKS)?.retain(|_, mark| mark > oldest)?;
    Ok(())
}

fn key(of: &TokensOf) -> String {
    match of {
        TokensOf::Client(client_id) => format!("client:{client_id}"),
        TokensOf::Certificate(thumbprint) => format!("certificate:{thumbprint}"),
    }
}
