//! What came out of a job, and whether it is as fast as it has to be.

use serde::Serialize;

use super::row::Row;
use super::statistics::Ratio;

/// What a ratio is drawn of; in each the smaller is the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    /// The server's own CPU time, all on one core.
    CpuTime,
    /// The latency that one request of a hundred exceeds, on split cores.
    P99,
    /// How long a unit takes from end to end, on split cores: the inverse of the rate.
    Duration,
}

impl Measure {
    fn of(self, row: &Row) -> Vec<f64> {
        match self {
            Self::CpuTime => row.microseconds(),
            Self::P99 => row.p99s.clone(),
            Self::Duration => row.rates.iter().map(|rate| 1e6 / rate).collect(),
        }
    }
}

/// A ratio to be drawn, by the names of two rows.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    ours: String,
    peer: String,
    measure: Measure,
    less: Option<Less>,
    bar: Option<f64>,
}

/// Work of ours that the peer does not do, taken off ours.
#[derive(Clone, Debug)]
struct Less {
    what: &'static str,
    microseconds: f64,
}

impl Comparison {
    /// The whole interval has to lie at or under `bar`.
    pub(crate) fn new(ours: &str, peer: &str, bar: f64) -> Self {
        Self {
            bar: Some(bar),
            ..Self::without_bar(ours, peer)
        }
    }

    /// A ratio that nothing is demanded of.
    pub(crate) fn without_bar(ours: &str, peer: &str) -> Self {
        Self {
            ours: ours.to_owned(),
            peer: peer.to_owned(),
            measure: Measure::CpuTime,
            less: None,
            bar: None,
        }
    }

    /// The same, drawn of something else than CPU time.
    pub(crate) fn of(self, measure: Measure) -> Self {
        Self { measure, ..self }
    }

    /// The same, so many microseconds taken off ours for `what`.
    pub(crate) fn less(self, what: &'static str, microseconds: f64) -> Self {
        Self {
            less: Some(Less { what, microseconds }),
            ..self
        }
    }

    fn draw(&self, rows: &[Row]) -> ComparedRatio {
        let counting = |name: &str| {
            rows.iter()
                .find(|row| row.system == name && row.failure.is_none())
                .map(|row| self.measure.of(row))
        };
        let ratio = counting(&self.ours).zip(counting(&self.peer));
        let ratio = ratio.and_then(|(mut ours, theirs)| {
            if let Some(less) = &self.less {
                ours.iter_mut().for_each(|ours| *ours -= less.microseconds);
            }
            Ratio::of(&ours, &theirs)
        });
        let less = self.less.as_ref().map(|less| format!(" without {}", less.what));
        ComparedRatio {
            ours: self.ours.clone() + &less.unwrap_or_default(),
            peer: self.peer.clone(),
            measure: self.measure,
            ratio,
            bar: self.bar,
            verdict: self.bar.map(|bar| verdict(ratio, bar)),
        }
    }
}

/// Whether a bar holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The whole interval lies at or under it.
    Holds,
    /// The interval lies on both sides of it.
    Undecided,
    /// The whole interval lies above it.
    Misses,
    /// One of the two is not there, or failed.
    NotMeasured,
}

/// The interval of fewer is too narrow to be believed.
const FEWEST_PAIRS: usize = 8;

fn verdict(ratio: Option<Ratio>, bar: f64) -> Verdict {
    match ratio {
        None => Verdict::NotMeasured,
        Some(ratio) if ratio.pairs < FEWEST_PAIRS => Verdict::Undecided,
        Some(ratio) if ratio.high <= bar => Verdict::Holds,
        Some(ratio) if ratio.low > bar => Verdict::Misses,
        Some(_) => Verdict::Undecided,
    }
}

/// A ratio as drawn.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ComparedRatio {
    /// Our row.
    pub(crate) ours: String,
    /// The peer's row.
    pub(crate) peer: String,
    /// Of what.
    pub(crate) measure: Measure,
    /// Ours by theirs; `None` where one of them was not measured.
    pub(crate) ratio: Option<Ratio>,
    /// What is demanded.
    pub(crate) bar: Option<f64>,
    /// Whether that holds.
    pub(crate) verdict: Option<Verdict>,
}

/// What is demanded of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    /// Nothing.
    None,
    /// No more than that.
    AtMost(f64),
}

/// Something measured that is no time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fact {
    /// What.
    pub(crate) name: String,
    /// How much.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: String,
    /// What is demanded.
    pub(crate) bound: Bound,
}

impl Fact {
    /// A value with its unit.
    pub(crate) fn new(name: &str, value: f64, unit: &str, bound: Bound) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
            bound,
        }
    }

    /// Whether what is demanded holds.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        match self.bound {
            Bound::None => None,
            Bound::AtMost(most) if self.value <= most => Some(Verdict::Holds),
            Bound::AtMost(_) => Some(Verdict::Misses),
        }
    }
}

/// One table.
#[derive(Debug, Serialize)]
pub(crate) struct JobReport {
    /// Its name.
    pub(crate) job: String,
    /// What was asked.
    pub(crate) description: String,
    /// The systems.
    pub(crate) rows: Vec<Row>,
    /// The ratios.
    pub(crate) ratios: Vec<ComparedRatio>,
    /// What is no time.
    pub(crate) facts: Vec<Fact>,
}

impl JobReport {
    /// Draws the ratios, of rows that count.
    pub(crate) fn new(job: String, description: String, rows: Vec<Row>, comparisons: &[Comparison]) -> Self {
        let ratios = comparisons
            .iter()
            .map(|comparison| comparison.draw(&rows))
            .collect();
        Self {
            job,
            description,
            rows,
            ratios,
            facts: Vec::new(),
        }
    }

    /// A table of facts alone.
    pub(crate) fn of_facts(job: &str, description: &str, facts: Vec<Fact>) -> Self {
        Self {
            job: job.to_owned(),
            description: description.to_owned(),
            rows: Vec::new(),
            ratios: Vec::new(),
            facts,
        }
    }

    /// Whether a row failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.rows.iter().any(|row| row.failure.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::generator::Histogram;
    use crate::jobs::Unit;
    use crate::report::Sample;

    fn row(system: &str, microseconds: &[f64]) -> Row {
        let mut row = Row::new(system, Unit::Request);
        for &microseconds in microseconds {
            row.add(Sample {
                microseconds,
                foreign: 0.0,
                is_disturbed: false,
            });
        }
        row
    }

    fn report(rows: Vec<Row>, bar: f64) -> JobReport {
        JobReport::new(
            "hot".into(),
            String::new(),
            rows,
            &[Comparison::new("ours", "peer", bar)],
        )
    }

    #[test]
    fn a_bar_holds_when_the_whole_interval_of_enough_pairs_is_under_it() {
        let twice = |ours: [f64; 4]| [ours, ours].concat();
        for (ours, verdict) in [
            (twice([8.0, 8.0, 8.1, 8.1]), Verdict::Holds),
            (twice([8.0, 8.9, 9.1, 9.9]), Verdict::Undecided),
            (twice([9.5, 9.6, 9.7, 9.8]), Verdict::Misses),
            (vec![8.0; 7], Verdict::Undecided),
        ] {
            let report = report(vec![row("ours", &ours), row("peer", &[10.0; 8])], 0.90);
            assert_eq!(report.ratios[0].verdict, Some(verdict), "{ours:?}");
        }
    }

    #[test]
    fn draws_no_ratio_to_a_failed_or_missing_row() {
        let mut peer = row("peer", &[10.0]);
        peer.failure = Some("answered 502".into());
        let failed = report(vec![row("ours", &[8.0]), peer], 0.9);
        assert!(failed.ratios[0].ratio.is_none() && failed.has_failed());
        assert_eq!(failed.ratios[0].verdict, Some(Verdict::NotMeasured));
        let missing = report(vec![row("ours", &[8.0])], 0.9);
        assert!(missing.ratios[0].ratio.is_none() && !missing.has_failed());
        assert_eq!(missing.ratios[0].verdict, Some(Verdict::NotMeasured));
    }

    #[test]
    fn draws_ratios_of_latencies_and_of_rates_too() {
        let split = |system, rate, p99| {
            let (mut row, mut latencies) = (row(system, &[10.0]), Histogram::default());
            latencies.record(Duration::from_micros(p99));
            row.add_split(rate, 1.0, &latencies);
            row
        };
        let rows = [split("ours", 2000.0, 100), split("peer", 1000.0, 400)];
        let median = |measure| {
            let comparison = Comparison::without_bar("ours", "peer").of(measure);
            comparison.draw(&rows).ratio.unwrap().median
        };
        assert!((median(Measure::Duration) - 0.5).abs() < 1e-9);
        assert!((0.2..0.3).contains(&median(Measure::P99)));
        assert!((median(Measure::CpuTime) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn takes_off_what_the_peer_does_not_do() {
        let comparison = Comparison::new("ours", "peer", 0.75).less("the proof", 3.0);
        let drawn = comparison.draw(&[row("ours", &[10.0; 8]), row("peer", &[10.0; 8])]);
        assert_eq!(drawn.ours, "ours without the proof");
        assert_eq!(drawn.verdict, Some(Verdict::Holds));
    }

    #[test]
    fn a_fact_is_judged_by_its_bound() {
        let fact = |bound| Fact::new("memory", 25.0, "MiB", bound).verdict();
        assert_eq!(fact(Bound::AtMost(25.0)), Some(Verdict::Holds));
        assert_eq!(fact(Bound::AtMost(24.0)), Some(Verdict::Misses));
        assert_eq!(fact(Bound::None), None);
    }
}
