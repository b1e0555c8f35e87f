//! Marks: all tokens of a client, or of a certificate, that were issued up to a moment are revoked.
//!
//! One mark does for any number of tokens; it is looked at when a record is read. Decides nothing about where marks
//! lie: that is each engine's. The moment is one server's and a record's time of issue perhaps another's: they compare as
//! well as the clocks agree.

use std::time::Duration;

use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;

use super::TokensOf;

/// Longer than any token lives (24 hours), by what clocks may differ: then a mark has nothing left to revoke.
pub(super) const LONGEST_USE: Duration = Duration::from_secs(25 * 60 * 60);

/// What a mark is kept under; printable, whatever the client is called.
pub(super) fn key(of: &TokensOf) -> String {
    match of {
        TokensOf::Client(client_id) => key_of_client(client_id),
        TokensOf::Certificate(thumbprint) => format!("certificate:{thumbprint}"),
    }
}

/// Under what the mark of the record's client is kept.
pub(super) fn client_key(record: &TokenRecord) -> String {
    key_of_client(&record.client_id)
}

/// Under what the mark of the record's certificate is kept, if it is bound to one.
pub(super) fn certificate_key(record: &TokenRecord) -> Option<String> {
    let confirmation = record.confirmation?;
    Some(key(&TokensOf::Certificate(confirmation.x5t_s256)))
}

fn key_of_client(client_id: &str) -> String {
    format!("client:{}", client_id.escape_default())
}

/// The record, revoked where the mark says so.
pub(super) fn apply(record: TokenRecord, mark: Option<Timestamp>) -> TokenRecord {
    // Fails closed: a token issued in the very second of the mark is revoked as well.
    let marked = mark.filter(|mark| record.issued_at <= *mark);
    TokenRecord {
        revoked_at: record.revoked_at.or(marked),
        ..record
    }
}
