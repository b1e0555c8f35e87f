//! Resident memory, now and at its highest.

use std::fs;

use anyhow::Context as _;

/// What a process holds in memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Now (`VmRSS`).
    pub(crate) resident: u64,
    /// At most so far (`VmHWM`).
    pub(crate) peak: u64,
}

impl Memory {
    /// Of one process.
    pub(crate) fn of(process: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{process}/status");
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        parse(&status).with_context(|| format!("{path} names no VmRSS"))
    }

    /// Of several together.
    pub(crate) fn of_all(processes: &[u32]) -> anyhow::Result<Self> {
        processes.iter().try_fold(Self::default(), |sum, &process| {
            let one = Self::of(process)?;
            Ok(Self {
                resident: sum.resident + one.resident,
                peak: sum.peak + one.peak,
            })
        })
    }
}

fn parse(status: &str) -> Option<Memory> {
    let kibibytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_end_matches("kB").trim().parse::<u64>().ok()
    };
    Some(Memory {
        resident: kibibytes("VmRSS:")? * 1024,
        peak: kibibytes("VmHWM:")? * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_kibibytes_as_bytes() {
        let status = "Name:\tgateway\nVmHWM:\t   12288 kB\nVmRSS:\t    8192 kB\nThreads:\t3\n";
        let memory = parse(status).unwrap();
        assert_eq!(memory.resident, 8192 * 1024);
        assert_eq!(memory.peak, 12288 * 1024);
    }

    #[test]
    fn refuses_a_status_without_memory() {
        assert_eq!(parse("Name:\tkthreadd\n"), None);
    }
}
