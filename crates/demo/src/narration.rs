//! How the demo speaks: one aligned line per attempt, its reason below it; coloured on a terminal, plain in a pipe.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = Style::new().dimmed();
const HEADING: Style = Style::new().bold();

/// Width of the column that says what was tried: the longest title in the demo fits.
const TITLE_WIDTH: usize = 64;

/// Where the story is told, and how it has gone so far.
#[derive(Debug)]
pub struct Narration<W> {
    output: W,
    as_expected: usize,
    otherwise: usize,
}

/// One attempt: what was tried, what came of it, and why that is right.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What was tried, in a few words.
    pub title: &'static str,
    /// What answered.
    pub answer: String,
    /// What should have.
    pub expected: String,
    /// Whether it did.
    pub outcome: Outcome,
    /// Why that is right.
    pub reason: &'static str,
}

/// Whether an attempt came out as it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    AsExpected,
    /// It did not: something is broken.
    Otherwise,
}

impl<W: Write> Narration<W> {
    /// Tells the story to `output`.
    pub const fn new(output: W) -> Self {
        Self {
            output,
            as_expected: 0,
            otherwise: 0,
        }
    }

    /// Opens a chapter.
    ///
    /// # Errors
    ///
    /// When the output cannot be written to.
    pub fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.output, "\n{HEADING}{text}{HEADING:#}")
    }

    /// One fact: a name and what it is.
    ///
    /// # Errors
    ///
    /// When the output cannot be written to.
    pub fn fact(&mut self, name: &str, value: &str) -> io::Result<()> {
        writeln!(self.output, "  {name:<22} {value}")
    }

    /// One attempt, counted.
    ///
    /// # Errors
    ///
    /// When the output cannot be written to.
    pub fn attempt(&mut self, attempt: &Attempt) -> io::Result<()> {
        let Attempt {
            title,
            answer,
            expected,
            outcome,
            reason,
        } = attempt;
        match outcome {
            Outcome::AsExpected => {
                self.as_expected += 1;
                writeln!(self.output, "  {GOOD}✓{GOOD:#} {title:<TITLE_WIDTH$} {answer}")?;
            }
            Outcome::Otherwise => {
                self.otherwise += 1;
                writeln!(
                    self.output,
                    "  {BAD}✗{BAD:#} {title:<TITLE_WIDTH$} {BAD}{answer}{BAD:#}"
                )?;
                writeln!(self.output, "    {BAD}expected: {expected}{BAD:#}")?;
            }
        }
        writeln!(self.output, "    {QUIET}{reason}{QUIET:#}")?;
        self.output.flush()
    }

    /// The last line, and the verdict of the whole story.
    ///
    /// # Errors
    ///
    /// When the output cannot be written to.
    pub fn conclude(&mut self) -> io::Result<Outcome> {
        let (good, all) = (self.as_expected, self.as_expected + self.otherwise);
        if self.otherwise == 0 && good > 0 {
            writeln!(
                self.output,
                "\n{GOOD}All {all} outcomes are as they must be.{GOOD:#}"
            )?;
            Ok(Outcome::AsExpected)
        } else {
            writeln!(
                self.output,
                "\n{BAD}{} of {all} outcomes are not as they must be.{BAD:#}",
                self.otherwise
            )?;
            Ok(Outcome::Otherwise)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(outcome: Outcome) -> Attempt {
        Attempt {
            title: "a stolen token",
            answer: "401 invalid_token".to_owned(),
            expected: "401 invalid_token".to_owned(),
            outcome,
            reason: "the token is bound to another certificate",
        }
    }

    fn told(outcomes: &[Outcome]) -> (Outcome, String) {
        let mut narration = Narration::new(Vec::new());
        for outcome in outcomes {
            narration.attempt(&attempt(*outcome)).unwrap();
        }
        let verdict = narration.conclude().unwrap();
        (verdict, String::from_utf8(narration.output).unwrap())
    }

    #[test]
    fn is_content_only_when_every_outcome_was_expected() {
        let (verdict, text) = told(&[Outcome::AsExpected, Outcome::AsExpected]);
        assert_eq!(verdict, Outcome::AsExpected);
        assert!(text.contains("All 2 outcomes"));
    }

    #[test]
    fn names_what_was_expected_when_one_was_not() {
        let (verdict, text) = told(&[Outcome::AsExpected, Outcome::Otherwise]);
        assert_eq!(verdict, Outcome::Otherwise);
        assert!(text.contains("expected: 401 invalid_token") && text.contains("1 of 2 outcomes"));
    }

    #[test]
    fn is_not_content_with_a_story_that_was_never_told() {
        assert_eq!(told(&[]).0, Outcome::Otherwise);
    }
}
