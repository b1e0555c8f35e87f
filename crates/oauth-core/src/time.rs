//! Points in time, as OAuth counts them: whole seconds since 1970-01-01T00:00:00Z.
//!
//! Nothing here reads a clock. Whoever owns one converts `SystemTime::now()` once and passes it on as `now`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A `NumericDate` without fraction.
///
/// RFC 7519 §2
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The point `seconds` after the epoch.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Whole seconds since the epoch.
    pub const fn as_unix_seconds(self) -> u64 {
        self.0
    }

    /// This point, `duration` later; parts of a second are dropped and the end of time is never passed.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// This point, `duration` earlier; never before the epoch.
    #[must_use]
    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }

    /// How long from `self` until `later`: zero when that has passed.
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_secs(later.0.saturating_sub(self.0))
    }
}

impl From<SystemTime> for Timestamp {
    /// A clock before the epoch counts as the epoch: certificates are then not yet valid, and nothing passes.
    fn from(time: SystemTime) -> Self {
        Self(
            time.duration_since(UNIX_EPOCH)
                .map_or(0, |elapsed| elapsed.as_secs()),
        )
    }
}
