//! What was measured, as tables for people and JSON for machines.

mod job_report;
mod markdown;
mod row;
mod run_report;
mod statistics;

pub(crate) use job_report::{Bound, Comparison, Fact, JobReport, Measure};
pub(crate) use row::{Row, Sample};
pub(crate) use run_report::RunReport;
