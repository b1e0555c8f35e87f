//! What the gateway remembers of tokens: what active ones are, for a while, and for a short while that a token is
//! refused.
//!
//! Saves the introspection and the signature check, never the check of expiry, binding or scope. Keyed by digest:
//! no token is kept. Failures are never remembered. Callers with the same new token wait for one introspection.
//! While the authorization server gives no answer, what it said before may stand for longer: as long as the
//! configuration allows, never past the token's end, and never once it has said no.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use oauth_core::access_token::TokenDigest;
use oauth_core::jwt::VerificationError;
use oauth_core::time::Timestamp;

use crate::accepted_token::AcceptedToken;
use crate::configuration::CacheSection;
use crate::metrics;
use crate::token_error::{TokenError, TokenRefusal};
use crate::token_kind::TokenKind;
use crate::token_source::TokenSource;

/// For how long a token is known to be refused. Bounds how often one made-up token reaches the authorization server, or
/// has its signature checked.
const REFUSED_MAX_AGE: Duration = Duration::from_secs(10);
/// Bounds the memory made-up tokens can take, apart from the good ones so that they push none of those out.
const REFUSED_CAPACITY: u64 = 10_000;
/// Between two attempts to look up a token that is served although it should have been looked up again. Bounds how
/// often an authorization server in trouble is asked, and how long callers wait for it.
const STALE_RETRY: Duration = Duration::from_secs(1);

/// What a token is remembered by: where it was looked up, and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: Source,
    digest: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Source {
    /// An introspection endpoint.
    Endpoint(Arc<str>),
    /// The token itself.
    Jwt,
}

/// The tokens of one source.
#[derive(Clone, Debug)]
pub(crate) struct TokenCache {
    active: Cache<Key, Remembered>,
    /// Those among them that may still be served when they should have been looked up again.
    stale: Cache<Key, Remembered>,
    refused: Cache<Key, TokenRefusal>,
    source: Arc<TokenSource>,
    endpoint: Arc<str>,
    max_age: Duration,
    stale_while_unavailable: Duration,
}

#[derive(Clone, Debug)]
struct Remembered {
    token: Arc<AcceptedToken>,
    kept_for: Duration,
    freshness: Freshness,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freshness {
    Fresh,
    Stale,
}

impl Freshness {
    const fn result(self) -> &'static str {
        match self {
            Self::Fresh => "hit",
            Self::Stale => "stale",
        }
    }
}

impl TokenCache {
    /// Remembers what `source` says, nothing so far.
    pub(crate) fn new(source: TokenSource, section: &CacheSection) -> Self {
        let remembering = || {
            Cache::builder()
                .max_capacity(section.capacity)
                .expire_after(UntilItsTime)
                .build()
        };
        let endpoint = source
            .introspection
            .as_ref()
            .map_or("", |introspection| introspection.endpoint().as_str());
        Self {
            active: remembering(),
            stale: remembering(),
            refused: Cache::builder()
                .max_capacity(REFUSED_CAPACITY)
                .time_to_live(REFUSED_MAX_AGE)
                .build(),
            endpoint: Arc::from(endpoint),
            source: Arc::new(source),
            max_age: section.max_age,
            stale_while_unavailable: section.stale_while_unavailable,
        }
    }

    /// The accepted token that `token`, which is of this `kind`, stands for, remembered or learnt.
    ///
    /// # Errors
    ///
    /// As [`TokenSource::learn`].
    pub(crate) async fn find(
        &self,
        kind: TokenKind,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<AcceptedToken>, Arc<TokenError>> {
        let key = self.key(kind, token);
        if let Some(remembered) = self.active.get(&key).await {
            metrics::token_lookup(remembered.freshness.result());
            return Ok(remembered.token);
        }
        if let Some(refusal) = self.refused.get(&key).await {
            metrics::token_lookup("refused");
            return Err(Arc::new(refusal.into()));
        }
        metrics::token_lookup("miss");
        let (cache, token) = (self.clone(), token.to_owned());
        // A task of its own: a caller that hangs up must not end the introspection that others wait for.
        let looked_up = tokio::spawn(async move { cache.look_up(key, kind, &token, now).await }).await;
        looked_up.unwrap_or_else(|_| Err(Arc::new(TokenError::Interrupted)))
    }

    fn key(&self, kind: TokenKind, token: &str) -> Key {
        Key {
            source: match kind {
                TokenKind::Opaque => Source::Endpoint(Arc::clone(&self.endpoint)),
                TokenKind::Jwt => Source::Jwt,
            },
            digest: *TokenDigest::of(token).as_bytes(),
        }
    }

    async fn look_up(
        &self,
        key: Key,
        kind: TokenKind,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<AcceptedToken>, Arc<TokenError>> {
        let learning = async {
            let learnt = self.source.learn(kind, token, now).await;
            self.settle(key.clone(), learnt, now).await
        };
        let remembered = self.active.try_get_with(key.clone(), learning).await?;
        Ok(remembered.token)
    }

    /// What is to be remembered for what was learnt of a token.
    async fn settle(
        &self,
        key: Key,
        learnt: Result<AcceptedToken, TokenError>,
        now: Timestamp,
    ) -> Result<Remembered, TokenError> {
        match learnt {
            Ok(token) => Ok(self.remember_for_worse_times(key, Arc::new(token), now).await),
            Err(TokenError::Refused(refusal)) => {
                self.stale.invalidate(&key).await;
                if may_be_remembered(refusal) {
                    self.refused.insert(key, refusal).await;
                }
                Err(refusal.into())
            }
            Err(busy @ (TokenError::IntrospectionBusy | TokenError::VerificationBusy)) => Err(busy),
            Err(error) => {
                tracing::warn!(reason = %error, "a token cannot be judged: {error}");
                let stale = self.stale_instead_of(&error, &key, now).await;
                stale.ok_or(error)
            }
        }
    }

    async fn remember_for_worse_times(
        &self,
        key: Key,
        token: Arc<AcceptedToken>,
        now: Timestamp,
    ) -> Remembered {
        let kept_for = token.kept_for(self.max_age, now);
        let longest = kept_for.saturating_add(self.stale_while_unavailable);
        let is_looked_up = matches!(key.source, Source::Endpoint(_));
        if is_looked_up && token.may_be_kept() && !self.stale_while_unavailable.is_zero() {
            let remembered = Remembered {
                kept_for: longest.min(now.until(token.facts().exp)),
                token: Arc::clone(&token),
                freshness: Freshness::Stale,
            };
            self.stale.insert(key, remembered).await;
        }
        Remembered {
            token,
            kept_for,
            freshness: Freshness::Fresh,
        }
    }

    /// What was known of the token, where the authorization server gives no answer about it now.
    async fn stale_instead_of(&self, error: &TokenError, key: &Key, now: Timestamp) -> Option<Remembered> {
        if !error.is_no_answer() {
            return None;
        }
        let stale = self.stale.get(key).await?;
        let left = now.until(stale.token.facts().exp);
        if left.is_zero() {
            return None;
        }
        metrics::token_lookup(Freshness::Stale.result());
        let client_id = stale.token.facts().client_id.as_deref();
        tracing::warn!(
            client.id = client_id,
            "what the authorization server said before still stands for a token of {}",
            client_id.unwrap_or("a client it did not name")
        );
        Some(Remembered {
            kept_for: STALE_RETRY.min(left),
            ..stale
        })
    }
}

/// Newer keys, newer routes and time make some JWTs good that are not yet.
const fn may_be_remembered(refusal: TokenRefusal) -> bool {
    !matches!(
        refusal,
        TokenRefusal::Jwt(
            VerificationError::UnknownKey | VerificationError::NotYetValid | VerificationError::OtherAudience
        )
    )
}

#[cfg(test)]
impl TokenCache {
    /// Remembers what nobody said.
    pub(crate) async fn remember(
        &self,
        kind: TokenKind,
        token: &str,
        accepted: AcceptedToken,
        kept_for: Duration,
    ) {
        let remembered = Remembered {
            token: Arc::new(accepted),
            kept_for,
            freshness: Freshness::Fresh,
        };
        self.active.insert(self.key(kind, token), remembered).await;
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

#[cfg(test)]
mod tests {
    use oauth_core::token_facts::Introspected;

    use super::*;
    use crate::issuers::Issuers;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);
    const EXPIRES_IN: Duration = Duration::from_secs(100);

    fn cache(stale_while_unavailable: Duration) -> TokenCache {
        let source = TokenSource {
            introspection: None,
            issuers: Issuers::new([]),
        };
        let section = CacheSection {
            stale_while_unavailable,
            ..CacheSection::default()
        };
        TokenCache::new(source, &section)
    }

    fn token() -> AcceptedToken {
        let answer = format!(
            r#"{{"active":true,"exp":{}}}"#,
            NOW.plus(EXPIRES_IN).as_unix_seconds()
        );
        match Introspected::from_json(answer.as_bytes()).unwrap() {
            Introspected::Active(facts) => AcceptedToken::traveling_in_words(facts).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn no_answer() -> TokenError {
        TokenError::Unreachable("it is down".to_owned())
    }

    /// Users 37.
    #[tokio::test]
    async fn what_was_said_stands_while_there_is_no_answer() {
        let cache = cache(Duration::from_secs(60));
        let key = cache.key(TokenKind::Opaque, "token");
        let fresh = cache.settle(key.clone(), Ok(token()), NOW).await.unwrap();
        assert_eq!(fresh.freshness, Freshness::Fresh);
        for error in [no_answer(), TokenError::Timeout] {
            let stale = cache.settle(key.clone(), Err(error), NOW).await.unwrap();
            assert_eq!((stale.freshness, stale.kept_for), (Freshness::Stale, STALE_RETRY));
        }
        for error in [
            TokenError::NotText,
            TokenError::Untrusted("another certificate".to_owned()),
            TokenError::IntrospectionBusy,
            TokenError::KeysUnavailable(String::new()),
        ] {
            assert!(cache.settle(key.clone(), Err(error), NOW).await.is_err());
        }
        let other = cache.key(TokenKind::Opaque, "other");
        assert!(cache.settle(other, Err(no_answer()), NOW).await.is_err());
    }

    /// I12, Users 38.
    #[tokio::test]
    async fn what_was_said_ends_with_the_token() {
        let cache = cache(Duration::from_secs(3600));
        let key = cache.key(TokenKind::Opaque, "token");
        cache.settle(key.clone(), Ok(token()), NOW).await.unwrap();
        let at = |now| cache.settle(key.clone(), Err(no_answer()), now);
        assert!(
            at(NOW.plus(EXPIRES_IN).minus(Duration::from_secs(1)))
                .await
                .is_ok()
        );
        assert!(at(NOW.plus(EXPIRES_IN)).await.is_err());
    }

    /// Users 34: a no ends it for good.
    #[tokio::test]
    async fn what_was_said_ends_with_a_no() {
        let cache = cache(Duration::from_secs(60));
        let key = cache.key(TokenKind::Opaque, "token");
        cache.settle(key.clone(), Ok(token()), NOW).await.unwrap();
        let no = Err(TokenRefusal::Inactive.into());
        assert!(cache.settle(key.clone(), no, NOW).await.is_err());
        assert!(cache.settle(key, Err(no_answer()), NOW).await.is_err());
    }

    #[tokio::test]
    async fn nothing_stands_by_default_nor_where_it_must_not_be_kept() {
        let by_default = cache(Duration::ZERO);
        let key = by_default.key(TokenKind::Opaque, "token");
        by_default.settle(key.clone(), Ok(token()), NOW).await.unwrap();
        assert!(
            by_default
                .settle(key.clone(), Err(no_answer()), NOW)
                .await
                .is_err()
        );
        let lenient = cache(Duration::from_secs(60));
        let not_to_be_kept = token().kept_at_most(Some(Duration::ZERO));
        lenient
            .settle(key.clone(), Ok(not_to_be_kept), NOW)
            .await
            .unwrap();
        assert!(lenient.settle(key, Err(no_answer()), NOW).await.is_err());
    }

    /// P13.
    #[tokio::test]
    async fn a_token_is_remembered_for_the_endpoint_that_was_asked_and_for_its_kind() {
        let cache = cache(Duration::ZERO);
        let elsewhere = TokenCache {
            endpoint: Arc::from("https://other.example.com/introspect"),
            ..cache.clone()
        };
        assert_ne!(
            cache.key(TokenKind::Opaque, "token"),
            elsewhere.key(TokenKind::Opaque, "token")
        );
        assert_ne!(
            cache.key(TokenKind::Opaque, "token"),
            cache.key(TokenKind::Jwt, "token")
        );
        assert_eq!(
            cache.key(TokenKind::Jwt, "token"),
            elsewhere.key(TokenKind::Jwt, "token")
        );
    }

    /// P15, Users 36: kept apart from good ones, and known for a while; but not what newer keys or time may cure.
    #[tokio::test]
    async fn a_refusal_is_remembered_unless_it_may_pass() {
        let cache = cache(Duration::ZERO);
        for (refusal, reason) in [
            (TokenRefusal::Inactive, Some(TokenRefusal::Inactive)),
            (
                TokenRefusal::Jwt(VerificationError::Signature),
                Some(TokenRefusal::Jwt(VerificationError::Signature)),
            ),
            (TokenRefusal::Jwt(VerificationError::UnknownKey), None),
            (TokenRefusal::Jwt(VerificationError::NotYetValid), None),
            (TokenRefusal::Jwt(VerificationError::OtherAudience), None),
        ] {
            let key = cache.key(TokenKind::Jwt, &format!("{refusal:?}"));
            assert!(cache.settle(key.clone(), Err(refusal.into()), NOW).await.is_err());
            assert_eq!(cache.refused.get(&key).await, reason);
            assert!(cache.active.get(&key).await.is_none());
        }
    }
}
