//! Whether a connection is still used: what is under way on it, and when something last happened.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::lock::lock;

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
        let timer = pin!(sleep_until(self.last() + limit));
        self.quiet_by(timer, limit).await;
    }

    /// The same, by a timer that may be set to any time.
    pub(crate) async fn quiet_by(&self, mut timer: Pin<&mut Sleep>, limit: Duration) {
        let mut quiet_until = self.last() + limit;
        // One that runs out too early is cheaper looked at again than set anew.
        if timer.deadline() > quiet_until {
            timer.as_mut().reset(quiet_until);
        }
        loop {
            timer.as_mut().await;
            quiet_until = self.last() + limit;
            if quiet_until <= timer.deadline() {
                return;
            }
            timer.as_mut().reset(quiet_until);
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

/// Where a timer is left for whoever needs the next one: to start one and to stop it again is dear for what hardly ever
/// runs out.
#[derive(Debug, Default)]
pub(crate) struct TimerSlot(Mutex<Option<Pin<Box<Sleep>>>>);

impl TimerSlot {
    /// The timer that was left, set to any time, or else one that runs out after `limit`.
    pub(crate) fn take(&self, limit: Duration) -> Pin<Box<Sleep>> {
        let left = lock(&self.0).take();
        left.unwrap_or_else(|| Box::pin(sleep(limit)))
    }

    /// Leaves a timer.
    pub(crate) fn leave(&self, timer: Pin<Box<Sleep>>) {
        *lock(&self.0) = Some(timer);
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
    use futures_util::FutureExt;

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

    #[tokio::test(start_paused = true)]
    async fn is_quiet_after_the_limit_whatever_a_timer_was_set_to() {
        let slot = TimerSlot::default();
        for (limit, seconds) in [(LIMIT, 10), (LIMIT, 10), (LIMIT / 2, 5), (LIMIT * 3, 30)] {
            let (activity, started) = (Activity::new(), Instant::now());
            let mut timer = slot.take(limit);
            activity.quiet_by(timer.as_mut(), limit).await;
            assert_eq!(started.elapsed().as_secs(), seconds);
            // Used for a moment, and left before it runs out.
            let _quiet = Activity::new().quiet_by(timer.as_mut(), limit).now_or_never();
            slot.leave(timer);
            sleep(limit / 10).await;
        }
    }
}
