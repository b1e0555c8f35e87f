//! The keys at hand, and the one fetch at a time that renews them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use oauth_core::jwt::{AccessTokenVerifier, VerificationError, VerificationKeys, VerifiedAccessToken};
use oauth_core::time::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use crate::fetch::{FetchError, Location, fetch};
use crate::from_jwks::FromJwks;
use crate::refetch::{Attempt, RefetchLimits};

/// The keys of one issuer, wherever they stand on their way here; clones share them.
///
/// Keys are fetched on first use, so that a service starts without its issuer; renewed in the background once they
/// are older than [`RefetchLimits::max_age`], while the last good set serves; and fetched at once, one request for
/// all who wait, when a token names a key that is not among them, or when nobody asked for so long that they are
/// twice as old. The last good set serves on where the issuer is out of reach.
///
/// What a document is read as is `K`: the keys of an issuer, unless said otherwise.
///
/// RFC 9068 §4, RFC 7517 §5
pub struct RemoteJwks<K = VerificationKeys>(Arc<Remote<K>>);

struct Remote<K> {
    http_client: reqwest::Client,
    location: Location,
    limits: RefetchLimits,
    held: ArcSwapOption<KeySet<K>>,
    // Whoever holds the lock fetches. `None`: never tried.
    latest: Arc<Mutex<Option<Attempt>>>,
    // Whether the latest fetch failed, for those who do not hold the lock.
    out_of_reach: AtomicBool,
}

struct KeySet<K> {
    keys: K,
    fetched_at: Instant,
}

impl<K> Clone for RemoteJwks<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl RemoteJwks {
    /// The keys at `uri`, to be fetched with `http_client` and within the default limits. Nothing is fetched yet.
    pub fn new(http_client: reqwest::Client, uri: impl Into<String>) -> Self {
        Self::reading(http_client, uri, RefetchLimits::default())
    }

    /// The keys of `issuer`, which is an https URL, wherever its metadata says that they are: asked anew with every
    /// fetch, and believed only where it names this very issuer.
    ///
    /// RFC 8414 §3
    pub fn of_issuer(http_client: reqwest::Client, issuer: impl Into<String>) -> Self {
        Self::at(
            http_client,
            Location::Issuer(issuer.into()),
            RefetchLimits::default(),
        )
    }

    /// Verifies a JWT access token with the issuer's keys, as [`AccessTokenVerifier::verify`] does.
    ///
    /// # Errors
    ///
    /// [`JwksVerificationError::Verification`] where the token is at fault, [`JwksVerificationError::Unavailable`]
    /// where nobody can tell, for want of keys.
    ///
    /// RFC 9068 §4
    pub async fn verify(
        &self,
        verifier: &AccessTokenVerifier,
        token: &str,
        now: Timestamp,
    ) -> Result<VerifiedAccessToken, JwksVerificationError> {
        self.verify_with(|keys| verifier.verify(token, keys, now)).await
    }

    /// Verifies anything signed with the issuer's keys; `verify` is called a second time, with newer keys, where it
    /// finds that the key is unknown.
    ///
    /// # Errors
    ///
    /// As [`Self::verify`].
    pub async fn verify_with<T>(
        &self,
        verify: impl Fn(&VerificationKeys) -> Result<T, VerificationError>,
    ) -> Result<T, JwksVerificationError> {
        let verified = self
            .ask(&verify, |error| *error == VerificationError::UnknownKey)
            .await?;
        Ok(verified?)
    }
}

impl<K: FromJwks> RemoteJwks<K> {
    /// The document at `uri`, to be read as `K` says. Nothing is fetched yet.
    pub fn reading(http_client: reqwest::Client, uri: impl Into<String>, limits: RefetchLimits) -> Self {
        Self::at(http_client, Location::Jwks(uri.into()), limits)
    }

    fn at(http_client: reqwest::Client, location: Location, limits: RefetchLimits) -> Self {
        let (held, latest, out_of_reach) = (ArcSwapOption::empty(), Arc::default(), AtomicBool::default());
        Self(Arc::new(Remote {
            http_client,
            location,
            limits,
            held,
            latest,
            out_of_reach,
        }))
    }

    /// Where the keys come from: the address of the JWKS, or the issuer whose metadata names it.
    pub fn uri(&self) -> &str {
        self.0.location.as_str()
    }

    /// What `question` makes of the keys; it is asked a second time, with newer keys, where the first answer is an
    /// error that newer keys could mend, as `is_outdated` says.
    ///
    /// # Errors
    ///
    /// [`KeysUnavailable`] where nobody can tell, for want of keys.
    pub async fn ask<T, E>(
        &self,
        question: impl Fn(&K) -> Result<T, E>,
        is_outdated: impl Fn(&E) -> bool,
    ) -> Result<Result<T, E>, KeysUnavailable> {
        let held = self.held().await?;
        match question(&held.keys) {
            Err(error) if is_outdated(&error) => {}
            answer => return Ok(answer),
        }
        let newer = self.other_than(Some(held)).await?;
        Ok(question(&newer.keys))
    }

    async fn held(&self) -> Result<Arc<KeySet<K>>, KeysUnavailable> {
        let Some(held) = self.0.held.load_full() else {
            return self.other_than(None).await;
        };
        let age = held.fetched_at.elapsed();
        if age > self.0.limits.kept_at_most {
            return self.other_than(Some(held)).await;
        }
        let max_age = self.0.limits.max_age;
        let is_reachable = !self.0.out_of_reach.load(Ordering::Relaxed);
        // After a quiet time the first token would still meet the keys of before.
        if age > max_age.saturating_mul(2) && is_reachable {
            let newer = self.other_than(Some(Arc::clone(&held))).await;
            return newer.or(Ok(held));
        }
        if age > max_age {
            self.renew_in_background();
        }
        Ok(held)
    }

    /// The keys that follow those `seen`; the same where it is too soon to ask for others.
    async fn other_than(&self, seen: Option<Arc<KeySet<K>>>) -> Result<Arc<KeySet<K>>, KeysUnavailable> {
        let remote = Arc::clone(&self.0);
        // A task of its own: a caller that hangs up must not end the fetch that others wait for.
        let fetched = tokio::spawn(async move { remote.other_than(seen).await }).await;
        fetched
            .unwrap_or(Err(FetchError::Interrupted))
            .map_err(|reason| self.unavailable(reason))
    }

    fn renew_in_background(&self) {
        let Ok(latest) = Arc::clone(&self.0.latest).try_lock_owned() else {
            return;
        };
        if self.0.is_cooling_down(latest.as_ref()) {
            return;
        }
        let remote = Arc::clone(&self.0);
        tokio::spawn(async move { remote.renew(latest).await });
    }

    fn unavailable(&self, reason: FetchError) -> KeysUnavailable {
        KeysUnavailable {
            uri: self.uri().to_owned(),
            reason,
        }
    }
}

impl<K: FromJwks> Remote<K> {
    async fn other_than(&self, seen: Option<Arc<KeySet<K>>>) -> Result<Arc<KeySet<K>>, FetchError> {
        let latest = Arc::clone(&self.latest).lock_owned().await;
        let held = self.held.load_full();
        match held {
            // Somebody else fetched while this one waited.
            Some(held) if seen.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, &held)) => Ok(held),
            held if self.is_cooling_down(latest.as_ref()) => answer_while_cooling_down(held, latest.as_ref()),
            _ => self.renew(latest).await,
        }
    }

    fn is_cooling_down(&self, latest: Option<&Attempt>) -> bool {
        latest.is_some_and(|latest| latest.is_cooling_down(&self.limits, Instant::now()))
    }

    async fn renew(
        &self,
        mut latest: OwnedMutexGuard<Option<Attempt>>,
    ) -> Result<Arc<KeySet<K>>, FetchError> {
        let fetched = fetch(&self.http_client, &self.location, self.limits.timeout).await;
        let now = Instant::now();
        let uri = self.location.as_str();
        match &fetched {
            Ok(keys) => tracing::info!(jwks.uri = uri, jwks.keys = ?keys, "fetched the keys of {uri}"),
            Err(reason) => {
                tracing::warn!(jwks.uri = uri, %reason, "the keys of {uri} cannot be fetched: {reason}");
            }
        }
        self.out_of_reach.store(fetched.is_err(), Ordering::Relaxed);
        *latest = Some(Attempt {
            ended_at: now,
            result: fetched.as_ref().map(|_| ()).map_err(Clone::clone),
        });
        let held = Arc::new(KeySet {
            keys: fetched?,
            fetched_at: now,
        });
        self.held.store(Some(Arc::clone(&held)));
        Ok(held)
    }
}

/// A `kid` unknown to keys just fetched is a made-up one; after a failed fetch nobody can tell.
fn answer_while_cooling_down<K>(
    held: Option<Arc<KeySet<K>>>,
    latest: Option<&Attempt>,
) -> Result<Arc<KeySet<K>>, FetchError> {
    match (latest, held) {
        (
            Some(Attempt {
                result: Err(reason), ..
            }),
            _,
        ) => Err(reason.clone()),
        (_, Some(held)) => Ok(held),
        (_, None) => Err(FetchError::Interrupted),
    }
}

impl<K> fmt::Debug for RemoteJwks<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteJwks")
            .field("uri", &self.0.location.as_str())
            .finish_non_exhaustive()
    }
}

/// The keys at hand have been out of reach for too long, or were never fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keys of {uri} cannot be fetched: {reason}")]
pub struct KeysUnavailable {
    /// Where the keys should be.
    pub uri: String,
    /// Why they could not be fetched.
    pub reason: FetchError,
}

/// Why something signed was not verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwksVerificationError {
    /// What was signed is not to be believed: the sender's fault.
    #[error(transparent)]
    Verification(#[from] VerificationError),
    /// The keys could not be fetched: never the sender's fault.
    #[error(transparent)]
    Unavailable(#[from] KeysUnavailable),
}
