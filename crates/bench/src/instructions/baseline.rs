//! What was counted, beside what was accepted earlier.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Instructions by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Baseline(BTreeMap<String, u64>);

/// By how much a count may grow unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tolerance {
    percent: u64,
}

impl Tolerance {
    /// A tenth.
    pub(crate) const TENTH: Self = Self { percent: 10 };
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
        let lines = self.0.iter().map(|(name, &counted)| {
            let accepted = accepted.0.get(name).copied();
            Line {
                name: name.clone(),
                counted,
                accepted,
                has_grown: accepted
                    .is_some_and(|accepted| counted * 100 > accepted * (100 + tolerance.percent)),
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
    counted: u64,
    accepted: Option<u64>,
    has_grown: bool,
}

impl Comparison {
    /// Whether a count grew by more than is tolerated.
    pub(crate) fn has_grown(&self) -> bool {
        self.0.iter().any(|line| line.has_grown)
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
        for line in &self.0 {
            let accepted = line
                .accepted
                .map_or_else(|| "–".to_owned(), |count| count.to_string());
            let word = match (line.accepted, line.has_grown) {
                (None, _) => "new",
                (Some(_), true) => "HAS GROWN",
                (Some(_), false) => "",
            };
            writeln!(
                formatter,
                "| {:<44} | {:>12} | {accepted:>9} | {word:<11} |",
                line.name, line.counted
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

    #[test]
    fn tolerates_a_tenth_and_no_more() {
        let accepted = baseline(&[("hot", 1000)]);
        let has_grown = |count| {
            let comparison = baseline(&[("hot", count)]).compare(&accepted, Tolerance::TENTH);
            comparison.has_grown()
        };
        assert!(!has_grown(1100));
        assert!(!has_grown(10));
        assert!(has_grown(1101));
    }

    #[test]
    fn a_new_count_has_not_grown_and_is_shown_as_new() {
        let comparison = baseline(&[("hot", 7)]).compare(&Baseline::default(), Tolerance::TENTH);
        assert!(!comparison.has_grown());
        assert!(comparison.to_string().contains("new"));
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
