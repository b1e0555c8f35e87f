//! One curve: cost by size.

use std::fmt;

/// A size, and what was measured at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// How many there were.
    pub(crate) size: usize,
    /// CPU time per request.
    pub(crate) microseconds: f64,
    /// Whether strangers used the core in most of the rounds.
    pub(crate) is_disturbed: bool,
    /// Resident memory of the server, in MiB.
    pub(crate) mebibytes: f64,
}

/// What a request costs, and what the server holds in memory, by the number of something.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    /// Of which request, of which server.
    pub(crate) title: &'static str,
    /// What there are more and more of.
    pub(crate) of: &'static str,
    /// In the order of their sizes.
    pub(crate) points: Vec<Point>,
}

impl Curve {
    /// Before the first measurement.
    pub(crate) const fn new(title: &'static str, of: &'static str) -> Self {
        Self {
            title,
            of,
            points: Vec::new(),
        }
    }

    /// The file of its plot.
    pub(crate) fn file_name(&self) -> String {
        let name = format!("{} {}", self.title, self.of).to_lowercase();
        let words: Vec<&str> = name
            .split(|it: char| !it.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        words.join("-") + ".svg"
    }
}

/// A heading, the plot, and a table.
impl fmt::Display for Curve {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, of, points } = self;
        let plot = self.file_name();
        writeln!(formatter, "## {title}, by {of}\n\n![{title}, by {of}]({plot})\n")?;
        writeln!(
            formatter,
            "| {of} | CPU µs per request | by the first | MiB resident | |"
        )?;
        writeln!(formatter, "|---:|---:|---:|---:|---|")?;
        let first = points.first().map_or(f64::NAN, |point| point.microseconds);
        for point in points {
            writeln!(
                formatter,
                "| {} | {:.1} | {:.2} | {:.1} | {} |",
                point.size,
                point.microseconds,
                point.microseconds / first,
                point.mebibytes,
                if point.is_disturbed { "disturbed" } else { "" }
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_plot_and_a_table() {
        let mut curve = Curve::new("Gateway, known token", "cached tokens");
        for (size, microseconds) in [(1, 20.0), (1000, 25.0)] {
            curve.points.push(Point {
                size,
                microseconds,
                mebibytes: 16.0,
                is_disturbed: size > 1,
            });
        }
        let text = curve.to_string();
        assert!(
            text.contains("](gateway-known-token-cached-tokens.svg)"),
            "{text}"
        );
        assert!(
            text.contains("\n| 1000 | 25.0 | 1.25 | 16.0 | disturbed |\n"),
            "{text}"
        );
    }
}
