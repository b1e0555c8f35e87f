//! When a fetch may be followed by another.

use std::time::Duration;

use tokio::time::Instant;

use crate::fetch::FetchError;

/// How old keys may get, and how soon they may be asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefetchLimits {
    /// Keys older than this are fetched again in the background, while they still serve; at twice the age they serve
    /// only where they cannot be fetched. Bounds for how long a key withdrawn by the issuer is believed.
    pub max_age: Duration,
    /// Keys older than this serve no longer: the issuer has been out of reach for too long to be believed.
    pub kept_at_most: Duration,
    /// From a fetch that succeeded to one for the sake of an unknown `kid`. Bounds how often made-up key ids reach
    /// the issuer.
    pub after_success: Duration,
    /// From a fetch that failed to the next. Bounds how often an issuer in trouble is asked.
    pub after_failure: Duration,
    /// For one fetch.
    pub timeout: Duration,
}

impl Default for RefetchLimits {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(5 * 60),
            kept_at_most: Duration::from_secs(24 * 60 * 60),
            after_success: Duration::from_secs(10),
            after_failure: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
        }
    }
}

/// The latest fetch: when it ended and how.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) ended_at: Instant,
    pub(crate) result: Result<(), FetchError>,
}

impl Attempt {
    pub(crate) fn is_cooling_down(&self, limits: &RefetchLimits, now: Instant) -> bool {
        let cool_down = if self.result.is_ok() {
            limits.after_success
        } else {
            limits.after_failure
        };
        now.duration_since(self.ended_at) < cool_down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(result: Result<(), FetchError>) -> Attempt {
        Attempt {
            ended_at: Instant::now(),
            result,
        }
    }

    #[test]
    fn a_failure_is_retried_sooner_than_a_success_is_repeated() {
        let limits = RefetchLimits::default();
        let (succeeded, failed) = (attempt(Ok(())), attempt(Err(FetchError::TooLarge)));
        let is_cooling = |attempt: &Attempt, seconds| {
            attempt.is_cooling_down(&limits, attempt.ended_at + Duration::from_secs_f32(seconds))
        };
        assert!(is_cooling(&failed, 0.9) && !is_cooling(&failed, 1.0));
        assert!(is_cooling(&succeeded, 9.9) && !is_cooling(&succeeded, 10.0));
    }
}
