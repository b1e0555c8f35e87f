//! Wrong client secrets, counted: who has guessed too often waits.
//!
//! Counted are failures alone, by the client whose secret is guessed and by the address they come from. The limiter
//! libraries count when they are asked; here the question comes before the guess and the count after it.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::leaky_buckets::{Allowance, LeakyBuckets, MOST_COUNTED, whose};

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
    by_client: LeakyBuckets<u64>,
    by_address: LeakyBuckets<IpAddr>,
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
        let Some(address) = guess.address else {
            return;
        };
        // Who is still about proves itself again.
        if counted.proven.len() >= MOST_COUNTED && !counted.is_proven(guess) {
            counted.proven.clear();
        }
        counted.proven.insert((guess.client, address));
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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

    /// O19: however many have proven themselves before; and they take no more memory than that.
    #[test]
    fn does_not_hold_up_a_client_that_proves_itself_after_many_others() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let peers =
            (1..=MOST_COUNTED).map(|n| Some(SocketAddr::new(Ipv4Addr::from_bits(n as u32).into(), 4711)));
        for peer in peers {
            guesses.note_right(&guesses.guess("other-client", peer));
        }
        let client = guesses.guess("partner-client", peer("192.0.2.1"));
        wrong(
            &guesses,
            &guesses.guess("partner-client", None),
            FOR_A_CLIENT.at_once,
            now,
        );
        assert!(guesses.verify_allowed(&client, now).is_err());
        guesses.note_right(&client);
        assert_eq!(guesses.verify_allowed(&client, now), Ok(()));
        assert!(guesses.counted.lock().unwrap().proven.len() <= MOST_COUNTED);
    }
}
