//! What the gateway remembers of tokens: what active ones are, for a while, and for a short while that a token is
//! refused.
//!
//! Saves the introspection and the signature check, never the check of expiry, binding or scope. Keyed by digest:
//! no token is kept. Failures are never remembered. Callers with the same new token wait for one introspection.
//! While the authorization server gives no answer, what it said before may stand for longer: as long as the
//! configuration allows, never past the token's end, and never once it has said no.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use oauth_core::access_token::TokenDigest;
use oauth_core::jwt::VerificationError;
use oauth_core::time::Timestamp;
use quick_cache::UnitWeighter;
use quick_cache::sync::Cache;
use tokio::time::{Instant, sleep};

use crate::accepted_token::AcceptedToken;
use crate::configuration::CacheSection;
use crate::grants::Grants;
use crate::lock::lock;
use crate::metrics::{self, TokenLookup};
use crate::token_error::{TokenError, TokenRefusal};
use crate::token_kind::TokenKind;
use crate::token_source::{Learnt, TokenSource};

/// For how long a token is known to be refused. Bounds how often one made-up token reaches the authorization server, or
/// has its signature checked.
const REFUSED_MAX_AGE: Duration = Duration::from_secs(10);
/// Bounds the memory made-up tokens can take, apart from the good ones so that they push none of those out.
const REFUSED_CAPACITY: u64 = 10_000;
/// Between two attempts to look up a token that is served although it should have been looked up again. Bounds how
/// often an authorization server in trouble is asked, and how long callers wait for it.
const STALE_RETRY: Duration = Duration::from_secs(1);

/// Between two times that what has had its time is let go of. Until then it takes memory, and is believed by nobody.
const SWEEP: Duration = Duration::from_secs(60);
/// Of a cache that may become large, what it has room for from the start.
const FIRST_ROOM: usize = 1_000;

/// What a token is remembered by: how it was judged, and its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: TokenKind,
    digest: [u8; 32],
}

/// The tokens of one source. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct TokenCache(Arc<Tokens>);

#[derive(Debug)]
struct Tokens {
    active: Cache<Key, Remembered>,
    /// Those among them that may still be served when they should have been looked up again.
    stale: Cache<Key, Remembered>,
    refused: Cache<Key, Refused>,
    /// Those that are being looked up.
    under_way: Mutex<HashMap<Key, LookingUp>>,
    grants: Grants,
    /// What moments are counted from.
    began: Instant,
    source: TokenSource,
    max_age: Duration,
    stale_while_unavailable: Duration,
}

type LookingUp = Shared<BoxFuture<'static, Result<AcceptedToken, Arc<TokenError>>>>;

enum LookUp {
    Done(Remembered),
    UnderWay(LookingUp),
}

#[derive(Clone, Debug)]
struct Remembered {
    token: AcceptedToken,
    until: Moment,
    freshness: Freshness,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    refusal: TokenRefusal,
    until: Moment,
}

/// Tenths of a second since the cache began: a quarter of what an `Instant` takes. After thirteen years it is always the
/// last one, beyond which nothing is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freshness {
    Fresh,
    Stale,
}

impl Freshness {
    const fn result(self) -> TokenLookup {
        match self {
            Self::Fresh => TokenLookup::Hit,
            Self::Stale => TokenLookup::Stale,
        }
    }
}

impl TokenCache {
    /// Remembers what `source` says, nothing so far.
    pub(crate) fn new(source: TokenSource, section: &CacheSection) -> Self {
        let remembering = || Cache::with_weighter(FIRST_ROOM, section.capacity, UnitWeighter);
        Self(Arc::new(Tokens {
            active: remembering(),
            stale: remembering(),
            refused: Cache::with_weighter(FIRST_ROOM, REFUSED_CAPACITY, UnitWeighter),
            under_way: Mutex::default(),
            grants: Grants::new(section.capacity.try_into().unwrap_or(usize::MAX)),
            began: Instant::now(),
            source,
            max_age: section.max_age,
            stale_while_unavailable: section.stale_while_unavailable,
        }))
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
    ) -> Result<AcceptedToken, Arc<TokenError>> {
        let key = Key::of(kind, token);
        if let Some(remembered) = self.0.remembered(&key) {
            metrics::token_lookup(remembered.freshness.result());
            return Ok(remembered.token);
        }
        if let Some(refusal) = self.0.refusal(&key) {
            metrics::token_lookup(TokenLookup::Refused);
            return Err(Arc::new(refusal.into()));
        }
        metrics::token_lookup(TokenLookup::Miss);
        match self.look_up(key, token, now) {
            LookUp::Done(remembered) => Ok(remembered.token),
            LookUp::UnderWay(looking_up) => looking_up.await,
        }
    }

    /// Looks up once for all who ask meanwhile.
    fn look_up(&self, key: Key, token: &str, now: Timestamp) -> LookUp {
        let mut under_way = self.0.under_way();
        // It may have ended in this very moment.
        if let Some(remembered) = self.0.remembered(&key) {
            return LookUp::Done(remembered);
        }
        let begin = || {
            let (tokens, token) = (Arc::clone(&self.0), token.to_owned());
            // A task of its own: a caller that hangs up must not end the introspection that others wait for.
            let looking_up = tokio::spawn(async move { tokens.learn(key, &token, now).await });
            let looked_up =
                looking_up.map(|ended| ended.unwrap_or_else(|_| Err(Arc::new(TokenError::Interrupted))));
            looked_up.boxed().shared()
        };
        LookUp::UnderWay(under_way.entry(key).or_insert_with(begin).clone())
    }

    /// Lets go, again and again, of what has had its time.
    pub(crate) async fn forget(&self) -> Infallible {
        loop {
            sleep(SWEEP).await;
            let now = self.0.moment();
            self.0.active.retain(|_, remembered| remembered.until > now);
            self.0.stale.retain(|_, remembered| remembered.until > now);
            self.0.refused.retain(|_, refused| refused.until > now);
            self.0.grants.forget();
        }
    }
}

impl Key {
    fn of(kind: TokenKind, token: &str) -> Self {
        Self {
            kind,
            digest: *TokenDigest::of(token).as_bytes(),
        }
    }
}

impl Tokens {
    /// Now.
    fn moment(&self) -> Moment {
        self.moment_after(Duration::ZERO)
    }

    /// So long from now, and never later.
    fn moment_after(&self, duration: Duration) -> Moment {
        let elapsed = self.began.elapsed().saturating_add(duration);
        let tenths = u64::from(elapsed.subsec_millis() / 100);
        let tenths = elapsed.as_secs().saturating_mul(10).saturating_add(tenths);
        Moment(tenths.try_into().unwrap_or(u32::MAX))
    }

    fn to_remember(&self, token: AcceptedToken, kept_for: Duration, freshness: Freshness) -> Remembered {
        Remembered {
            token,
            until: self.moment_after(kept_for),
            freshness,
        }
    }

    fn remembered(&self, key: &Key) -> Option<Remembered> {
        let remembered = self.active.get(key)?;
        (remembered.until > self.moment()).then_some(remembered)
    }

    fn refusal(&self, key: &Key) -> Option<TokenRefusal> {
        let refused = self.refused.get(key)?;
        (refused.until > self.moment()).then_some(refused.refusal)
    }

    async fn learn(&self, key: Key, token: &str, now: Timestamp) -> Result<AcceptedToken, Arc<TokenError>> {
        // Dropped last: who comes next finds the token remembered.
        let _under_way = UnderWay { tokens: self, key };
        let learnt = self.source.learn(key.kind, token, now).await;
        let remembered = self.settle(key, learnt, now)?;
        if remembered.until > self.moment() {
            self.active.insert(key, remembered.clone());
        }
        Ok(remembered.token)
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Key, LookingUp>> {
        lock(&self.under_way)
    }

    /// What is to be remembered for what was learnt of a token.
    fn settle(
        &self,
        key: Key,
        learnt: Result<Learnt, TokenError>,
        now: Timestamp,
    ) -> Result<Remembered, TokenError> {
        match learnt {
            Ok(learnt) => Ok(self.to_serve_and_keep_stale(key, learnt, now)),
            Err(TokenError::Refused(refusal)) => {
                self.active.remove(&key);
                self.stale.remove(&key);
                if may_be_remembered(refusal) {
                    let until = self.moment_after(REFUSED_MAX_AGE);
                    self.refused.insert(key, Refused { refusal, until });
                }
                Err(refusal.into())
            }
            Err(busy @ (TokenError::IntrospectionBusy | TokenError::VerificationBusy)) => Err(busy),
            Err(error) => {
                tracing::warn!(reason = %error, "a token cannot be judged: {error}");
                let stale = self.stale_instead_of(&error, &key, now);
                stale.ok_or(error)
            }
        }
    }

    /// What is to be served from now on. A copy is kept for `stale_while_unavailable`, where that is configured.
    fn to_serve_and_keep_stale(&self, key: Key, learnt: Learnt, now: Timestamp) -> Remembered {
        let kept_for = learnt.kept_for(self.max_age, now);
        let is_looked_up = key.kind == TokenKind::Opaque;
        let may_outlast = is_looked_up && learnt.may_be_kept() && !self.stale_while_unavailable.is_zero();
        let token = if may_outlast || !kept_for.is_zero() {
            learnt.token.sharing(&self.grants)
        } else {
            learnt.token
        };
        if may_outlast {
            let longest = kept_for.saturating_add(self.stale_while_unavailable);
            let longest = longest.min(now.until(token.expires_at()));
            let stale = self.to_remember(token.clone(), longest, Freshness::Stale);
            self.stale.insert(key, stale);
        } else {
            // What was said before is overtaken.
            self.stale.remove(&key);
        }
        self.to_remember(token, kept_for, Freshness::Fresh)
    }

    /// What was known of the token, where the authorization server gives no answer about it now.
    fn stale_instead_of(&self, error: &TokenError, key: &Key, now: Timestamp) -> Option<Remembered> {
        if !error.is_no_answer() {
            return None;
        }
        let stale = self.stale.get(key).filter(|stale| stale.until > self.moment())?;
        let left = now.until(stale.token.expires_at());
        if left.is_zero() {
            return None;
        }
        metrics::token_lookup(Freshness::Stale.result());
        let client_id = stale.token.grant().client_id.as_deref();
        tracing::warn!(
            client.id = client_id,
            "what the authorization server said before still stands for a token of {}",
            client_id.unwrap_or("a client it did not name")
        );
        Some(self.to_remember(stale.token, STALE_RETRY.min(left), Freshness::Stale))
    }
}

/// A look-up that has not ended, or has panicked: then it is over too.
struct UnderWay<'a> {
    tokens: &'a Tokens,
    key: Key,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.tokens.under_way().remove(&self.key);
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
    pub(crate) fn remember(&self, kind: TokenKind, token: &str, accepted: AcceptedToken, kept_for: Duration) {
        let accepted = accepted.sharing(&self.0.grants);
        let remembered = self.0.to_remember(accepted, kept_for, Freshness::Fresh);
        self.0.active.insert(Key::of(kind, token), remembered);
    }
}

#[cfg(test)]
mod tests {
    use oauth_core::token_facts::Introspected;
    use tokio::time::advance;

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
            Introspected::Active(facts) => AcceptedToken::from_json(facts).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn learnt() -> Learnt {
        Learnt {
            token: token(),
            max_age: None,
        }
    }

    fn no_answer() -> TokenError {
        TokenError::Unreachable("it is down".to_owned())
    }

    /// Users 37.
    #[tokio::test(start_paused = true)]
    async fn what_was_said_stands_while_there_is_no_answer() {
        let cache = cache(Duration::from_secs(60));
        let key = Key::of(TokenKind::Opaque, "token");
        let fresh = cache.0.settle(key, Ok(learnt()), NOW).unwrap();
        assert_eq!(fresh.freshness, Freshness::Fresh);
        for error in [no_answer(), TokenError::Timeout] {
            let stale = cache.0.settle(key, Err(error), NOW).unwrap();
            assert_eq!(stale.freshness, Freshness::Stale);
            assert_eq!(stale.until, cache.0.moment_after(STALE_RETRY));
        }
        for error in [
            TokenError::NotText,
            TokenError::Untrusted("another certificate".to_owned()),
            TokenError::IntrospectionBusy,
            TokenError::KeysUnavailable(String::new()),
        ] {
            assert!(cache.0.settle(key, Err(error), NOW).is_err());
        }
        let other = Key::of(TokenKind::Opaque, "other");
        assert!(cache.0.settle(other, Err(no_answer()), NOW).is_err());
    }

    /// I12, Users 38.
    #[tokio::test]
    async fn what_was_said_ends_with_the_token() {
        let cache = cache(Duration::from_secs(3600));
        let key = Key::of(TokenKind::Opaque, "token");
        cache.0.settle(key, Ok(learnt()), NOW).unwrap();
        let at = |now| cache.0.settle(key, Err(no_answer()), now);
        assert!(at(NOW.plus(EXPIRES_IN).minus(Duration::from_secs(1))).is_ok());
        assert!(at(NOW.plus(EXPIRES_IN)).is_err());
    }

    /// Users 34: a no ends it for good.
    #[tokio::test]
    async fn what_was_said_ends_with_a_no() {
        let cache = cache(Duration::from_secs(60));
        let key = Key::of(TokenKind::Opaque, "token");
        cache.0.settle(key, Ok(learnt()), NOW).unwrap();
        cache.remember(TokenKind::Opaque, "token", token(), EXPIRES_IN);
        let no = Err(TokenRefusal::Inactive.into());
        assert!(cache.0.settle(key, no, NOW).is_err());
        assert!(cache.0.remembered(&key).is_none());
        assert!(cache.0.settle(key, Err(no_answer()), NOW).is_err());
    }

    #[tokio::test]
    async fn nothing_stands_by_default_nor_where_it_must_not_be_kept() {
        let by_default = cache(Duration::ZERO);
        let key = Key::of(TokenKind::Opaque, "token");
        by_default.0.settle(key, Ok(learnt()), NOW).unwrap();
        assert!(by_default.0.settle(key, Err(no_answer()), NOW).is_err());
        let lenient = cache(Duration::from_secs(60));
        let not_to_be_kept = || Learnt {
            max_age: Some(Duration::ZERO),
            ..learnt()
        };
        for before in [None, Some(learnt())] {
            if let Some(before) = before {
                lenient.0.settle(key, Ok(before), NOW).unwrap();
                assert!(lenient.0.settle(key, Err(no_answer()), NOW).is_ok());
            }
            lenient.0.settle(key, Ok(not_to_be_kept()), NOW).unwrap();
            assert!(lenient.0.settle(key, Err(no_answer()), NOW).is_err());
        }
    }

    /// P13.
    #[tokio::test]
    async fn a_token_is_remembered_for_the_source_that_was_asked_and_for_its_kind() {
        let (asked, other) = (cache(Duration::ZERO), cache(Duration::ZERO));
        asked.remember(TokenKind::Opaque, "token", token(), EXPIRES_IN);
        let remembered = |cache: &TokenCache, kind| cache.0.remembered(&Key::of(kind, "token")).is_some();
        assert!(remembered(&asked, TokenKind::Opaque));
        assert!(!remembered(&asked, TokenKind::Jwt));
        assert!(!remembered(&other, TokenKind::Opaque));
    }

    /// I12.
    #[tokio::test(start_paused = true)]
    async fn a_token_is_believed_until_its_time_and_then_let_go_of() {
        let cache = cache(Duration::ZERO);
        cache.remember(TokenKind::Opaque, "token", token(), SWEEP);
        let key = Key::of(TokenKind::Opaque, "token");
        advance(SWEEP - Duration::from_secs(1)).await;
        assert!(cache.0.remembered(&key).is_some());
        advance(Duration::from_secs(1)).await;
        assert!(cache.0.remembered(&key).is_none());
        assert_eq!(cache.0.active.len(), 1);
        tokio::select! {
            never = cache.forget() => match never {},
            () = sleep(SWEEP + Duration::from_secs(1)) => {}
        }
        assert_eq!(cache.0.active.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_is_never_later_than_what_it_stands_for() {
        let cache = cache(Duration::ZERO);
        let after = |milliseconds| cache.0.moment_after(Duration::from_millis(milliseconds));
        assert_eq!(
            [after(0), after(99), after(1_999)],
            [Moment(0), Moment(0), Moment(19)]
        );
        advance(Duration::from_millis(150)).await;
        assert_eq!([after(0), after(1_999)], [Moment(1), Moment(21)]);
        assert_eq!(cache.0.moment_after(Duration::MAX), Moment(u32::MAX));
    }

    #[tokio::test]
    async fn keeps_no_more_tokens_than_it_has_room_for() {
        let source = TokenSource {
            introspection: None,
            issuers: Issuers::new([]),
        };
        let section = CacheSection {
            capacity: 200,
            ..CacheSection::default()
        };
        let cache = TokenCache::new(source, &section);
        for number in 0..1_000 {
            cache.remember(TokenKind::Opaque, &number.to_string(), token(), EXPIRES_IN);
        }
        let kept = cache.0.active.len();
        assert!((100..=200).contains(&kept), "{kept}");
    }

    /// A kibibyte for each token, its JWT included: what is kept once for the tokens of a client, and connections, come on
    /// top of what is counted here.
    #[test]
    fn what_is_kept_of_a_token_stays_small() {
        const WORD: usize = size_of::<usize>();
        // As glibc does it.
        let allocated = |bytes: usize| (bytes + WORD).next_multiple_of(2 * WORD);
        // Behind its two counts.
        let jwt = allocated(2 * WORD + 660);
        // In the cache: state, use and two links, and the index, at worst half empty.
        let entry = (size_of::<Key>() + size_of::<Remembered>() + 3).next_multiple_of(WORD) + 8;
        let index = 5 * 16 / 7;
        let size = jwt + entry + index;
        assert!(size <= 805, "{size} bytes");
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
            let key = Key::of(TokenKind::Jwt, &format!("{refusal:?}"));
            assert!(cache.0.settle(key, Err(refusal.into()), NOW).is_err());
            assert_eq!(cache.0.refusal(&key), reason);
            assert!(cache.0.remembered(&key).is_none());
        }
    }
}
