//! Where token records are kept: what has been answered to a caller outlives the process.
//!
//! One small trait, so that an engine can be exchanged, and one engine: a file of its own, embedded. Tokens
//! themselves never come here, only digests.

use std::fmt;
use std::pin::Pin;

use oauth_core::access_token::{AccessToken, TokenRecord};
use oauth_core::thumbprint::CertificateThumbprint;
use oauth_core::time::Timestamp;
use uuid::Uuid;

mod bucket;
mod embedded;
mod mark;
mod writer;

pub use embedded::{EmbeddedTokenStore, OpenError};
pub use writer::StoreHealth;

/// What a store answers with, later.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A durable store of token records.
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// Keeps a new record; once this resolves, the record survives a crash.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the record may or may not have been kept, and its token must not be handed out.
    fn insert(&self, record: TokenRecord) -> Pending<'_, ()>;

    /// The record of that id, whoever asks: what proves a token is `find`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it cannot be said whether there is one.
    fn record(&self, id: Uuid) -> Pending<'_, Option<TokenRecord>>;

    /// Marks the record of that id as revoked at `now`; the first revocation stands, and a record that has been
    /// purged needs none. Once this resolves, the revocation survives a crash.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the token may or may not have been revoked, and the caller is to try again.
    fn revoke(&self, id: Uuid, now: Timestamp) -> Pending<'_, ()>;

    /// Revokes all tokens of these that were issued at `now` or before. Once this resolves, it survives a crash.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: they may or may not have been revoked, and the operator is to try again.
    fn revoke_all(&self, of: TokensOf, now: Timestamp) -> Pending<'_, ()>;
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
    pub async fn find(&self, token: &AccessToken) -> Result<Option<TokenRecord>, StoreError> {
        let record = self.record(token.id()).await?;
        Ok(record.filter(|record| record.digest == token.digest()))
    }
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
mod tests;
