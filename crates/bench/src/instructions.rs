//! Instructions, counted by valgrind: they are the same on a noisy machine as on a quiet one, so that a regression
//! shows anywhere.
//!
//! Steps of a request are counted alone, and whole requests by what the services' binaries execute for them, kernel
//! excepted. What is counted is compared with `instructions.json` beside this crate's manifest.

mod baseline;
mod callgrind;
mod steps;
mod whole;

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::Context as _;

pub(crate) use baseline::{Comparison, Tolerance};

use crate::bench::Bench;
use baseline::Baseline;
pub(crate) use callgrind::callgrind;
use steps::Step;
use whole::Whole;

/// What becomes of the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// They are compared with those that were accepted.
    Compared,
    /// They are accepted: the next run is compared with them.
    Accepted,
}

/// Counts everything.
///
/// # Errors
///
/// Valgrind that is not installed, a service that does not start.
pub(crate) async fn count(bench: &Bench, counts: Counts) -> anyhow::Result<Comparison> {
    callgrind::verify_installed()?;
    let mut counted = Baseline::default();
    for step in Step::ALL {
        bench.progress(&format!("instructions: {}", step.name()));
        counted.insert(step.name(), callgrind::count_step(&bench.ground, step)?);
    }
    for whole in Whole::ALL {
        bench.progress(&format!("instructions: {}", whole.name()));
        counted.insert(whole.name(), whole.count(bench).await?);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let accepted = Baseline::read(&file)?;
    if counts == Counts::Accepted {
        counted.write(&file)?;
    }
    Ok(counted.compare(&accepted, Tolerance::TENTH))
}

/// CPU time of one verification of an access token's JWT, as the gateway does it once per token.
pub(crate) fn cpu_time_of_verification() -> anyhow::Result<Duration> {
    steps::cpu_time(Step::VerifyJwt)
}

/// Executes one step so often: what a child under valgrind does.
pub(crate) fn execute(step: &str, count: u64) -> anyhow::Result<()> {
    let step = Step::from_str(step).context("such a step does not exist")?;
    steps::repeat(step, count)
}
