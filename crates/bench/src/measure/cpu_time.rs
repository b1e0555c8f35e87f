//! CPU time, user and system, from the process's own clock: nanoseconds, not ticks of ten milliseconds.

use std::time::Duration;

use anyhow::Context as _;
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

/// The CPU clock of one process: what all its threads have used since it started, those that ended included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuClock(ClockId);

impl CpuClock {
    /// The clock of the process `id`.
    pub(crate) fn of(id: u32) -> anyhow::Result<Self> {
        let pid = Pid::from_raw(i32::try_from(id).context("a process id")?);
        let clock = clock_getcpuclockid(pid).with_context(|| format!("process {id} has no CPU clock"))?;
        Ok(Self(clock))
    }

    /// What the process has used so far.
    pub(crate) fn read(self) -> anyhow::Result<Duration> {
        let time = self
            .0
            .now()
            .context("a CPU clock cannot be read; has the process ended?")?;
        Ok(Duration::from(time))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn counts_what_the_process_works() {
        let clock = CpuClock::of(std::process::id()).unwrap();
        let before = clock.read().unwrap();
        let started = Instant::now();
        while clock.read().unwrap() <= before {
            assert!(started.elapsed() < Duration::from_secs(10), "the clock moves");
        }
    }

    #[test]
    fn has_no_clock_for_a_process_that_is_not_there() {
        // Larger than any process id that Linux gives out.
        assert!(CpuClock::of(1 << 23).is_err());
    }
}
