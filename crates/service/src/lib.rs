//! What every service does alike: command line, configuration file, logs, admin listener, shutdown.
//!
//! Decides how a service starts, says what is wrong, and stops; knows nothing of TLS or OAuth. The binaries depend
//! on it, and nothing below them.

mod admin;
mod command_line;
pub mod configuration;
mod exchange;
mod healthcheck;
mod lines;
pub mod logging;
mod operation;
mod plain_fields;
mod readiness;
mod reload;
pub mod request_id;
mod running;
mod shutdown;
mod started_with;

pub use admin::install_metrics;
pub use command_line::{About, Commands, PlainCommand, run, run_with_commands};
pub use configuration::{ConfigurationError, ConfigurationSource, Problems, read_toml};
pub use logging::LogFormat;
pub use operation::{Operation, OperationOption};
pub use readiness::Readiness;
pub use reload::{Fingerprint, Occasion, Reload, Reloads};
pub use request_id::RequestId;
pub use running::Running;
pub use shutdown::Shutdown;
pub use started_with::StartedWith;

/// For every service: what it remembers comes and goes in any order, for which the system's allocator takes more time. Not
/// in the build of the fuzz targets, where a sanitizer watches the system's.
#[cfg(not(fuzzing))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
