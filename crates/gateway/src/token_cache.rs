//! What the gateway remembers of tokens: answers about active ones, for a while, and for a short while that a token
//! is not active.
//!
//! Saves the introspection and the signature check, never the check of expiry, binding or scope. Keyed by digest:
//! no token is kept. Failures are never remembered. Callers with the same new token wait for one introspection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use oauth_core::access_token::TokenDigest;
use oauth_core::time::Timestamp;

use crate::accepted_token::AcceptedToken;
use crate::configuration::CacheSection;
use crate::introspection_client::{IntrospectionClient, IntrospectionError};
use crate::metrics;

/// For how long a token is known to be inactive. Bounds how often one made-up token reaches the authorization server.
const INACTIVE_MAX_AGE: Duration = Duration::from_secs(10);
/// Bounds the memory made-up tokens can take, apart from the good ones so that they push none of those out.
const INACTIVE_CAPACITY: u64 = 10_000;

type Key = [u8; 32];

/// The tokens of one introspection endpoint.
#[derive(Clone, Debug)]
pub(crate) struct TokenCache {
    active: Cache<Key, Remembered>,
    inactive: Cache<Key, ()>,
    introspection: Arc<IntrospectionClient>,
    max_age: Duration,
}

#[derive(Clone, Debug)]
struct Remembered {
    token: Arc<AcceptedToken>,
    kept_for: Duration,
}

impl TokenCache {
    /// Remembers answers of `introspection`, none so far.
    pub(crate) fn new(introspection: IntrospectionClient, section: &CacheSection) -> Self {
        Self {
            active: Cache::builder()
                .max_capacity(section.capacity)
                .expire_after(UntilItsTime)
                .build(),
            inactive: Cache::builder()
                .max_capacity(INACTIVE_CAPACITY)
                .time_to_live(INACTIVE_MAX_AGE)
                .build(),
            introspection: Arc::new(introspection),
            max_age: section.max_age,
        }
    }

    /// The accepted token that `token` stands for, remembered or looked up.
    ///
    /// # Errors
    ///
    /// As [`IntrospectionClient::introspect`].
    pub(crate) async fn find(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<AcceptedToken>, Arc<IntrospectionError>> {
        let key = *TokenDigest::of(token).as_bytes();
        if let Some(remembered) = self.active.get(&key).await {
            metrics::token_lookup("hit");
            return Ok(remembered.token);
        }
        if self.inactive.contains_key(&key) {
            metrics::token_lookup("inactive");
            return Err(Arc::new(IntrospectionError::Inactive));
        }
        metrics::token_lookup("miss");
        let (cache, token) = (self.clone(), token.to_owned());
        // A task of its own: a caller that hangs up must not end the introspection that others wait for.
        let looked_up = tokio::spawn(async move { cache.look_up(key, &token, now).await }).await;
        looked_up.unwrap_or_else(|_| Err(Arc::new(IntrospectionError::Interrupted)))
    }

    async fn look_up(
        &self,
        key: Key,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<AcceptedToken>, Arc<IntrospectionError>> {
        let remembered = self
            .active
            .try_get_with(key, self.introspect(key, token, now))
            .await?;
        Ok(remembered.token)
    }

    async fn introspect(
        &self,
        key: Key,
        token: &str,
        now: Timestamp,
    ) -> Result<Remembered, IntrospectionError> {
        let introspected = self.introspection.introspect(token, now).await;
        metrics::introspection(&introspected);
        match introspected {
            Ok(token) => Ok(Remembered {
                kept_for: token.kept_for(self.max_age, now),
                token: Arc::new(token),
            }),
            Err(error) => {
                if matches!(error, IntrospectionError::Inactive) {
                    self.inactive.insert(key, ()).await;
                } else {
                    tracing::warn!(reason = %error, "introspection failed: {error}");
                }
                Err(error)
            }
        }
    }
}

#[cfg(test)]
impl TokenCache {
    /// Remembers an answer nobody gave.
    pub(crate) async fn remember(&self, token: &str, accepted: AcceptedToken, kept_for: Duration) {
        let key = *TokenDigest::of(token).as_bytes();
        self.active
            .insert(
                key,
                Remembered {
                    token: Arc::new(accepted),
                    kept_for,
                },
            )
            .await;
    }
}

/// Each entry for as long as it may be kept.
#[derive(Debug)]
struct UntilItsTime;

impl Expiry<Key, Remembered> for UntilItsTime {
    fn expire_after_create(&self, _key: &Key, value: &Remembered, _created_at: Instant) -> Option<Duration> {
        Some(value.kept_for)
    }

    fn expire_after_update(
        &self,
        _key: &Key,
        value: &Remembered,
        _updated_at: Instant,
        _until_expiry: Option<Duration>,
    ) -> Option<Duration> {
        Some(value.kept_for)
    }
}
