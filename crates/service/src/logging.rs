//! Logs: lines for people or JSON for machines, on standard error, filtered by `RUST_LOG`.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::plain_fields::{PlainFields, PlainLine};

/// rustls speaks of every alert it sends; the acceptors do as well, with the reason and the peer.
const DEFAULT_FILTER: &str = "info,rustls=error";

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One readable line per event, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per event.
    Json,
}

/// Starts logging; changes nothing where it has been started already.
pub fn initialize(format: LogFormat) {
    initialize_with_default(format, DEFAULT_FILTER);
}

/// The same, with another filter than the services' where `RUST_LOG` says nothing.
pub fn initialize_with_default(format: LogFormat, default_filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let _already_started = match format {
        LogFormat::Text if wants_colour() => registry.with(lines.with_ansi(true)).try_init(),
        LogFormat::Text => {
            let lines = lines
                .with_ansi(false)
                .fmt_fields(PlainFields)
                .event_format(PlainLine);
            registry.with(lines).try_init()
        }
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
}

fn wants_colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
