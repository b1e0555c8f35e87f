//! What a core did in sum, so that the work of strangers on it can be told.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// `/proc/stat` counts in these.
const TICK: Duration = Duration::from_millis(10);

/// A reading of one core's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoreTime {
    read_at: Instant,
    idle: Duration,
}

impl CoreTime {
    /// Reads the core's line of `/proc/stat`.
    pub(crate) fn read(core: usize) -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
        let idle = idle_ticks(&text, core).with_context(|| format!("/proc/stat has no core {core}"))?;
        Ok(Self {
            read_at: Instant::now(),
            idle: TICK * idle,
        })
    }

    /// The share of the time since `earlier` in which the core worked for somebody else, `ours` being what our
    /// processes used on it.
    pub(crate) fn foreign_share(self, earlier: Self, ours: Duration) -> f64 {
        let elapsed = self.read_at.duration_since(earlier.read_at).as_secs_f64();
        let idle = self.idle.saturating_sub(earlier.idle).as_secs_f64();
        ((elapsed - idle - ours.as_secs_f64()) / elapsed).clamp(0.0, 1.0)
    }
}

/// Idle time and waiting for disks.
fn idle_ticks(stat: &str, core: usize) -> Option<u32> {
    let name = format!("cpu{core}");
    let mut fields = stat
        .lines()
        .find_map(|line| line.strip_prefix(&name)?.strip_prefix(' '))?
        .split_ascii_whitespace();
    let idle: u32 = fields.nth(3)?.parse().ok()?;
    let waiting: u32 = fields.next()?.parse().ok()?;
    Some(idle + waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "cpu  9 9 9 9 9 9\ncpu0 1 2 3 400 5 6 7 8 0 0\ncpu1 1 2 3 40 50 6 7 8 0 0\ncpu10 0 0 0 7 7 0\n";

    #[test]
    fn reads_the_line_of_the_core() {
        assert_eq!(idle_ticks(STAT, 0), Some(405));
        assert_eq!(idle_ticks(STAT, 1), Some(90));
        assert_eq!(idle_ticks(STAT, 2), None);
    }

    #[test]
    fn tells_the_strangers_share() {
        let earlier = CoreTime {
            read_at: Instant::now(),
            idle: Duration::ZERO,
        };
        let later = CoreTime {
            read_at: earlier.read_at + Duration::from_millis(1000),
            idle: Duration::from_millis(100),
        };
        let share = later.foreign_share(earlier, Duration::from_millis(700));
        assert!((share - 0.2).abs() < 1e-9);
        assert!(later.foreign_share(earlier, Duration::from_millis(950)).abs() < 1e-9);
    }
}
