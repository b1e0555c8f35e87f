//! certbound beside its peers: the same requests, in one run, on one machine, and what each costs in CPU time.
//!
//! `systems` starts whom is measured, `generator` asks them, `measure` reads the clocks, `jobs` say what is asked of
//! whom, `report` draws the ratios. Nothing depends on this crate.

mod arguments;
mod bench;
mod generator;
mod growth;
mod instructions;
mod jobs;
mod measure;
mod optimised;
mod plan;
mod report;
mod services;
mod systems;
mod training;
mod upstream;

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::ensure;
use clap::Parser as _;

use crate::arguments::{Arguments, Command};
use crate::bench::{Bench, block_on};
use crate::instructions::Counts;
use crate::jobs::Job;
use crate::report::RunReport;
use crate::services::Services;
use crate::systems::{Ground, machine};

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match &arguments.command {
        None => compare(&arguments),
        Some(Command::Instructions { accept }) => count_instructions(
            &arguments,
            if *accept {
                Counts::Accepted
            } else {
                Counts::Compared
            },
        ),
        Some(Command::Growth { into }) => measure_growth(&arguments, into),
        Some(Command::Optimise) => {
            let binaries = services::optimise(&arguments, Instant::now())?;
            show(&format_args!("Built: {}", binaries.display()));
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Step { name, count }) => {
            instructions::execute(name, *count).map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Upstream { certificates }) => upstream::serve(certificates).map(|()| ExitCode::SUCCESS),
    }
}

/// Runs the jobs, side by side with the peers.
fn compare(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (bench, built) = prepare(arguments)?;
    let jobs = if arguments.jobs.is_empty() {
        Job::ALL.to_vec()
    } else {
        arguments.jobs.clone()
    };
    let report = block_on(run(&bench, built, &jobs))?;
    let files = report.write(&arguments.directory)?;
    let files = files.map(|file| file.display().to_string()).join(" and ");
    show(&format_args!("{report}Written to {files}."));
    Ok(exit_code(report.has_failed()))
}

/// Counts what is executed for a step and for a request.
fn count_instructions(arguments: &Arguments, counts: Counts) -> anyhow::Result<ExitCode> {
    let (bench, _) = prepare(arguments)?;
    let comparison = block_on(instructions::count(&bench, counts))??;
    show(&comparison);
    let is_refused = counts == Counts::Compared && !comparison.is_as_accepted();
    if is_refused {
        bench.progress(
            "these are not the counts that were accepted: where they are meant to be, run with --accept\n",
        );
    }
    Ok(exit_code(is_refused))
}

/// Measures what grows, and plots it.
fn measure_growth(arguments: &Arguments, into: &Path) -> anyhow::Result<ExitCode> {
    ensure!(
        arguments.store.is_none(),
        "growth fills the embedded store: leave --store out"
    );
    let (bench, built) = prepare(arguments)?;
    let page = block_on(growth::run(&bench, built, into))??;
    show(&page);
    Ok(exit_code(!bench.missing.borrow().is_empty()))
}

fn exit_code(has_failed: bool) -> ExitCode {
    if has_failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The run, and a line on how its services were built.
fn prepare(arguments: &Arguments) -> anyhow::Result<(Bench, &'static str)> {
    let started = Instant::now();
    let services = Services::of(arguments, started)?;
    let (directory, database) = (&arguments.directory, arguments.store.clone());
    let ground = |core| Ground::prepare(directory, services.binaries, database, core);
    let bench = Bench::new(arguments, ground, started)?;
    if let Some(note) = services.note {
        bench.note(note);
    }
    Ok((bench, services.built))
}

/// Runs one job after the other; one that cannot be run is told, and the rest still runs.
async fn run(bench: &Bench, built: &str, jobs: &[Job]) -> RunReport {
    let mut report = RunReport {
        machine: machine(built),
        plan: bench.plan.to_string(),
        ..RunReport::default()
    };
    for &job in jobs {
        match job.run(bench).await {
            Ok(tables) => report.jobs.extend(tables),
            Err(error) => {
                bench.without(&format!("the job {job:?}"), &error);
                report.is_incomplete = true;
            }
        }
    }
    report.remarks = bench.remarks();
    report
}

#[expect(clippy::print_stdout, reason = "the table is the program's result")]
fn show(result: &dyn Display) {
    println!("\n{result}");
}
