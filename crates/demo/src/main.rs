//! `cargo run -p demo`: the whole system in one command, and a story to prove it.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Parser;
use demo::{
    configuration::{Listeners, Parts, Settings},
    narration::{Narration, Outcome},
    scenarios,
    system::{System, prepare_certificates},
};
use pki::Preparation;
use service::Shutdown;

/// Runs every part of certbound in one process, over real sockets on loopback: first the partner, who gets a
/// certificate-bound token and uses it; then the thieves, who get nothing. Exits 0 only if every outcome is the
/// expected one.
///
/// Certificates are made in certs/ where there are none, and renewed where they have expired. `RUST_LOG=info` shows
/// what the services log meanwhile.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  cargo run -p demo\n  cargo run -p demo -- --keep-running   # then call it with curl, on port 3000"
)]
struct CommandLine {
    /// Listen on the documented ports (gateway 3000, authorization server 8443 and 8444, API 3001), keep tokens in
    /// data/, and stay up after the story until Ctrl-C.
    #[arg(long, env = "CERTBOUND_KEEP_RUNNING")]
    keep_running: bool,
    /// Directory of the certificates.
    #[arg(long, env = "CERTBOUND_CERTS", default_value = "certs")]
    certs: PathBuf,
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
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
    let kept = report.with(pki::Outcome::Kept).count();
    let certificates = command_line.certs.display();
    narration.fact(
        "certificates",
        &format!(
            "{certificates}/: {kept} kept, {} made",
            report.entries.len() - kept
        ),
    )?;

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
