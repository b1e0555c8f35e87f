//! One run of the benchmark: the ground it stands on, the plan it follows, and the voice in which it tells how far it is.

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use tokio::runtime;
use tokio::task::LocalSet;

use crate::arguments::Arguments;
use crate::measure::{Placement, available_cores};
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
    /// Whether ours run beside others.
    pub(crate) peers: Peers,
    /// What could not be run, and why.
    pub(crate) missing: RefCell<Vec<String>>,
    /// What is otherwise than it was meant.
    pub(crate) notes: RefCell<Vec<String>>,
    /// When the run began.
    pub(crate) started: Instant,
}

/// Whether ours run beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    /// Beside those that are installed.
    Beside,
    /// Alone.
    LeftOut,
}

impl Bench {
    /// A run as the command line has it, beside the peers; `ground` is given the core on which servers start.
    pub(crate) fn new(
        arguments: &Arguments,
        ground: impl FnOnce(usize) -> anyhow::Result<Ground>,
        started: Instant,
    ) -> anyhow::Result<Self> {
        let cores = cores(&arguments.cores)?;
        let first = *cores.first().context("this process may use no core")?;
        let mut plan = if arguments.quick { Plan::QUICK } else { Plan::FULL };
        if let Some(rounds) = arguments.rounds {
            plan.rounds = rounds.into();
        }
        Ok(Self {
            ground: ground(first)?,
            plan,
            one_core: Placement {
                servers: first,
                load: first,
            },
            split: cores.get(1).map(|&other| Placement {
                servers: first,
                load: other,
            }),
            peers: Peers::Beside,
            missing: RefCell::default(),
            notes: RefCell::default(),
            started,
        })
    }

    /// The same run on other ground.
    pub(crate) fn on(&self, ground: Ground) -> Self {
        Self {
            ground,
            plan: self.plan,
            one_core: self.one_core,
            split: self.split,
            peers: self.peers,
            missing: RefCell::default(),
            notes: RefCell::default(),
            started: self.started,
        }
    }

    /// Tells how far it is, over the last such line on a terminal.
    pub(crate) fn progress(&self, words: &str) {
        tell(self.started, words);
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

    /// Notes and tells what is otherwise than it was meant.
    pub(crate) fn note(&self, line: String) {
        self.progress(&format!("{line}\n"));
        self.notes.borrow_mut().push(line);
    }

    /// All that whoever reads a report has to know of the run.
    pub(crate) fn remarks(&self) -> Vec<String> {
        [self.notes.borrow().as_slice(), self.missing.borrow().as_slice()].concat()
    }
}

/// Runs what there is to run, on this thread alone.
///
/// # Errors
///
/// Where the system gives no runtime.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(LocalSet::new().block_on(&runtime, work))
}

/// Tells how far it is since the start, over the last such line on a terminal.
pub(crate) fn tell(started: Instant, words: &str) {
    let elapsed = started.elapsed().as_secs();
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

/// The cores asked for, or the last two: interrupts prefer the first.
fn cores(wanted: &[usize]) -> anyhow::Result<Vec<usize>> {
    let available = available_cores()?;
    for core in wanted {
        ensure!(
            available.contains(core),
            "--cores: there is no core {core} among {available:?}"
        );
    }
    ensure!(wanted.len() <= 2, "--cores: one core or two");
    if wanted.is_empty() {
        return Ok(available.into_iter().rev().take(2).collect());
    }
    Ok(wanted.to_vec())
}
