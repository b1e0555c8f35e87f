//! Whether a connection is still used: what is under way on it, and when something last happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A connection's pulse.
#[derive(Debug)]
pub(crate) struct Activity {
    started: Instant,
    /// Milliseconds after `started`.
    last: AtomicU64,
    under_way: AtomicUsize,
}

impl Activity {
    /// Something happens right now; nothing is under way.
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            last: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
        }
    }

    /// Something happens right now.
    pub(crate) fn touch(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(elapsed, Ordering::Relaxed);
    }

    /// Something begins, and is under way until the answer is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Resolves once nothing has been under way and nothing has happened for as long as `limit`.
    pub(crate) async fn quiet_for(&self, limit: Duration) {
        loop {
            let quiet_until = self.last() + limit;
            sleep_until(quiet_until).await;
            if self.last() + limit <= quiet_until {
                return;
            }
        }
    }

    /// When something last happened; something that is under way happens.
    fn last(&self) -> Instant {
        match self.under_way.load(Ordering::Relaxed) {
            0 => self.started + Duration::from_millis(self.last.load(Ordering::Relaxed)),
            _ => Instant::now(),
        }
    }
}

/// Something that has begun and not ended.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.touch();
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn is_quiet_after_the_limit_and_no_sooner() {
        let activity = Activity::new();
        let started = Instant::now();
        activity.quiet_for(LIMIT).await;
        assert_eq!(started.elapsed().as_secs(), LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_touch_starts_the_limit_anew() {
        let activity = Activity::new();
        let started = Instant::now();
        tokio::join!(activity.quiet_for(LIMIT), async {
            sleep(Duration::from_secs(6)).await;
            activity.touch();
        });
        assert_eq!(started.elapsed().as_secs(), 16);
    }

    #[tokio::test(start_paused = true)]
    async fn is_not_quiet_while_something_is_under_way() {
        let activity = Arc::new(Activity::new());
        let started = Instant::now();
        let under_way = activity.begin();
        tokio::join!(activity.quiet_for(LIMIT), async {
            sleep(Duration::from_secs(35)).await;
            drop(under_way);
        });
        assert_eq!(started.elapsed().as_secs(), 45);
    }
}
