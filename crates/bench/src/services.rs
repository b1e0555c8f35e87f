//! Which services are measured, and how they were built.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;

use crate::arguments::{Arguments, Command};
use crate::bench::{Bench, Peers, block_on, tell};
use crate::optimised::Optimised;
use crate::plan::Plan;
use crate::systems::{Ground, build_services};
use crate::training::train;

/// The services of a run.
#[derive(Debug)]
pub(crate) struct Services {
    /// The directory of their binaries.
    pub(crate) binaries: PathBuf,
    /// How they were built, for the report.
    pub(crate) built: &'static str,
    /// Why not otherwise, if that was meant.
    pub(crate) note: Option<String>,
}

const PLAIN: &str = "ours: an ordinary release build";
const OPTIMISED: &str = "ours: a release build optimised by a profile, as `bench optimise` makes it";

impl Services {
    /// Those that the command line means, built where they have to be: optimised by a profile, which is made where there is
    /// none; an ordinary build where none can be made, and where two minutes are all there is time for.
    ///
    /// # Errors
    ///
    /// Services that do not build.
    pub(crate) fn of(arguments: &Arguments, started: Instant) -> anyhow::Result<Self> {
        let beside = beside_this_program()?;
        if arguments.as_built {
            return Ok(Self::new(beside, "ours: as they lay beside the program"));
        }
        let counts_instructions = matches!(arguments.command, Some(Command::Instructions { .. }));
        if arguments.plain || counts_instructions || !beside.ends_with("release") {
            return Self::plain(beside, started);
        }
        let optimised = Optimised::beside(&beside)?;
        let built = match optimised.profile() {
            Some(profile) => {
                tell(started, "building the services with their profile");
                optimised.build(&profile)
            }
            None if arguments.quick => {
                let plain = Self::plain(beside, started)?;
                let note = "there is no profile, and --quick makes none: `bench optimise` does";
                return Ok(plain.because(note.to_owned()));
            }
            None => optimise(arguments, started),
        };
        match built {
            Ok(binaries) => Ok(Self::new(binaries, OPTIMISED)),
            Err(error) => Ok(Self::plain(beside, started)?.because(format!("without a profile: {error:#}"))),
        }
    }

    fn new(binaries: PathBuf, built: &'static str) -> Self {
        Self {
            binaries,
            built,
            note: None,
        }
    }

    fn plain(beside: PathBuf, started: Instant) -> anyhow::Result<Self> {
        tell(started, "building the services");
        build_services(&beside, |_| ())?;
        Ok(Self::new(beside, PLAIN))
    }

    fn because(self, note: String) -> Self {
        Self {
            note: Some(note),
            ..self
        }
    }
}

/// Makes the profile, in place of any that there is, builds the services with it, and gives the directory of their
/// binaries.
///
/// # Errors
///
/// Nothing installed that reads counts; a training in which a service did not do what it should.
pub(crate) fn optimise(arguments: &Arguments, started: Instant) -> anyhow::Result<PathBuf> {
    let optimised = Optimised::beside(&beside_this_program()?)?;
    tell(started, "1 of 3: building services that count what they execute");
    let counting = optimised.build_counting()?;
    tell(started, "2 of 3: training them");
    let bench = Bench {
        plan: Plan::TRAINING,
        peers: Peers::LeftOut,
        ..Bench::new(
            arguments,
            |core| Ground::prepare(&arguments.directory.join("training"), counting, None, core),
            started,
        )?
    };
    block_on(train(&bench))?.context("the training")?;
    let profile = optimised.keep_what_was_counted()?;
    tell(started, "3 of 3: building the services with the profile");
    optimised.build(&profile)
}

fn beside_this_program() -> anyhow::Result<PathBuf> {
    let program = env::current_exe().context("where this program is")?;
    let directory: Option<&Path> = program.parent();
    Ok(directory.context("this program is in no directory")?.to_owned())
}
