//! All tables of a run, and on what it ran.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use super::job_report::JobReport;
use super::markdown::demands;

/// A run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RunReport {
    /// Processor, kernel and peers.
    pub(crate) machine: Vec<String>,
    /// Rounds and lengths.
    pub(crate) plan: String,
    /// What could not be run, or is otherwise than it was meant, and why.
    pub(crate) remarks: Vec<String>,
    /// Whether a whole job is missing.
    pub(crate) is_incomplete: bool,
    /// The tables.
    pub(crate) jobs: Vec<JobReport>,
}

impl RunReport {
    /// Writes `report.md` and `report.json` into `directory`, and tells where they are.
    pub(crate) fn write(&self, directory: &Path) -> anyhow::Result<[PathBuf; 2]> {
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            fs::write(&path, text).with_context(|| path.display().to_string())?;
            Ok::<_, anyhow::Error>(path)
        };
        Ok([
            write("report.md", self.to_string())?,
            write("report.json", serde_json::to_string_pretty(self)?)?,
        ])
    }

    /// Whether a row of any table failed, or a table is not there.
    pub(crate) fn has_failed(&self) -> bool {
        self.is_incomplete || self.jobs.iter().any(JobReport::has_failed)
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "# CPU time per request, side by side\n")?;
        for line in &self.machine {
            writeln!(formatter, "- {line}")?;
        }
        writeln!(formatter, "- {}", self.plan)?;
        for line in &self.remarks {
            writeln!(formatter, "- **{line}**")?;
        }
        writeln!(
            formatter,
            "\nCPU time is the server's own, user and system, with everything on one core; rates and latencies are from \
             split cores. Ratios carry over to machines with such a processor, microseconds do not. A round is disturbed when \
             strangers used more than 6 % of the core in all its repetitions. Our services run as shipped, with every \
             check, the audit log and the metrics on; only the limits on token requests and on connections from one \
             address are raised, since one generator asks for all, and `wide` keeps more tokens for longer.\n"
        )?;
        writeln!(formatter, "## What is demanded\n\n{}", demands(&self.jobs))?;
        for job in &self.jobs {
            writeln!(formatter, "{job}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_missing_and_is_json_too() {
        let report = RunReport {
            remarks: vec!["nginx is left out: nginx is not installed".into()],
            ..RunReport::default()
        };
        assert!(
            report
                .to_string()
                .contains("- **nginx is left out: nginx is not installed**")
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["remarks"][0], "nginx is left out: nginx is not installed");
    }
}
