//! What was counted, beside what was accepted earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Instructions by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Baseline(BTreeMap<String, u64>);

/// By how much a count may change unasked: growth is a regression, and a fall that nobody accepts leaves room for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tolerance {
    percent: u64,
}

impl Tolerance {
    /// A tenth.
    pub(crate) const TENTH: Self = Self { percent: 10 };

    fn judge(self, counted: u64, accepted: u64) -> Change {
        if counted * 100 > accepted * (100 + self.percent) {
            Change::Grown
        } else if counted * 100 < accepted * (100 - self.percent) {
            Change::Fallen
        } else {
            Change::None
        }
    }
}

impl Baseline {
    /// Those in a file; none where there is no file.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        match fs::read(file) {
            Ok(json) => serde_json::from_slice(&json).with_context(|| file.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| file.display().to_string()),
        }
    }

    /// Into a file.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self)? + "\n";
        fs::write(file, json).with_context(|| file.display().to_string())
    }

    /// Adds one.
    pub(crate) fn insert(&mut self, name: &str, instructions: u64) {
        self.0.insert(name.to_owned(), instructions);
    }

    /// Each beside what was accepted.
    pub(crate) fn compare(&self, accepted: &Self, tolerance: Tolerance) -> Comparison {
        let names: BTreeSet<&String> = self.0.keys().chain(accepted.0.keys()).collect();
        let lines = names.into_iter().map(|name| {
            let (counted, accepted) = (self.0.get(name).copied(), accepted.0.get(name).copied());
            Line {
                name: name.clone(),
                counted,
                accepted,
                change: match (counted, accepted) {
                    (Some(counted), Some(accepted)) => tolerance.judge(counted, accepted),
                    (Some(_), None) => Change::New,
                    (None, _) => Change::Gone,
                },
            }
        });
        Comparison(lines.collect())
    }
}

/// All counts beside the accepted ones.
#[derive(Debug)]
pub(crate) struct Comparison(Vec<Line>);

#[derive(Debug)]
struct Line {
    name: String,
    counted: Option<u64>,
    accepted: Option<u64>,
    change: Change,
}

/// What has become of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Grown,
    Fallen,
    New,
    Gone,
}

impl Change {
    const fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Grown => "HAS GROWN",
            Self::Fallen => "HAS FALLEN",
            Self::New => "NEW",
            Self::Gone => "NOT COUNTED",
        }
    }
}

impl Comparison {
    /// Whether every count is one that was accepted.
    pub(crate) fn is_as_accepted(&self) -> bool {
        self.0.iter().all(|line| line.change == Change::None)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "| {:<44} | {:>12} | {:>9} |             |",
            "instructions", "counted", "accepted"
        )?;
        writeln!(formatter, "|{:-<46}|{:->13}:|{:->10}:|-------------|", "", "", "")?;
        let number = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), |count| count.to_string());
        for line in &self.0 {
            writeln!(
                formatter,
                "| {:<44} | {:>12} | {:>9} | {:<11} |",
                line.name,
                number(line.counted),
                number(line.accepted),
                line.change.word()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(counts: &[(&str, u64)]) -> Baseline {
        Baseline(
            counts
                .iter()
                .map(|&(name, count)| (name.to_owned(), count))
                .collect(),
        )
    }

    fn is_as_accepted(counted: &[(&str, u64)], accepted: &[(&str, u64)]) -> bool {
        let comparison = baseline(counted).compare(&baseline(accepted), Tolerance::TENTH);
        comparison.is_as_accepted()
    }

    #[test]
    fn tolerates_a_tenth_and_no_more() {
        let as_accepted = |count| is_as_accepted(&[("hot", count)], &[("hot", 1000)]);
        assert!(as_accepted(1100));
        assert!(!as_accepted(1101));
        assert!(as_accepted(900));
        assert!(!as_accepted(899));
    }

    #[test]
    fn takes_no_count_for_accepted_that_is_new_or_gone() {
        assert!(!is_as_accepted(&[("hot", 7)], &[]));
        assert!(!is_as_accepted(&[], &[("hot", 7)]));
        assert!(is_as_accepted(&[("hot", 7)], &[("hot", 7)]));
    }

    #[test]
    fn reads_what_it_has_written() {
        let file = std::env::temp_dir().join(format!("certbound-baseline-{}.json", std::process::id()));
        let written = baseline(&[("hot", 1), ("issue", 2)]);
        written.write(&file).unwrap();
        let read = Baseline::read(&file);
        fs::remove_file(&file).unwrap();
        assert_eq!(read.unwrap(), written);
        assert_eq!(Baseline::read(&file).unwrap(), Baseline::default());
    }
}
