//! How much each of many has used of what it is allowed: leaky buckets in bounded memory.
//!
//! Decides nothing about who is counted and for what. The limiter libraries count when they are asked, and let the
//! number of keys grow until somebody looks after it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Bounds the memory that strangers can take, to a few megabytes.
pub(crate) const MOST_COUNTED: usize = 32 * 1024;

/// Whoever has an IPv6 address has 2^64 of them.
pub(crate) fn whose(address: IpAddr) -> IpAddr {
    const NETWORK: u128 = !0 << 64;
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
    }
}

/// So many at once, and then one per interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) at_once: u32,
    pub(crate) interval: Duration,
}

/// When each key's bucket is empty again, if nothing more is poured in: the whole state of a leaky bucket.
pub(crate) struct LeakyBuckets<K>(HashMap<K, Instant>);

impl<K> Default for LeakyBuckets<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash + Copy> LeakyBuckets<K> {
    /// For how long there is no room for another; zero where there is.
    pub(crate) fn wait(&self, key: &K, allowance: Allowance, now: Instant) -> Duration {
        let tolerated = allowance.interval * allowance.at_once.saturating_sub(1);
        self.0.get(key).map_or(Duration::ZERO, |empty_at| {
            empty_at.saturating_duration_since(now).saturating_sub(tolerated)
        })
    }

    /// Pours one in, whether there is room or not.
    pub(crate) fn note(&mut self, key: K, allowance: Allowance, now: Instant) {
        if self.0.len() >= MOST_COUNTED && !self.0.contains_key(&key) {
            self.make_room(now);
        }
        let empty_at = self.0.entry(key).or_insert(now);
        *empty_at = (*empty_at).max(now) + allowance.interval;
    }

    /// Forgets the buckets that are empty; if none is, the one that is next.
    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, empty_at| *empty_at > now);
        if self.0.len() < MOST_COUNTED {
            return;
        }
        let next = self.0.iter().min_by_key(|(_, empty_at)| **empty_at);
        if let Some(key) = next.map(|(key, _)| *key) {
            self.0.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE: Allowance = Allowance {
        at_once: 30,
        interval: Duration::from_secs(2),
    };

    /// O19: addresses are cheap where there are many.
    #[test]
    fn counts_an_ipv6_network_as_one_and_a_mapped_address_as_what_it_is() {
        assert_eq!(
            whose("2001:db8::1".parse().unwrap()),
            whose("2001:db8::ffff:1".parse().unwrap())
        );
        assert_ne!(
            whose("2001:db8::1".parse().unwrap()),
            whose("2001:db8:0:1::1".parse().unwrap())
        );
        assert_eq!(
            whose("::ffff:192.0.2.1".parse().unwrap()),
            whose("192.0.2.1".parse().unwrap())
        );
    }

    #[test]
    fn takes_bounded_memory_and_forgets_the_least_filled_first() {
        let mut buckets = LeakyBuckets::<usize>::default();
        let now = Instant::now();
        for _ in 0..2 {
            buckets.note(0, ALLOWANCE, now);
        }
        for key in 1..=2 * MOST_COUNTED {
            buckets.note(key, ALLOWANCE, now);
            if buckets.0.len() < MOST_COUNTED {
                continue;
            }
            // Scanning for every one of them takes a while; a few are enough to see.
            if key > MOST_COUNTED + 8 {
                break;
            }
        }
        assert_eq!(buckets.0.len(), MOST_COUNTED);
        assert!(buckets.0.contains_key(&0));
    }
}
