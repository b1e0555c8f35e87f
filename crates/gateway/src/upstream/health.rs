//! Whether a server is there, learnt from the requests themselves: nothing is sent only to find out.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long a server that could not be reached once is left alone; twice as long after each further time.
const FIRST_REST: Duration = Duration::from_secs(1);
/// Bounds for how long a server that is back goes unnoticed.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// What became of the latest attempts to connect to a server.
#[derive(Debug)]
pub(crate) struct Health {
    born: Instant,
    failures: AtomicU32,
    /// Milliseconds after `born`; 0: the server does not rest.
    rests_until: AtomicU64,
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            failures: AtomicU32::new(0),
            rests_until: AtomicU64::new(0),
        }
    }

    /// Lets a request try this server, or not. When a rest is over, one request finds out whether the server is back,
    /// and the others stay away for another while: a yes may use up the one try.
    pub(super) fn try_admit(&self) -> bool {
        let until = self.rests_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now = self.now();
        let next = now + millis(rest_after(self.failures.load(Ordering::Relaxed)));
        now >= until
            && self
                .rests_until
                .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// A connection could not be made: the server is left alone for a while, longer each time.
    pub(crate) fn out_of_reach(&self) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let until = self.now() + millis(rest_after(failures));
        self.rests_until.store(until.max(1), Ordering::Relaxed);
    }

    /// The server is there.
    pub(crate) fn reached(&self) {
        if self.rests_until.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.rests_until.store(0, Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        millis(self.born.elapsed())
    }
}

fn rest_after(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST_REST.saturating_mul(1 << doublings).min(LONGEST_REST)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rests_after_a_failure_and_then_admits_one_request_alone() {
        let health = Health::new();
        assert!(health.try_admit());
        health.out_of_reach();
        assert!(!health.try_admit());
        advance(FIRST_REST).await;
        assert!(health.try_admit());
        assert!(!health.try_admit());
        health.reached();
        assert!(health.try_admit() && health.try_admit());
    }

    #[tokio::test(start_paused = true)]
    async fn rests_longer_after_each_failure_and_never_too_long() {
        let health = Health::new();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            health.out_of_reach();
            advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
            assert!(!health.try_admit(), "{seconds}");
            advance(Duration::from_millis(1)).await;
            assert!(health.try_admit(), "{seconds}");
        }
        for _ in 0..100 {
            health.out_of_reach();
        }
        advance(LONGEST_REST).await;
        assert!(health.try_admit());
    }
}
