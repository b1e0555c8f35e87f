//! One run of the benchmark: the ground it stands on, the plan it follows, and the voice in which it tells how far it is.

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Instant;

use crate::measure::Placement;
use crate::plan::Plan;
use crate::systems::Ground;

/// What all jobs share.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Certificates, directories, binaries.
    pub(crate) ground: Ground,
    /// How long and how often.
    pub(crate) plan: Plan,
    /// Everything on one core.
    pub(crate) one_core: Placement,
    /// Servers on one core, load on another; `None` where there is one core only.
    pub(crate) split: Option<Placement>,
    /// What could not be run, and why.
    pub(crate) missing: RefCell<Vec<String>>,
    /// When the run began.
    pub(crate) started: Instant,
}

impl Bench {
    /// The same run on other ground.
    pub(crate) fn on(&self, ground: Ground) -> Self {
        Self {
            ground,
            plan: self.plan,
            one_core: self.one_core,
            split: self.split,
            missing: RefCell::default(),
            started: self.started,
        }
    }

    /// Tells how far it is, over the last such line on a terminal.
    pub(crate) fn progress(&self, words: &str) {
        let elapsed = self.started.elapsed().as_secs();
        let (from, to) = if stderr().is_terminal() {
            ("\r\x1b[2K", "")
        } else {
            ("", "\n")
        };
        // Whoever closed standard error wants no progress.
        let _unread = write!(
            stderr(),
            "{from}{:>2}:{:02}  {words}{to}",
            elapsed / 60,
            elapsed % 60
        )
        .and_then(|()| stderr().flush());
    }

    /// Notes and tells what cannot be run; the rest still runs.
    pub(crate) fn without(&self, what: &str, error: &anyhow::Error) {
        let line = format!("{what} is left out: {error:#}");
        self.progress(&format!("{line}\n"));
        let mut missing = self.missing.borrow_mut();
        if !missing.contains(&line) {
            missing.push(line);
        }
    }
}
