//! What was measured of one system.

use serde::Serialize;

use super::statistics::{Summary, median};
use crate::generator::Histogram;
use crate::jobs::Unit;

/// One turn on one core.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    /// CPU time per request, or per MiB.
    pub(crate) microseconds: f64,
    /// The share of the core that strangers used.
    pub(crate) foreign: f64,
    /// Whether that was too much, in every repetition.
    pub(crate) is_disturbed: bool,
}

/// One system of a job.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// What it is called.
    pub(crate) system: String,
    /// By what CPU time is divided.
    pub(crate) unit: Unit,
    /// One per round.
    pub(crate) samples: Vec<Sample>,
    /// Units per second on split cores, one per round.
    pub(crate) rates: Vec<f64>,
    /// How busy the server's core was, one per round.
    pub(crate) utilisations: Vec<f64>,
    /// The 99th percentile of the latencies on split cores in microseconds, one per round.
    pub(crate) p99s: Vec<f64>,
    /// All latencies on split cores.
    #[serde(skip)]
    pub(crate) latencies: Histogram,
    /// At most, in bytes.
    pub(crate) peak_memory: u64,
    /// Why the row does not count.
    pub(crate) failure: Option<String>,
}

impl Row {
    /// Before the first turn.
    pub(crate) fn new(system: &str, unit: Unit) -> Self {
        Self {
            system: system.to_owned(),
            unit,
            samples: Vec::new(),
            rates: Vec::new(),
            utilisations: Vec::new(),
            p99s: Vec::new(),
            latencies: Histogram::default(),
            peak_memory: 0,
            failure: None,
        }
    }

    /// Adds a turn on one core.
    pub(crate) fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Adds a turn on split cores.
    pub(crate) fn add_split(&mut self, rate: f64, utilisation: f64, latencies: &Histogram) {
        self.rates.push(rate);
        self.utilisations.push(utilisation);
        let p99 = latencies.quantile(0.99);
        self.p99s.extend(p99.map(|latency| latency.as_secs_f64() * 1e6));
        self.latencies.add(latencies);
    }

    /// CPU microseconds per unit, round by round.
    pub(crate) fn microseconds(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.microseconds).collect()
    }

    /// The same, summed up.
    pub(crate) fn summary(&self) -> Option<Summary> {
        Summary::of(&self.microseconds())
    }

    /// Units per second.
    pub(crate) fn rate(&self) -> Option<f64> {
        median(&self.rates)
    }

    /// How busy the server's core was; below 0.95 the rate is the generator's.
    pub(crate) fn utilisation(&self) -> Option<f64> {
        median(&self.utilisations)
    }

    /// Rounds in which strangers used too much of the core.
    pub(crate) fn disturbed(&self) -> usize {
        self.samples.iter().filter(|sample| sample.is_disturbed).count()
    }
}
