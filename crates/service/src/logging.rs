//! Logs: lines for people or JSON for machines, on standard error, filtered by `RUST_LOG`.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::lines::LINES;
use crate::plain_fields::{PlainFields, PlainLine};

/// rustls speaks of every alert it sends; the acceptors do as well, with the reason and the peer.
const DEFAULT_FILTER: &str = "info,rustls=error";

const VARIABLE: &str = "RUST_LOG";

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
    let wanted = std::env::var_os(VARIABLE).unwrap_or_default();
    let (filter, misunderstood) = match filter(&wanted.to_string_lossy(), default_filter) {
        Ok(filter) => (filter, None),
        Err(error) => (targets(default_filter).unwrap_or_default(), Some(error)),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(|| &*LINES);
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
    if let Some(error) = misunderstood {
        tracing::error!(
            reason = %error,
            "{VARIABLE} cannot be understood ({error}), and {default_filter} applies; write levels and modules, such as \
             info,gateway=debug"
        );
    }
}

/// Gives what `answer` gives, once every line that it logged is written: together with those of the answers that come
/// about meanwhile, so that many cost one write. Lines that something else logs are written at once.
pub async fn logged<F: Future>(answer: F) -> F::Output {
    LINES.logged(answer).await
}

/// What to log, as it is wanted, or by default where nothing is. A filter that looks at spans too would take a lock
/// whenever one is entered.
fn filter(wanted: &str, default_filter: &str) -> Result<Targets, ParseError> {
    match wanted.trim() {
        "" => targets(default_filter),
        wanted => targets(wanted),
    }
}

/// Levels and modules, with whatever blanks and commas between them.
fn targets(text: &str) -> Result<Targets, ParseError> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(",").parse()
}

fn wants_colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn logs(wanted: &str, target: &str, level: Level) -> bool {
        filter(wanted, DEFAULT_FILTER)
            .unwrap()
            .would_enable(target, &level)
    }

    #[test]
    fn logs_what_is_wanted_and_by_default_where_nothing_is() {
        for nothing in ["", " "] {
            assert!(logs(nothing, "gateway::accept", Level::INFO));
            assert!(!logs(nothing, "gateway::accept", Level::DEBUG));
            assert!(logs(nothing, "rustls", Level::ERROR));
            assert!(!logs(nothing, "rustls", Level::WARN));
        }
        for wanted in ["warn,gateway=debug", " warn, gateway=debug,"] {
            assert!(logs(wanted, "gateway::accept", Level::DEBUG));
            assert!(!logs(wanted, "mtls::acceptor", Level::INFO));
            assert!(logs(wanted, "mtls::acceptor", Level::WARN));
        }
    }

    #[test]
    fn tells_what_it_cannot_understand() {
        for wanted in ["gateway=loud", "gateway=a=b"] {
            assert!(filter(wanted, DEFAULT_FILTER).is_err(), "{wanted}");
        }
    }
}
