//! The partner's command line: `call` the API, or print a `token`.
//!
//! Exit codes: 0 for an answer of 2xx, 1 for any other or none, 64 for arguments, files and values that cannot be used.

mod arguments;
mod connect_to;
mod output;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::arguments::Arguments;
use crate::output::{complain, print_answer, print_token};

/// `EX_USAGE` of `sysexits.h`.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    mtls::install_crypto_provider();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _nobody_reads = error.print();
            return if error.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    initialize_logging();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("the runtime cannot be started")),
    };
    runtime.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> ExitCode {
    let prepared = async {
        let configuration = arguments.configuration().await?;
        let call = arguments.command.prepare()?;
        Ok::<_, anyhow::Error>((client::Client::new(configuration)?, call))
    };
    let (client, call) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => {
            complain(&format!("{error:#}"));
            return ExitCode::from(USAGE);
        }
    };
    let Some(call) = call else {
        return match client.token().await {
            Ok(token) => written(print_token(&token)),
            Err(error) => failed(&error.into()),
        };
    };
    match client.call(call.method, &call.url, call.body).await {
        Ok(answer) => match print_answer(&answer, call.head) {
            Ok(()) if answer.status.is_success() => ExitCode::SUCCESS,
            Ok(()) => {
                complain(&output::verdict(&answer));
                ExitCode::FAILURE
            }
            Err(error) => written(Err(error)),
        },
        Err(error) => failed(&error.into()),
    }
}

fn written(result: std::io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&anyhow::Error::new(error).context("standard output cannot be written")),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    complain(&format!("{error:#}"));
    ExitCode::FAILURE
}

fn initialize_logging() {
    let warnings = Targets::new().with_default(LevelFilter::WARN);
    let filter = match std::env::var("RUST_LOG").unwrap_or_default().trim() {
        "" => warnings,
        wanted => wanted.parse().unwrap_or_else(|error| {
            complain(&format!(
                "RUST_LOG cannot be understood ({error}); warnings are shown"
            ));
            warnings
        }),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).init();
}
