//! `cargo run -p demo`: the whole system in one command, and a story to prove it.
//!
//! Exit codes: 0 if every outcome was the expected one, 1 if not, 64 for arguments that are not understood.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, builder::FalseyValueParser};
use demo::{
    configuration::{Listeners, Parts, Settings},
    narration::{Narration, Outcome},
    scenarios,
    system::{System, prepare_certificates},
};
use pki::Preparation;
use service::Shutdown;

/// Runs every part of certbound in one process, over real sockets on loopback: first the partner, who gets a
/// certificate-bound token and uses it; then the thieves, who get nothing.
///
/// Certificates are made in certs/ where there are none, and renewed where they have expired. `RUST_LOG=info` shows
/// what the services log meanwhile.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  cargo run -p demo\n  cargo run -p demo -- --keep-running   # then call it with curl, on port 3000\n\n\
                  Exit code: 0 if every outcome is the expected one, 1 if not, 64 if the arguments cannot be used."
)]
struct CommandLine {
    /// Listen on the documented ports (gateway 3000, authorization server 8443 and 8444, API 3001), keep tokens in
    /// data/, and stay up after the story until Ctrl-C.
    #[arg(long, env = "CERTBOUND_KEEP_RUNNING", value_parser = FalseyValueParser::new())]
    keep_running: bool,
    /// Where the certificates lie.
    #[arg(
        long,
        value_name = "DIRECTORY",
        env = "CERTBOUND_CERTS",
        default_value = "certs"
    )]
    certs: PathBuf,
}

/// `EX_USAGE` of `sysexits.h`.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => {
            let _nobody_reads = error.print();
            return if error.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let runtime = tokio::runtime::Runtime::new().context("the runtime does not start");
    match runtime.and_then(|runtime| runtime.block_on(run(command_line))) {
        Ok(Outcome::AsExpected) => ExitCode::SUCCESS,
        Ok(Outcome::Otherwise) => ExitCode::FAILURE,
        Err(error) => {
            anstream::eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command_line: CommandLine) -> anyhow::Result<Outcome> {
    service::logging::initialize_with_default(service::LogFormat::Text, "warn");
    let mut narration = Narration::new(anstream::stdout());
    narration.heading("certbound: a stolen token opens nothing")?;
    let report = prepare_certificates(&command_line.certs, &Preparation::DEMO)?;
    let certificates = command_line.certs.display();
    narration.fact("certificates", &format!("{certificates}/: {}", counted(&report)))?;

    let temporary = tempfile::tempdir().context("no temporary directory for the token store")?;
    let (data, listeners) = if command_line.keep_running {
        (PathBuf::from("data"), Listeners::well_known())
    } else {
        (temporary.path().to_owned(), Listeners::free())
    };
    let shutdown = Shutdown::new();
    let parts = Parts {
        certificates: command_line.certs,
        data,
        listeners,
        settings: Settings::default(),
    };
    let system = System::start(parts, shutdown.clone()).await?;
    narration.fact(
        "gateway",
        &format!("{} (login.example.com, api.example.com)", system.gateway()),
    )?;
    narration.fact(
        "authorization server",
        &format!(
            "{}, mutual TLS {}",
            system.authorization_server(),
            system.mutual_tls()
        ),
    )?;
    narration.fact("sample API", &system.sample_api().to_string())?;

    scenarios::tell(&system, &mut narration).await?;
    let outcome = narration.conclude()?;
    if command_line.keep_running {
        let port = system.gateway().port();
        narration.heading(&format!(
            "ready: call it on port {port} as README.md shows; Ctrl-C stops it"
        ))?;
        shutdown.on_signals()?;
        system.finished().await?;
    } else {
        system.stop().await?;
    }
    Ok(outcome)
}

/// How many files were made, kept and renewed; the sum is the same in every run.
fn counted(report: &pki::Report) -> String {
    let count = |outcome| report.with(outcome).count();
    let (kept, made) = (count(pki::Outcome::Kept), count(pki::Outcome::Made));
    match count(pki::Outcome::Renewed) {
        0 => format!("{kept} kept, {made} made"),
        renewed => format!("{kept} kept, {made} made, {renewed} renewed"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use clap::CommandFactory as _;
    use oauth_core::time::Timestamp;
    use pki::Pkcs12;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    /// A test cannot set its environment: what stands there is read by the argument's own parser, here as an argument.
    fn keeps_running(value: &str) -> bool {
        let command_line = CommandLine::command();
        let keep_running = command_line
            .get_arguments()
            .find(|argument| argument.get_id() == "keep_running")
            .unwrap();
        assert_eq!(keep_running.get_env().unwrap(), "CERTBOUND_KEEP_RUNNING");
        let parser = keep_running.get_value_parser().clone();
        let reader = clap::Command::new("demo").arg(clap::Arg::new("value").value_parser(parser));
        let matches = reader.try_get_matches_from(["demo", value]).unwrap();
        *matches.get_one("value").unwrap()
    }

    #[test]
    fn keeps_running_where_the_environment_says_so_in_any_usual_word() {
        for yes in ["1", "true", "yes"] {
            assert!(keeps_running(yes), "{yes}");
        }
        for no in ["0", "false", "no", ""] {
            assert!(!keeps_running(no), "{no:?}");
        }
    }

    #[test]
    fn counts_the_same_files_in_every_run() {
        let directory = tempfile::tempdir().unwrap();
        let preparation = Preparation {
            pkcs12: Pkcs12::Write { iterations: 1000 },
            ..Preparation::DEMO
        };
        let now = Timestamp::from(SystemTime::now());
        let counted_at = |now| counted(&pki::prepare(directory.path(), &preparation, now).unwrap());
        assert_eq!(counted_at(now), "0 kept, 15 made");
        assert_eq!(counted_at(now), "15 kept, 0 made");
        let in_a_month = now.plus(Duration::from_secs(30 * 24 * 60 * 60));
        assert_eq!(counted_at(in_a_month), "14 kept, 0 made, 1 renewed");
    }
}
