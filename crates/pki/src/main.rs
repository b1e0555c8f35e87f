//! The `pki` command: makes, issues, signs, revokes and shows certificates. All the work is done by the library.
#![expect(
    clippy::print_stderr,
    reason = "a command line tool complains on its terminal"
)]

use std::io;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser as _;
use oauth_core::time::Timestamp;

mod arguments;
mod commands;

/// `EX_USAGE` of sysexits: the command line or its environment is wrong.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = match arguments::Arguments::try_parse().and_then(arguments::Arguments::checked) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing is left to be done where not even the complaint can be written.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match commands::run(
        &arguments.command,
        &mut io::stdout().lock(),
        Timestamp::from(SystemTime::now()),
    ) {
        Ok(()) => ExitCode::SUCCESS,
        // `pki show FILE | head -1` is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pki: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
