//! Tables in Markdown, their columns aligned so that they read well on a terminal too.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::job_report::{Bound, ComparedRatio, Fact, JobReport, Measure, Verdict};
use super::row::Row;
use super::statistics::Ratio;
use crate::jobs::Unit;

impl fmt::Display for JobReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "## {}\n\n{}\n", self.job, self.description)?;
        if !self.rows.is_empty() {
            writeln!(formatter, "{}", rows(&self.rows))?;
        }
        for row in &self.rows {
            if let Some(failure) = &row.failure {
                writeln!(formatter, "- **{} failed**: {failure}", row.system)?;
            }
        }
        if !self.ratios.is_empty() {
            writeln!(formatter, "{}", ratios(&self.ratios))?;
        }
        if !self.facts.is_empty() {
            writeln!(formatter, "{}", facts(&self.facts))?;
        }
        Ok(())
    }
}

fn rows(rows: &[Row]) -> Table {
    let (unit, rate) = match rows.first().map(|row| row.unit) {
        Some(Unit::Mebibyte) => ("CPU µs per MiB", "MiB/s"),
        Some(Unit::Request) | None => ("CPU µs per request", "requests/s"),
    };
    let mut table = Table::new(&[
        "system",
        unit,
        "minimum",
        "maximum",
        rate,
        "p50",
        "p99",
        "core busy",
        "peak memory",
        "disturbed",
    ]);
    for row in rows.iter().filter(|row| row.failure.is_none()) {
        let Some(summary) = row.summary() else {
            continue;
        };
        let latency = |quantile: f64| row.latencies.quantile(quantile).map(microseconds);
        table.add([
            row.system.clone(),
            number(summary.median),
            number(summary.minimum),
            number(summary.maximum),
            or_dash(row.rate().map(|rate| format!("{rate:.0}"))),
            or_dash(latency(0.5)),
            or_dash(latency(0.99)),
            or_dash(row.utilisation().map(busy)),
            mebibytes(row.peak_memory),
            format!("{} of {}", row.disturbed(), row.samples.len()),
        ]);
    }
    table
}

fn ratios(ratios: &[ComparedRatio]) -> Table {
    let mut table = Table::new(&["ours by peer's", "median", "95 %", "of minima", "bar", ""]);
    for compared in ratios {
        let of = |value: fn(&Ratio) -> String| or_dash(compared.ratio.as_ref().map(value));
        table.add([
            compared.name(),
            of(|ratio| format!("{:.3}", ratio.median)),
            of(|ratio| format!("{:.3}–{:.3}", ratio.low, ratio.high)),
            of(|ratio| format!("{:.3}", ratio.of_minima)),
            or_dash(compared.bar.map(at_most)),
            word(compared.verdict).to_owned(),
        ]);
    }
    table
}

impl ComparedRatio {
    fn name(&self) -> String {
        let measure = match self.measure {
            Measure::CpuTime => "CPU time",
            Measure::P99 => "p99",
            Measure::Duration => "time from end to end",
        };
        format!("{measure}: {} / {}", self.ours, self.peer)
    }
}

fn facts(facts: &[Fact]) -> Table {
    let mut table = Table::new(&["", "measured", "bar", ""]);
    for fact in facts {
        table.add([
            fact.name.clone(),
            fact.measured(),
            fact.bar(),
            word(fact.verdict()).to_owned(),
        ]);
    }
    table
}

impl Fact {
    fn measured(&self) -> String {
        format!("{} {}", number(self.value), self.unit)
    }

    fn bar(&self) -> String {
        match self.bound {
            Bound::None => DASH.to_owned(),
            Bound::AtMost(most) => format!("≤ {most}"),
        }
    }
}

/// Everything that is demanded, a line each, and whether it holds.
pub(super) fn demands(jobs: &[JobReport]) -> impl fmt::Display {
    let mut table = Table::new(&["job", "what is demanded", "measured", "bar", ""]);
    for job in jobs {
        for compared in job.ratios.iter().filter(|compared| compared.verdict.is_some()) {
            table.add([
                job.job.clone(),
                compared.name(),
                or_dash(
                    compared
                        .ratio
                        .map(|ratio| format!("{:.3} ({:.3}–{:.3})", ratio.median, ratio.low, ratio.high)),
                ),
                or_dash(compared.bar.map(at_most)),
                word(compared.verdict).to_owned(),
            ]);
        }
        for fact in job.facts.iter().filter(|fact| fact.verdict().is_some()) {
            table.add([
                job.job.clone(),
                fact.name.clone(),
                fact.measured(),
                fact.bar(),
                word(fact.verdict()).to_owned(),
            ]);
        }
    }
    table
}

fn at_most(bar: f64) -> String {
    format!("≤ {bar:.2}")
}

const DASH: &str = "–";

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| DASH.to_owned())
}

const fn word(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Holds) => "HOLDS",
        Some(Verdict::Undecided) => "UNDECIDED",
        Some(Verdict::NotMeasured) => "NOT MEASURED",
        Some(Verdict::Misses) => "MISSES",
        None => "",
    }
}

/// Three significant digits, or all before the point.
fn number(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn microseconds(latency: Duration) -> String {
    format!("{} µs", number(latency.as_secs_f64() * 1e6))
}

fn busy(utilisation: f64) -> String {
    // Below that, the rate is what the generator could ask for.
    let note = if utilisation < 0.95 {
        " (generator's rate)"
    } else {
        ""
    };
    format!("{:.0} %{note}", utilisation * 100.0)
}

fn mebibytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "bytes of memory, far below 2^52")]
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    format!("{} MiB", number(mebibytes))
}

/// A table of text.
struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        Self {
            lines: vec![head.iter().map(|&cell| cell.to_owned()).collect()],
        }
    }

    fn add<const N: usize>(&mut self, cells: [String; N]) {
        self.lines.push(cells.into());
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.lines.first().map_or(0, Vec::len);
        (0..columns)
            .map(|column| {
                let cells = self.lines.iter().filter_map(|line| line.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
            })
            .collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (index, line) in self.lines.iter().enumerate() {
            for (cell, width) in line.iter().zip(&widths) {
                write!(formatter, "| {cell:<width$} ")?;
            }
            writeln!(formatter, "|")?;
            if index == 0 {
                let mut rule = String::new();
                for (column, width) in widths.iter().enumerate() {
                    let (dashes, end) = if column == 0 {
                        (width + 2, "")
                    } else {
                        (width + 1, ":")
                    };
                    write!(rule, "|{}{end}", "-".repeat(dashes))?;
                }
                writeln!(formatter, "{rule}|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Histogram;
    use crate::report::{Comparison, Sample};

    fn row(system: &str, microseconds: f64) -> Row {
        let mut row = Row::new(system, Unit::Request);
        for _ in 0..8 {
            row.add(Sample {
                microseconds,
                foreign: 0.1,
                is_disturbed: true,
            });
        }
        let mut latencies = Histogram::default();
        latencies.record(Duration::from_micros(100));
        row.add_split(40_000.0, 0.9, &latencies);
        row.peak_memory = 12 << 20;
        row
    }

    #[test]
    fn shows_rows_ratios_and_failures() {
        let mut failed = row("broken", 1.0);
        failed.failure = Some("answered 502 where 200 was expected".into());
        let rows = vec![row("ours", 20.0), row("peer", 25.0), failed];
        let bar = Comparison::new("ours", "peer", 0.9);
        let text = JobReport::new("hot".into(), "kept alive".into(), rows, &[bar]).to_string();
        for line in [
            "## hot\n\nkept alive\n",
            "| ours   | 20.0               | 20.0    | 20.0    | 40000      | ",
            " | 90 % (generator's rate) | 12.0 MiB    | 8 of 8    |",
            "- **broken failed**: answered 502 where 200 was expected",
            "| CPU time: ours / peer | 0.800  | 0.800–0.800 | 0.800     | ≤ 0.90 | HOLDS |",
        ] {
            assert!(text.contains(line), "{line}\nis missing in\n{text}");
        }
        assert!(!text.contains("| broken"));
    }

    #[test]
    fn shows_facts_with_their_bounds() {
        let facts = vec![Fact::new("gateway, idle", 25.5, "MiB", Bound::AtMost(24.0))];
        let text = JobReport::of_facts("wide", "memory", facts).to_string();
        assert!(
            text.contains("| gateway, idle | 25.5 MiB | ≤ 24 | MISSES |"),
            "{text}"
        );
    }

    #[test]
    fn lists_what_is_demanded_and_what_could_not_be_measured() {
        let demanded = [
            Comparison::new("ours", "peer", 0.9),
            Comparison::new("ours", "absent", 0.9),
            Comparison::without_bar("ours", "peer"),
        ];
        let rows = vec![row("ours", 20.0), row("peer", 25.0)];
        let mut job = JobReport::new("hot".into(), String::new(), rows, &demanded);
        job.facts
            .push(Fact::new("idle", 25.5, "MiB", Bound::AtMost(24.0)));
        job.facts.push(Fact::new("highest", 25.5, "MiB", Bound::None));
        let lines = demands(&[job]).to_string();
        for line in [
            "| hot | CPU time: ours / peer   | 0.800 (0.800–0.800) | ≤ 0.90 | HOLDS        |",
            "| hot | CPU time: ours / absent | –                   | ≤ 0.90 | NOT MEASURED |",
            "| hot | idle                    | 25.5 MiB            | ≤ 24   | MISSES       |",
        ] {
            assert!(lines.contains(line), "{line}\nis missing in\n{lines}");
        }
        assert_eq!(lines.lines().count(), 5);
    }

    #[test]
    fn writes_fewer_decimals_the_larger_a_number_is() {
        let written = [0.123, 9.876, 98.76, 987.6, 9876.5].map(number);
        assert_eq!(written, ["0.12", "9.88", "98.8", "988", "9876"]);
    }
}
