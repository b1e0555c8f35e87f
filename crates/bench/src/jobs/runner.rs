//! Turn by turn: every system once per round, the order rotated, everything on one core; then a few turns on split
//! cores for rates and latencies. Before all of them, each system runs for a while unrecorded: one that is compiled
//! while it runs is not judged by its first seconds.

use std::time::Duration;

use anyhow::Context as _;

use super::contender::{Contender, Unit};
use super::stage::{PARTNER, Stage};
use super::tokens;
use crate::bench::Bench;
use crate::generator::{Histogram, Length, RanOut, run};
use crate::measure::{CoreTime, CpuClock, Memory, Placement, pin_process};
use crate::report::{Comparison, JobReport, Row, Sample};
use crate::systems::Role;

/// The share of the core that strangers may use; a slice in which they used more is repeated.
const TOLERATED: f64 = 0.06;
/// How often a slice is repeated at most.
const REPETITIONS: usize = 3;

/// A job ready to run.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    /// The name of the table.
    pub(crate) name: String,
    /// What is asked, in a sentence.
    pub(crate) description: String,
    /// The rows.
    pub(crate) contenders: Vec<Contender>,
    /// The ratios, by the rows' names.
    pub(crate) comparisons: Vec<Comparison>,
    /// The systems.
    pub(crate) stage: &'a Stage<'a>,
}

/// Runs all rounds, and draws the ratios.
pub(crate) async fn measure(job: Prepared<'_>) -> anyhow::Result<JobReport> {
    let bench = job.stage.bench;
    let mut rows: Vec<Row> = job
        .contenders
        .iter()
        .map(|it| Row::new(&it.name, it.unit))
        .collect();
    place(job.stage, bench.one_core)?;
    for contender in &job.contenders {
        bench.progress(&format!("{}: warming up {}", job.name, contender.name));
        // One that cannot be measured is told of in its first round.
        let _unrecorded = measure_turn(job.stage, contender, bench.plan.warming_up, bench.one_core).await;
    }
    for round in 0..bench.plan.rounds {
        bench.progress(&format!(
            "{}: round {} of {}",
            job.name,
            round + 1,
            bench.plan.rounds
        ));
        for turn in 0..rows.len() {
            let index = (round + turn) % rows.len();
            let row = &mut rows[index];
            if row.failure.is_none() {
                match one_core_turn(job.stage, &job.contenders[index]).await {
                    Ok(sample) => row.add(sample),
                    Err(error) => fail(bench, &job.name, row, &error),
                }
            }
        }
    }
    if let Some(split) = bench.split {
        place(job.stage, split)?;
        for round in 0..bench.plan.split_rounds {
            bench.progress(&format!(
                "{}: rates on split cores, round {} of {}",
                job.name,
                round + 1,
                bench.plan.split_rounds
            ));
            for (contender, row) in job.contenders.iter().zip(&mut rows) {
                if row.failure.is_none() {
                    match split_turn(job.stage, contender).await {
                        Ok(turn) => row.add_split(turn.rate, turn.utilisation, &turn.latencies),
                        Err(error) => fail(bench, &job.name, row, &error),
                    }
                }
            }
        }
    }
    for (contender, row) in job.contenders.iter().zip(&mut rows) {
        row.peak_memory = Memory::of_all(&contender.processes).map_or(0, |memory| memory.peak);
    }
    Ok(JobReport::new(job.name, job.description, rows, &job.comparisons))
}

/// What one system spends alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// CPU microseconds per unit, the median of the rounds of a growing size.
    pub(crate) microseconds: f64,
    /// Whether strangers used the core in most of the rounds.
    pub(crate) is_disturbed: bool,
}

/// Measures one system alone.
pub(crate) async fn cost(stage: &Stage<'_>, contender: &Contender) -> anyhow::Result<Cost> {
    place(stage, stage.bench.one_core)?;
    let mut row = Row::new(&contender.name, contender.unit);
    for _ in 0..stage.bench.plan.growth_rounds {
        row.add(one_core_turn(stage, contender).await?);
    }
    Ok(Cost {
        microseconds: row.summary().context("a plan without rounds")?.median,
        is_disturbed: row.disturbed() * 2 > row.samples.len(),
    })
}

fn fail(bench: &Bench, job: &str, row: &mut Row, error: &anyhow::Error) {
    bench.progress(&format!("{job}: {} FAILED: {error:#}\n", row.system));
    row.failure = Some(format!("{error:#}"));
}

/// Moves every process, and this one, to its core.
pub(crate) fn place(stage: &Stage<'_>, placement: Placement) -> anyhow::Result<()> {
    pin_process(std::process::id(), placement.load)?;
    for (process, role) in stage.processes() {
        let core = match role {
            Role::Server => placement.servers,
            Role::Load => placement.load,
        };
        pin_process(process, core)?;
    }
    Ok(())
}

/// What the clocks say at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    contender: Duration,
    all: Duration,
    core: CoreTime,
}

/// A slice, divided.
#[derive(Debug)]
struct Turn {
    microseconds: f64,
    rate: f64,
    foreign: f64,
    utilisation: f64,
    latencies: Histogram,
}

async fn one_core_turn(stage: &Stage<'_>, contender: &Contender) -> anyhow::Result<Sample> {
    let bench = stage.bench;
    let mut turn = measure_turn(stage, contender, bench.plan.slice, bench.one_core).await?;
    for _ in 0..REPETITIONS {
        if turn.foreign <= TOLERATED {
            break;
        }
        turn = measure_turn(stage, contender, bench.plan.slice, bench.one_core).await?;
    }
    Ok(Sample {
        microseconds: turn.microseconds,
        foreign: turn.foreign,
        is_disturbed: turn.foreign > TOLERATED,
    })
}

async fn split_turn(stage: &Stage<'_>, contender: &Contender) -> anyhow::Result<Turn> {
    let bench = stage.bench;
    let split = bench.split.context("there is one core only")?;
    measure_turn(stage, contender, bench.plan.split_slice, split).await
}

async fn measure_turn(
    stage: &Stage<'_>,
    contender: &Contender,
    length: Length,
    placement: Placement,
) -> anyhow::Result<Turn> {
    if let Some(refusal) = &contender.refusal {
        refusal.verify().await?;
    }
    let counted: Vec<CpuClock> = contender
        .processes
        .iter()
        .map(|&id| CpuClock::of(id))
        .collect::<Result<_, _>>()?;
    let all: Vec<CpuClock> = stage
        .processes()
        .iter()
        .map(|&(id, _)| CpuClock::of(id))
        .chain([CpuClock::of(std::process::id())])
        .collect::<Result<_, _>>()?;
    let meter = || {
        Ok(Reading {
            contender: sum(&counted)?,
            all: sum(&all)?,
            core: CoreTime::read(placement.servers)?,
        })
    };
    let slice = loop {
        fill(stage, contender, length).await?;
        match run(&contender.load, length, meter).await {
            Err(error) if contender.supply.is_some() && error.is::<RanOut>() => {
                learn(contender, None);
            }
            other => break other?,
        }
    };
    contender.verify_handshakes(slice.handshakes, slice.resumed)?;
    let (first, last) = slice.readings;
    let seconds = slice.elapsed.as_secs_f64();
    let units = match contender.unit {
        Unit::Request => count(slice.requests),
        Unit::Mebibyte => count(slice.bytes) / f64::from(1 << 20),
    };
    learn(contender, Some(units / seconds));
    let used = last.contender.saturating_sub(first.contender).as_secs_f64();
    Ok(Turn {
        microseconds: used * 1e6 / units,
        rate: units / seconds,
        foreign: last
            .core
            .foreign_share(first.core, last.all.saturating_sub(first.all)),
        utilisation: used / seconds,
        latencies: slice.latencies,
    })
}

fn sum(clocks: &[CpuClock]) -> anyhow::Result<Duration> {
    clocks
        .iter()
        .try_fold(Duration::ZERO, |sum, clock| Ok(sum + clock.read()?))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}

/// Has as many unknown tokens issued as the slice will take.
async fn fill(stage: &Stage<'_>, contender: &Contender, length: Length) -> anyhow::Result<()> {
    let Some(supply) = &contender.supply else {
        return Ok(());
    };
    let missing = supply.missing((length.warm_up + length.measured).as_secs_f64());
    if missing > 0 {
        let tls = stage.tls(PARTNER)?;
        let issued = tokens::issue(&stage.authorization_server, &tls, "partner-client", missing).await?;
        supply.add(issued);
    }
    Ok(())
}

fn learn(contender: &Contender, per_second: Option<f64>) {
    if let Some(supply) = &contender.supply {
        supply.learn(per_second);
    }
}
