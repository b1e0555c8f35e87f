//! *growth*: what a request costs as there are more and more connections, tokens, clients, routes.
//!
//! Each curve is measured on one core, size after size, and written as a table and a plot.

mod curve;
mod plot;
mod sweeps;

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::bench::Bench;
use crate::systems::machine;
use curve::Curve;
use sweeps::Sweep;

/// Measures every curve, and writes `growth.md` and a plot of each into `directory`.
///
/// # Errors
///
/// A file that cannot be written; a curve that cannot be measured is told and left out.
pub(crate) async fn run(bench: &Bench, built: &str, directory: &Path) -> anyhow::Result<impl fmt::Display> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    // Before its own pages change what is checked out.
    let machine = machine(built);
    let mut curves = Vec::new();
    for sweep in Sweep::ALL {
        match sweep.measure(bench).await {
            Ok(measured) => curves.extend(measured.into_iter().filter(|curve| !curve.points.is_empty())),
            Err(error) => bench.without(&format!("the growth of {sweep:?}"), &error),
        }
        // After each: whoever interrupts a run keeps what was measured.
        for curve in &curves {
            write(directory, &curve.file_name(), &plot::svg(curve))?;
        }
        write(directory, "growth.md", &page(&curves, &machine)?)?;
    }
    page(&curves, &machine)
}

fn write(directory: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = directory.join(name);
    fs::write(&path, text).with_context(|| path.display().to_string())
}

fn page(curves: &[Curve], machine: &[String]) -> anyhow::Result<String> {
    let mut page = format!(
        "# What grows\n\nWritten by `cargo run --release -p bench -- growth`. CPU time is the server's own, \
         with everything on one core. Differences of less than a quarter can be noise; a point is *disturbed* where others used the core in most of its rounds.\n\n- {}\n",
        machine.join("\n- ")
    );
    for curve in curves {
        write!(page, "\n{curve}")?;
    }
    Ok(page)
}
