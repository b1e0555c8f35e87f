//! Where token records are kept: what has been answered to a caller outlives the process.
//!
//! One small trait and two engines: a file of its own, embedded, for one server; PostgreSQL for any number of them.
//! Tokens and assertions themselves never come here, only digests.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use oauth_core::access_token::{AccessToken, TokenRecord};
use oauth_core::thumbprint::CertificateThumbprint;
use oauth_core::time::Timestamp;
use uuid::Uuid;

mod embedded;
mod health;
mod marks;
mod postgres;
mod queue;

pub use embedded::{EmbeddedTokenStore, OpenError};
pub use health::StoreHealth;
pub(crate) use postgres::{KeyChange, KeyRow};
pub use postgres::{PostgresError, PostgresTokenStore};

/// Bounds how far the clocks of servers that share a store may differ, before one forgets an assertion that another
/// would still accept.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(5 * 60);

/// What a store answers with, later.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A durable store of token records, and the memory of the assertions that clients have used.
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// Keeps a new record; once this resolves, the record survives a crash.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the record may or may not have been kept, and its token must not be handed out.
    fn insert(&self, record: Arc<TokenRecord>) -> Pending<'_, ()>;

    /// The record of that id, whoever asks: what proves a token is `find`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it cannot be said whether there is one.
    fn record(&self, id: Uuid) -> Pending<'_, Option<Arc<TokenRecord>>>;

    /// Marks the record of that id as revoked at `now`; the first revocation stands, and a record that has been
    /// purged needs none. Once this resolves, the revocation survives a crash.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the token may or may not have been revoked, and the caller is to try again.
    fn revoke(&self, id: Uuid, now: Timestamp) -> Pending<'_, ()>;

    /// Revokes all tokens of these that were issued at `now` or before. Once this resolves, it survives a crash.
    ///
    /// Moments of issue are those of the servers that issued: a token of one whose clock is ahead of the caller's may
    /// count as issued after `now` although it was there before.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: they may or may not have been revoked, and the operator is to try again.
    fn revoke_all(&self, of: TokensOf, now: Timestamp) -> Pending<'_, ()>;

    /// Notes that an assertion has been used, and says whether that was the first time. Of any number of calls with
    /// the same digest, at whichever server that shares the store, exactly one is told [`AssertionUse::First`]; it
    /// is remembered at least until `expires_at`, across a crash too.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where that cannot be said: the assertion must not be accepted.
    ///
    /// [RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523#section-3)
    fn remember_assertion(
        &self,
        assertion: AssertionDigest,
        expires_at: Timestamp,
    ) -> Pending<'_, AssertionUse>;

    /// Drops what has expired at `now`, or a good part of it.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: expired records take room and nothing else.
    fn purge(&self, now: Timestamp) -> Pending<'_, ()>;

    /// Whether the store works, now and later.
    fn health(&self) -> StoreHealth;
}

/// Whose tokens are revoked all at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokensOf {
    /// Those issued to this `client_id`.
    Client(String),
    /// Those bound to this certificate.
    Certificate(CertificateThumbprint),
}

impl dyn TokenStore {
    /// The record of `token`: the id finds it, and the digest, compared in constant time, proves the token.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it cannot be said whether there is one.
    pub async fn find(&self, token: &AccessToken) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let record = self.record(token.id()).await?;
        Ok(record.filter(|record| record.digest == token.digest()))
    }
}

/// SHA-256 over a client's id and the `jti` of an assertion of that client: one client's choice of `jti` never
/// touches another's.
///
/// RFC 7519 §4.1.7
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AssertionDigest([u8; 32]);

impl AssertionDigest {
    /// The digest for this client and this `jti`.
    pub fn of(client_id: &str, jti: &str) -> Self {
        let mut context = Context::new(&SHA256);
        // The length in front, so that no other pair of texts gives the same bytes.
        context.update(&(client_id.len() as u64).to_be_bytes());
        context.update(client_id.as_bytes());
        context.update(jti.as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Self(digest)
    }

    const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Whether an assertion was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum AssertionUse {
    /// Never; the next use is a replay.
    First,
    /// It was: it must not be accepted again.
    Replay,
}

/// Why a store did not do as asked; in both cases the caller may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// More changes wait than the store will hold in hand.
    #[error("the token store has too many changes in hand")]
    Overloaded,
    /// It cannot read or write; the log has the cause.
    #[error("the token store failed")]
    Failed,
}

#[cfg(test)]
pub(crate) mod tests;
