//! Which client assertions have been used: each is good once.
//!
//! One small trait, so that servers which answer for one another can share a memory, and one for a server alone.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::future::ready;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use oauth_core::jwt::{LONGEST_ASSERTION_LIFETIME, VerifiedAssertion};
use oauth_core::time::Timestamp;

use crate::token_store::{Pending, StoreError};

/// Bounds the memory that clients can take, to some 20 MB. They have proven who they are, and would have to send so
/// many requests within five minutes.
const MOST_ASSERTIONS: usize = 200_000;

/// How an assertion was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// For the first time.
    First,
    /// Not, or not certainly, for the first time.
    Repeated,
}

/// A memory of the assertions that have been used.
pub trait ReplayMemory: fmt::Debug + Send + Sync {
    /// Remembers that client's `assertion` until it expires, and says whether it has been met before. Of several who ask at the
    /// same time, one is told that it is the first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where that cannot be said; then the assertion proves nothing.
    ///
    /// [RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523#section-3)
    fn note(&self, client_id: &str, assertion: &VerifiedAssertion, now: Timestamp)
    -> Pending<'_, Occurrence>;
}

/// The memory of one server, for as long as it runs.
///
/// What was used before it started, it cannot know. So it takes an assertion only if that was made since, or lives
/// for so long that nobody could have accepted it earlier.
pub struct OwnReplayMemory {
    started_at: Timestamp,
    capacity: usize,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    ids: HashSet<[u8; 32]>,
    by_expiry: BTreeMap<Timestamp, Vec<[u8; 32]>>,
}

impl OwnReplayMemory {
    /// An empty memory of a server that started at that moment.
    pub fn new(started_at: Timestamp) -> Self {
        Self {
            started_at,
            capacity: MOST_ASSERTIONS,
            used: Mutex::default(),
        }
    }

    fn is_of_this_run(&self, assertion: &VerifiedAssertion) -> bool {
        assertion
            .issued_at
            .is_some_and(|issued_at| issued_at >= self.started_at)
            || assertion.expires_at >= self.started_at.plus(LONGEST_ASSERTION_LIFETIME)
    }
}

impl ReplayMemory for OwnReplayMemory {
    fn note(
        &self,
        client_id: &str,
        assertion: &VerifiedAssertion,
        now: Timestamp,
    ) -> Pending<'_, Occurrence> {
        if !self.is_of_this_run(assertion) {
            return Box::pin(ready(Ok(Occurrence::Repeated)));
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let id = digest(client_id, &assertion.jti);
        Box::pin(ready(used.note(id, assertion.expires_at, now, self.capacity)))
    }
}

/// Stands for client and `jti`: one client's choice never touches another's, and all take the same room.
fn digest(client_id: &str, jti: &str) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    // The length in front, so that no other pair of texts gives the same bytes.
    context.update(&(client_id.len() as u64).to_be_bytes());
    context.update(client_id.as_bytes());
    context.update(jti.as_bytes());
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

impl fmt::Debug for OwnReplayMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OwnReplayMemory")
            .field("started_at", &self.started_at)
            .finish_non_exhaustive()
    }
}

impl Used {
    fn note(
        &mut self,
        id: [u8; 32],
        expires_at: Timestamp,
        now: Timestamp,
        capacity: usize,
    ) -> Result<Occurrence, StoreError> {
        self.forget_expired(now);
        if self.ids.contains(&id) {
            return Ok(Occurrence::Repeated);
        }
        if self.ids.len() >= capacity {
            return Err(StoreError::Overloaded);
        }
        self.ids.insert(id);
        self.by_expiry.entry(expires_at).or_default().push(id);
        Ok(Occurrence::First)
    }

    fn forget_expired(&mut self, now: Timestamp) {
        while let Some(earliest) = self.by_expiry.first_entry()
            && *earliest.key() <= now
        {
            for id in earliest.remove() {
                self.ids.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn at(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    fn assertion(id: u8, made_at: u64, expires_at: u64) -> VerifiedAssertion {
        VerifiedAssertion {
            jti: id.to_string(),
            issued_at: Some(at(made_at)),
            expires_at: at(expires_at),
        }
    }

    async fn note(
        memory: &OwnReplayMemory,
        assertion: &VerifiedAssertion,
        now: u64,
    ) -> Result<Occurrence, StoreError> {
        memory.note("partner-client", assertion, at(now)).await
    }

    /// K7.
    #[tokio::test]
    async fn accepts_an_assertion_once_within_its_validity() {
        let memory = OwnReplayMemory::new(START);
        let first = assertion(1, 0, 60);
        assert_eq!(note(&memory, &first, 0).await, Ok(Occurrence::First));
        assert_eq!(note(&memory, &first, 59).await, Ok(Occurrence::Repeated));
        assert_eq!(
            note(&memory, &assertion(2, 0, 60), 59).await,
            Ok(Occurrence::First)
        );
        let others = memory.note("other-client", &first, at(59)).await;
        assert_eq!(others, Ok(Occurrence::First));
    }

    #[tokio::test]
    async fn forgets_what_has_expired_and_refuses_what_it_has_no_room_for() {
        let mut memory = OwnReplayMemory::new(START);
        memory.capacity = 2;
        for id in [1, 2] {
            assert_eq!(
                note(&memory, &assertion(id, 0, 60), 0).await,
                Ok(Occurrence::First)
            );
        }
        let third = assertion(3, 1, 120);
        assert_eq!(note(&memory, &third, 59).await, Err(StoreError::Overloaded));
        assert_eq!(note(&memory, &third, 60).await, Ok(Occurrence::First));
        let used = memory.used.lock().unwrap();
        assert_eq!((used.ids.len(), used.by_expiry.len()), (1, 1));
    }

    /// K7: a restart forgets what was used, and must not let it be used again.
    #[tokio::test]
    async fn refuses_what_may_have_been_used_before_it_started() {
        let memory = OwnReplayMemory::new(at(100));
        assert_eq!(
            note(&memory, &assertion(1, 99, 159), 100).await,
            Ok(Occurrence::Repeated)
        );
        assert_eq!(
            note(&memory, &assertion(2, 100, 160), 100).await,
            Ok(Occurrence::First)
        );
        let silent = |id, expires_at| VerifiedAssertion {
            issued_at: None,
            ..assertion(id, 0, expires_at)
        };
        assert_eq!(
            note(&memory, &silent(3, 399), 100).await,
            Ok(Occurrence::Repeated)
        );
        assert_eq!(note(&memory, &silent(4, 400), 100).await, Ok(Occurrence::First));
    }
}
