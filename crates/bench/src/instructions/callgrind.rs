//! Programs under valgrind, and what it says they executed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::steps::{MEASURED, Step};
use crate::systems::Ground;

/// So often a step is executed.
const REPETITIONS: u64 = 200;

/// Fails with the remedy where there is no valgrind.
pub(crate) fn verify_installed() -> anyhow::Result<()> {
    let found = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    let status = found.context("valgrind is not installed: apt install valgrind")?;
    ensure!(status.success(), "valgrind does not run");
    Ok(())
}

/// Instructions of one execution of a step.
pub(crate) fn count_step(ground: &Ground, step: Step) -> anyhow::Result<u64> {
    let log = ground.fresh_directory("step")?.join("callgrind.log");
    let output = callgrind(&log)
        .arg(format!("--toggle-collect=*{MEASURED}*"))
        .arg(std::env::current_exe()?)
        .args(["step", step.name(), &REPETITIONS.to_string()])
        .output()
        .context("valgrind")?;
    ensure!(
        output.status.success(),
        "{}: {}",
        step.name(),
        String::from_utf8_lossy(&output.stderr)
    );
    let collected = collected(&log)?;
    ensure!(
        collected > 0,
        "{}: nothing was counted of {MEASURED}",
        step.name()
    );
    Ok(collected / REPETITIONS)
}

/// A command that has callgrind write its sum to `log` and nothing else.
pub(crate) fn callgrind(log: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--log-file={}", log.display()));
    command
}

/// The sum that callgrind wrote at its program's end.
pub(crate) fn collected(log: &Path) -> anyhow::Result<u64> {
    let text = fs::read_to_string(log).with_context(|| log.display().to_string())?;
    parse(&text).with_context(|| format!("{} names no sum", log.display()))
}

fn parse(log: &str) -> Option<u64> {
    let line = log.lines().rev().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_sum() {
        let log = "==7== \n==7== Events    : Ir\n==7== Collected : 1234567\n==7== \n==7== I   refs:      1,234,567\n";
        assert_eq!(parse(log), Some(1_234_567));
    }

    #[test]
    fn refuses_a_log_without_a_sum() {
        assert_eq!(
            parse("==7== Process terminating with default action of signal 9\n"),
            None
        );
    }
}
