//! Wrong client secrets, counted: who has guessed too often waits.
//!
//! Counted are failures alone, by the client whose secret is guessed and by the address they come from. The limiter
//! libraries count when they are asked; here the question comes before the guess and the count after it.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher as _, Hash};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong secrets from one address: so many at once, then one per interval.
const FROM_AN_ADDRESS: Allowance = Allowance {
    at_once: 30,
    interval: Duration::from_secs(2),
};
/// Wrong secrets for one client, from wherever: more, since others can use them up.
const FOR_A_CLIENT: Allowance = Allowance {
    at_once: 100,
    interval: Duration::from_secs(1),
};
/// Bounds the memory that strangers can take, to a few megabytes.
const MOST_COUNTED: usize = 32 * 1024;

/// Counts wrong secrets, and holds up those who have sent too many.
///
/// [RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)
#[derive(Default)]
pub(crate) struct Guesses {
    // Keyed anew in every process, so that nobody can choose client ids that collide.
    hasher: RandomState,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    by_client: Failures<u64>,
    by_address: Failures<IpAddr>,
    /// Where the right secret has come from: there a client is not held up for what others send elsewhere.
    proven: HashSet<(u64, IpAddr)>,
}

/// Whose secret is tried, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guess {
    client: u64,
    address: Option<IpAddr>,
}

impl Guesses {
    /// The guess of a request that claims to come from `client_id`.
    pub(crate) fn guess(&self, client_id: &str, peer: Option<SocketAddr>) -> Guess {
        Guess {
            client: self.hasher.hash_one(client_id),
            address: peer.map(|peer| whose(peer.ip())),
        }
    }

    /// Whether another guess may be made at `now`.
    ///
    /// # Errors
    ///
    /// For how long to wait.
    pub(crate) fn verify_allowed(&self, guess: &Guess, now: Instant) -> Result<(), Duration> {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let from_address = guess.address.map_or(Duration::ZERO, |address| {
            counted.by_address.wait(&address, FROM_AN_ADDRESS, now)
        });
        let for_client = if counted.is_proven(guess) {
            Duration::ZERO
        } else {
            counted.by_client.wait(&guess.client, FOR_A_CLIENT, now)
        };
        match from_address.max(for_client) {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }

    /// The secret was wrong.
    pub(crate) fn note_wrong(&self, guess: &Guess, now: Instant) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.by_client.note(guess.client, FOR_A_CLIENT, now);
        if let Some(address) = guess.address {
            counted.by_address.note(address, FROM_AN_ADDRESS, now);
        }
    }

    /// The secret was right.
    pub(crate) fn note_right(&self, guess: &Guess) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = guess.address
            && counted.proven.len() < MOST_COUNTED
        {
            counted.proven.insert((guess.client, address));
        }
    }
}

impl fmt::Debug for Guesses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guesses").finish_non_exhaustive()
    }
}

impl Counted {
    fn is_proven(&self, guess: &Guess) -> bool {
        guess
            .address
            .is_some_and(|address| self.proven.contains(&(guess.client, address)))
    }
}

/// Whoever has an IPv6 address has 2^64 of them.
fn whose(address: IpAddr) -> IpAddr {
    const NETWORK: u128 = !0 << 64;
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
    }
}

/// So many failures at once, and then one per interval.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    at_once: u32,
    interval: Duration,
}

/// When each is forgiven its last failure, if it makes no other: the whole state of a leaky bucket.
struct Failures<K>(HashMap<K, Instant>);

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash + Copy> Failures<K> {
    fn wait(&self, key: &K, allowance: Allowance, now: Instant) -> Duration {
        let tolerated = allowance.interval * allowance.at_once.saturating_sub(1);
        self.0.get(key).map_or(Duration::ZERO, |forgiven_at| {
            forgiven_at
                .saturating_duration_since(now)
                .saturating_sub(tolerated)
        })
    }

    fn note(&mut self, key: K, allowance: Allowance, now: Instant) {
        if self.0.len() >= MOST_COUNTED && !self.0.contains_key(&key) {
            self.make_room(now);
        }
        let forgiven_at = self.0.entry(key).or_insert(now);
        *forgiven_at = (*forgiven_at).max(now) + allowance.interval;
    }

    /// Forgets who is forgiven; if nobody is, whoever is next.
    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, forgiven_at| *forgiven_at > now);
        if self.0.len() < MOST_COUNTED {
            return;
        }
        let next = self.0.iter().min_by_key(|(_, forgiven_at)| **forgiven_at);
        if let Some(key) = next.map(|(key, _)| *key) {
            self.0.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Option<SocketAddr> {
        Some(SocketAddr::new(address.parse().unwrap(), 4711))
    }

    fn wrong(guesses: &Guesses, guess: &Guess, times: u32, now: Instant) {
        for _ in 0..times {
            guesses.note_wrong(guess, now);
        }
    }

    /// O19.
    #[test]
    fn allows_some_wrong_secrets_from_an_address_and_then_one_at_a_time() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let guess = guesses.guess("partner-client", peer("192.0.2.1"));
        wrong(&guesses, &guess, FROM_AN_ADDRESS.at_once - 1, now);
        assert_eq!(guesses.verify_allowed(&guess, now), Ok(()));
        wrong(&guesses, &guess, 1, now);
        assert_eq!(guesses.verify_allowed(&guess, now), Err(FROM_AN_ADDRESS.interval));
        let later = now + FROM_AN_ADDRESS.interval;
        assert_eq!(guesses.verify_allowed(&guess, later), Ok(()));
        wrong(&guesses, &guess, 1, later);
        assert_eq!(
            guesses.verify_allowed(&guess, later),
            Err(FROM_AN_ADDRESS.interval)
        );
    }

    /// O19: whichever client the next guess is for, and whether or not there is such a client.
    #[test]
    fn holds_up_an_address_and_leaves_others_alone() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let guess = guesses.guess("partner-client", peer("192.0.2.1"));
        wrong(&guesses, &guess, FROM_AN_ADDRESS.at_once, now);
        let other_client = guesses.guess("other-client", peer("192.0.2.1"));
        assert!(guesses.verify_allowed(&other_client, now).is_err());
        let other_address = guesses.guess("partner-client", peer("192.0.2.2"));
        assert_eq!(guesses.verify_allowed(&other_address, now), Ok(()));
    }

    /// O19.
    #[test]
    fn holds_up_guesses_at_one_client_from_many_addresses() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let from = |n: u32| guesses.guess("partner-client", peer(&format!("192.0.2.{n}")));
        for n in 0..FOR_A_CLIENT.at_once {
            wrong(&guesses, &from(n), 1, now);
        }
        assert_eq!(
            guesses.verify_allowed(&from(200), now),
            Err(FOR_A_CLIENT.interval)
        );
        let other_client = guesses.guess("other-client", peer("192.0.2.200"));
        assert_eq!(guesses.verify_allowed(&other_client, now), Ok(()));
    }

    /// O19: throttling must not be a way to shut a client out.
    #[test]
    fn does_not_hold_up_a_client_where_it_has_proven_itself_for_what_others_send() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let client = guesses.guess("partner-client", peer("192.0.2.1"));
        guesses.note_right(&client);
        for n in 0..FOR_A_CLIENT.at_once {
            let stranger = guesses.guess("partner-client", peer(&format!("198.51.100.{n}")));
            wrong(&guesses, &stranger, 1, now);
        }
        assert_eq!(guesses.verify_allowed(&client, now), Ok(()));
        wrong(&guesses, &client, FROM_AN_ADDRESS.at_once, now);
        assert!(guesses.verify_allowed(&client, now).is_err());
    }

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
    fn takes_bounded_memory_and_forgets_the_least_guilty_first() {
        let mut failures = Failures::<usize>::default();
        let now = Instant::now();
        for _ in 0..2 {
            failures.note(0, FROM_AN_ADDRESS, now);
        }
        for key in 1..=2 * MOST_COUNTED {
            failures.note(key, FROM_AN_ADDRESS, now);
            if failures.0.len() < MOST_COUNTED {
                continue;
            }
            // Scanning for every one of them takes a while; a few are enough to see.
            if key > MOST_COUNTED + 8 {
                break;
            }
        }
        assert_eq!(failures.0.len(), MOST_COUNTED);
        assert!(failures.0.contains_key(&0));
    }
}
