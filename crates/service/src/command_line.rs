//! The command line of a service: from arguments to an exit code.
//!
//! 0 after an orderly end, 1 when the service cannot start or fails, 64 for arguments that are not understood and for a
//! configuration error.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::builder::FalseyValueParser;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use tokio::signal::unix::{SignalKind, signal};

use crate::admin::install_metrics;
use crate::configuration::{ConfigurationError, ConfigurationSource};
use crate::healthcheck;
use crate::lines::LINES;
use crate::logging::{self, LogFormat};
use crate::operation::Operation;
use crate::running::Running;
use crate::shutdown::Shutdown;

const HEALTHCHECK: &str = "Ask the running service whether it is ready; exit 0 if it is, 1 if not";
const NO_ADMIN_LISTENER: &str = "the configuration names no admin listener to ask; set listen.admin";
const SUCCESS: u8 = 0;
const FAILURE: u8 = 1;
/// `EX_USAGE` of `sysexits.h`.
const USAGE: u8 = 64;

/// How a service presents itself.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The binary's name; `deploy/NAME.toml` is the example of its configuration.
    pub name: &'static str,
    /// One sentence.
    pub description: &'static str,
}

/// Runs a service from its command line to its end: the whole of its `main`.
///
/// `load` reads and checks the configuration, `admin_address` finds the admin listener in it, `start` brings the
/// service up.
pub fn run<C>(
    about: About,
    load: impl Fn(ConfigurationSource) -> Result<C, ConfigurationError>,
    admin_address: impl Fn(&C) -> Option<SocketAddr>,
    start: impl AsyncFnOnce(C, Shutdown) -> anyhow::Result<Running>,
) -> ExitCode {
    run_with_commands(about, Commands::default(), load, admin_address, start)
}

/// The subcommands that one service has beside those of all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Commands<'a> {
    /// What an operator can ask of it while it runs.
    pub operations: &'a [Operation],
    /// What works without its configuration.
    pub plain: &'a [PlainCommand],
}

/// A subcommand that works without the service's configuration.
#[derive(Clone, Copy, Debug)]
pub struct PlainCommand {
    /// What it is called.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// What it does; its errors are told, and exit 1.
    pub run: fn() -> anyhow::Result<()>,
}

/// As [`run`], with subcommands of its own.
pub fn run_with_commands<C>(
    about: About,
    commands: Commands<'_>,
    load: impl Fn(ConfigurationSource) -> Result<C, ConfigurationError>,
    admin_address: impl Fn(&C) -> Option<SocketAddr>,
    start: impl AsyncFnOnce(C, Shutdown) -> anyhow::Result<Running>,
) -> ExitCode {
    let arguments = std::env::args_os();
    ExitCode::from(run_with(about, commands, arguments, load, admin_address, start))
}

fn run_with<C>(
    about: About,
    commands: Commands<'_>,
    arguments: impl Iterator<Item = OsString>,
    load: impl Fn(ConfigurationSource) -> Result<C, ConfigurationError>,
    admin_address: impl Fn(&C) -> Option<SocketAddr>,
    start: impl AsyncFnOnce(C, Shutdown) -> anyhow::Result<Running>,
) -> u8 {
    let arguments = match parse(about, commands, arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _nobody_reads = error.print();
            return if error.use_stderr() { USAGE } else { SUCCESS };
        }
    };
    if let Some(Command::Plain(command)) = arguments.command {
        return ended(about, (command.run)());
    }
    let source = arguments.source();
    // A healthcheck runs beside the service, every few seconds: it has nothing to log.
    if arguments.command.is_none() {
        logging::initialize(arguments.log_format);
        install_metrics();
    }
    let configuration = match load(source.clone()) {
        Ok(configuration) => configuration,
        Err(error) => return refused(about, &source, &error),
    };
    match arguments.command {
        Some(Command::Healthcheck) => return ended(about, check_health(admin_address(&configuration))),
        Some(Command::Operation(operation, body)) => {
            return ended(about, operate(operation, &body, admin_address(&configuration)));
        }
        Some(Command::Plain(_)) | None => {}
    }
    if arguments.check_config {
        tell(&format!("{}: {source} is valid", about.name));
        return SUCCESS;
    }
    if source == ConfigurationSource::Demo {
        tracing::warn!("no --config given: demo registrations apply, on loopback only");
    }
    ended(about, serve(configuration, start))
}

fn serve<C>(
    configuration: C,
    start: impl AsyncFnOnce(C, Shutdown) -> anyhow::Result<Running>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let result = runtime.block_on(async {
        let shutdown = Shutdown::new();
        shutdown.on_signals().context("signals cannot be listened to")?;
        // From here on, so that one that comes during the start does not end the process.
        let hangup = signal(SignalKind::hangup()).context("signals cannot be listened to")?;
        let mut running = start(configuration, shutdown).await?;
        running.reload_on(hangup);
        running.finished().await
    });
    // A name that is still being looked up must not hold the end of the process.
    runtime.shutdown_background();
    // Of answers that are not waited for any more.
    LINES.write_held();
    result
}

fn check_health(admin: Option<SocketAddr>) -> anyhow::Result<()> {
    let admin = admin.context(NO_ADMIN_LISTENER)?;
    Ok(small_runtime()?.block_on(healthcheck::ask(admin))?)
}

#[expect(
    clippy::print_stdout,
    reason = "what the service answered is the command's result"
)]
fn operate(operation: Operation, body: &str, admin: Option<SocketAddr>) -> anyhow::Result<()> {
    let admin = admin.context(NO_ADMIN_LISTENER)?;
    println!("{}", small_runtime()?.block_on(operation.send(admin, body))?);
    Ok(())
}

fn small_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")
}

fn ended(about: About, result: anyhow::Result<()>) -> u8 {
    match result {
        Ok(()) => SUCCESS,
        Err(error) => {
            tell(&format!("{}: {error:#}", about.name));
            FAILURE
        }
    }
}

fn refused(about: About, source: &ConfigurationSource, error: &ConfigurationError) -> u8 {
    let name = about.name;
    match error {
        ConfigurationError::Invalid(_) => tell(&format!("{name}: {source} cannot be used: {error}")),
        ConfigurationError::Unreadable { .. } | ConfigurationError::NotUnderstood { .. } => {
            tell(&format!("{name}: {error}"));
        }
    }
    USAGE
}

#[expect(
    clippy::print_stderr,
    reason = "the last word of a command line program, log or no log"
)]
fn tell(sentence: &str) {
    eprintln!("{sentence}");
}

#[derive(Debug, Parser)]
struct Arguments {
    /// TOML file to configure the service from; without it the demo registrations apply, on loopback only
    #[arg(long, value_name = "FILE", env = "CERTBOUND_CONFIG", global = true)]
    config: Option<PathBuf>,

    /// Check the configuration, say what is wrong with it, and exit: 0 if it is valid, 64 if not
    #[arg(long, env = "CERTBOUND_CHECK_CONFIG", value_parser = FalseyValueParser::new())]
    check_config: bool,

    /// How log lines are written
    #[arg(
        long,
        value_name = "FORMAT",
        env = "CERTBOUND_LOG_FORMAT",
        value_enum,
        default_value_t
    )]
    log_format: LogFormat,

    #[arg(skip)]
    command: Option<Command>,
}

#[derive(Clone, Debug)]
enum Command {
    Healthcheck,
    /// With the JSON that its options make.
    Operation(Operation, String),
    Plain(PlainCommand),
}

impl Command {
    fn of(matches: &ArgMatches, commands: Commands<'_>) -> Option<Self> {
        let (name, matches) = matches.subcommand()?;
        if let Some(plain) = commands.plain.iter().find(|plain| plain.name == name) {
            return Some(Self::Plain(*plain));
        }
        let operation = commands
            .operations
            .iter()
            .find(|operation| operation.name == name);
        Some(operation.map_or(Self::Healthcheck, |operation| {
            Self::Operation(*operation, operation.body(matches))
        }))
    }
}

impl Arguments {
    fn source(&self) -> ConfigurationSource {
        match &self.config {
            Some(path) => ConfigurationSource::File(path.clone()),
            None => ConfigurationSource::Demo,
        }
    }
}

fn parse(
    about: About,
    commands: Commands<'_>,
    arguments: impl Iterator<Item = OsString>,
) -> Result<Arguments, clap::Error> {
    let name = about.name;
    let examples = format!(
        "Examples:\n  \
           {name}   (the demo, on loopback)\n  \
           {name} --config deploy/{name}.toml\n  \
           {name} --config deploy/{name}.toml --check-config\n  \
           {name} --config deploy/{name}.toml healthcheck\n\n\
         Environment:\n  \
           RUST_LOG   what is logged, by level and module (default: info)\n             \
             such as debug or info,{module}=trace\n\n\
         Paths in the configuration are relative to the working directory. Exit code: 0 after an orderly end, 1 if the \
         service fails, 64 if arguments or configuration cannot be used.\n\n\
         Certificates, keys, trust and revocation lists are read again when they change, and at once on SIGHUP.\n\n\
         SIGTERM or Ctrl-C finishes the requests in hand; a second one stops at once.",
        module = name.replace('-', "_"),
    );
    let plain = commands
        .plain
        .iter()
        .map(|plain| clap::Command::new(plain.name).about(plain.about));
    let matches = Arguments::command()
        .name(name)
        .about(about.description)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(examples)
        .subcommand(clap::Command::new("healthcheck").about(HEALTHCHECK))
        .subcommands(commands.operations.iter().map(Operation::command))
        .subcommands(plain)
        .try_get_matches_from(arguments)?;
    let arguments = Arguments::from_arg_matches(&matches)?;
    let command = Command::of(&matches, commands);
    Ok(Arguments { command, ..arguments })
}

#[cfg(test)]
#[path = "command_line_tests.rs"]
mod tests;
