//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::jobs::Job;

/// Measures certbound beside nginx and node-oidc-provider, and prints what a request costs each of them in CPU time.
///
/// Everything runs on this machine, over loopback, with certificates made for the run. Systems take turns, once per
/// round, everything pinned to one core; the ratio to a peer is taken pair by pair inside a round, and a bar holds
/// when the whole 95 % interval lies at or under it. A system that answers anything but the expected status, or lets
/// another certificate use the token, has failed and is not measured.
///
/// Peers: nginx (Debian: nginx, libnginx-mod-http-lua) and node-oidc-provider (Node.js with npm; it is installed,
/// pinned, into target/bench). One that is not there is named, and the rest runs. Run with --release, and leave the
/// machine alone meanwhile.
///
/// Ours are built as for production, by `optimise`: the first run takes a quarter of an hour more for it. Its profile
/// is kept in target/optimised, and made anew by `optimise` alone.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
pub(crate) struct Arguments {
    /// Two minutes for all jobs: a first look, not a verdict
    #[arg(long)]
    pub(crate) quick: bool,

    /// The jobs to run, in this order; all of them by default
    #[arg(long, value_enum, value_delimiter = ',', value_name = "JOB,...")]
    pub(crate) jobs: Vec<Job>,

    /// How often every system has its turn on one core, instead of 40 times (4 times with --quick)
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..), value_name = "N")]
    pub(crate) rounds: Option<u16>,

    /// The core that everything shares, and the one that takes the load away from it for rates and latencies; by
    /// default the last two
    #[arg(long, value_delimiter = ',', num_args = 1, value_name = "CORE[,CORE]")]
    pub(crate) cores: Vec<usize>,

    /// Where configurations, logs, report.md and report.json go
    #[arg(long, global = true, default_value = "target/bench", value_name = "DIRECTORY")]
    pub(crate) directory: PathBuf,

    /// Measure the services as they lie beside this program, instead of building them first (growth still builds what fills
    /// the store)
    #[arg(long, global = true)]
    pub(crate) as_built: bool,

    /// Measure an ordinary release build instead of one that is optimised by a profile
    #[arg(long, global = true, conflicts_with = "as_built")]
    pub(crate) plain: bool,

    /// An empty PostgreSQL database for the authorization server, instead of its embedded store
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) store: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What else this program does; the hidden ones it starts itself as.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Count the instructions of steps and whole requests under valgrind (Debian: valgrind), and fail where one has
    /// grown by more than a tenth
    Instructions {
        /// Accept what is counted: later runs are compared with it
        #[arg(long)]
        accept: bool,
    },
    /// Measure what a request costs as connections, tokens, clients and routes grow in number, and plot it
    Growth {
        /// Where the page and its plots go; those that are checked in lie in docs/performance
        #[arg(default_value = "target/bench/growth", value_name = "DIRECTORY")]
        into: PathBuf,
    },
    /// Build the services for production, into target/optimised: with counters, trained on every job, and again by what
    /// was counted (rustup component llvm-tools, or Debian: llvm-19)
    Optimise,
    /// One step, so often
    #[command(hide = true)]
    Step {
        /// Its name
        name: String,
        /// How often
        count: u64,
    },
    /// The upstream behind gateway and nginx
    #[command(hide = true)]
    Upstream {
        /// The directory of the certificates
        certificates: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn reads_jobs_and_cores() {
        let arguments = Arguments::parse_from(["bench", "--quick", "--jobs", "hot,cold", "--cores", "1,0"]);
        assert_eq!(arguments.jobs, [Job::Hot, Job::Cold]);
        assert_eq!(arguments.cores, [1, 0]);
        assert!(arguments.quick);
    }

    #[test]
    fn refuses_jobs_that_do_not_exist() {
        assert!(Arguments::try_parse_from(["bench", "--jobs", "lukewarm"]).is_err());
    }

    #[test]
    fn refuses_a_run_without_rounds() {
        assert!(Arguments::try_parse_from(["bench", "--rounds", "0"]).is_err());
    }
}
