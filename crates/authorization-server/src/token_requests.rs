//! How many token requests are answered: for each client, and from each address.
//!
//! An address is counted before anything else is done; a client once it has proven who it is, so that nobody uses up
//! another's allowance, and before the store is asked for anything.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hash};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::configuration::LimitsSection;
use crate::leaky_buckets::{Allowance, LeakyBuckets, whose};

/// For how many seconds' worth of requests a client may come at once: what comes together after a restart.
const SECONDS_AT_ONCE: u32 = 10;

/// Counts token requests, and holds up those that are too many.
pub(crate) struct TokenRequests {
    // Keyed anew in every process.
    hasher: RandomState,
    by_client: Limited<u64>,
    by_address: Limited<IpAddr>,
}

impl TokenRequests {
    pub(crate) fn new(limits: LimitsSection) -> Self {
        Self {
            hasher: RandomState::new(),
            by_client: Limited::to(limits.token_requests_per_client),
            by_address: Limited::to(limits.token_requests_per_address),
        }
    }

    /// Counts a request from that address, unless there have been too many.
    ///
    /// # Errors
    ///
    /// For how long to wait.
    pub(crate) fn count_address(&self, peer: Option<SocketAddr>, now: Instant) -> Result<(), Duration> {
        peer.map_or(Ok(()), |peer| self.by_address.count(whose(peer.ip()), now))
    }

    /// Counts a request of that client, which has proven who it is, unless there have been too many.
    ///
    /// # Errors
    ///
    /// For how long to wait.
    pub(crate) fn count_client(&self, client_id: &str, now: Instant) -> Result<(), Duration> {
        self.by_client.count(self.hasher.hash_one(client_id), now)
    }
}

impl fmt::Debug for TokenRequests {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenRequests").finish_non_exhaustive()
    }
}

struct Limited<K> {
    allowance: Allowance,
    counted: Mutex<LeakyBuckets<K>>,
}

impl<K: Eq + Hash + Copy> Limited<K> {
    fn to(per_second: u32) -> Self {
        Self {
            allowance: Allowance {
                at_once: per_second.saturating_mul(SECONDS_AT_ONCE),
                interval: Duration::from_secs(1) / per_second.max(1),
            },
            counted: Mutex::default(),
        }
    }

    /// What is refused is not counted: who waits as told is answered.
    fn count(&self, key: K, now: Instant) -> Result<(), Duration> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        match counted.wait(&key, self.allowance, now) {
            Duration::ZERO => {
                counted.note(key, self.allowance, now);
                Ok(())
            }
            wait => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LimitsSection = LimitsSection {
        token_requests_per_client: 2,
        token_requests_per_address: 4,
    };

    fn peer(address: &str) -> Option<SocketAddr> {
        Some(SocketAddr::new(address.parse().unwrap(), 4711))
    }

    #[test]
    fn answers_a_burst_and_then_one_at_a_time_to_each_client() {
        let (requests, now) = (TokenRequests::new(LIMITS), Instant::now());
        for _ in 0..20 {
            assert_eq!(requests.count_client("partner-client", now), Ok(()));
        }
        let wait = Duration::from_millis(500);
        for _ in 0..3 {
            assert_eq!(requests.count_client("partner-client", now), Err(wait));
        }
        assert_eq!(requests.count_client("other-client", now), Ok(()));
        assert_eq!(requests.count_client("partner-client", now + wait), Ok(()));
        assert_eq!(requests.count_client("partner-client", now + wait), Err(wait));
    }

    #[test]
    fn answers_a_burst_and_then_one_at_a_time_to_each_address() {
        let (requests, now) = (TokenRequests::new(LIMITS), Instant::now());
        let (one, neighbour, other) = (peer("2001:db8::1"), peer("2001:db8::2"), peer("192.0.2.1"));
        for _ in 0..20 {
            assert_eq!(requests.count_address(one, now), Ok(()));
            assert_eq!(requests.count_address(neighbour, now), Ok(()));
        }
        let wait = Duration::from_millis(250);
        assert_eq!(requests.count_address(one, now), Err(wait));
        assert_eq!(
            requests.count_address(neighbour, now),
            Err(wait),
            "of the same network"
        );
        assert_eq!(requests.count_address(other, now), Ok(()));
        assert_eq!(requests.count_address(one, now + wait), Ok(()));
    }
}
