//! Why the database did not do as asked: for the log and for whoever starts the service.
//!
//! Says what the server said, but not its details: those may quote a row.

use std::error::Error;
use std::fmt::Write as _;
use std::io;

use deadpool_postgres::{BuildError, HookError, PoolError};
use tokio_postgres::error::SqlState;

use crate::configuration::{EncryptionError, UnreadablePassword};

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}; check the address, the user and the password, and that the server runs")]
    Connection(String),
    /// Nobody there, or nobody who lets anyone in at the moment: it may pass by itself.
    #[error("{0}; check the address, and that the server runs")]
    Unreachable(String),
    #[error("{0}")]
    Query(String),
    #[error("the database was not done in time")]
    TooSlow,
    #[error("the connections to the database cannot be made: {0}")]
    Pool(#[from] BuildError),
    #[error("a record cannot be understood: {0}")]
    Record(#[from] serde_json::Error),
    #[error("a point in time is beyond what the database holds")]
    Time,
    #[error(
        "the tables are of version {found}, and this program knows version {known} at most; start a newer program, \
         or name another database"
    )]
    NewerSchema { found: i32, known: i32 },
    #[error("store.password_file: {0}")]
    Password(#[from] UnreadablePassword),
    #[error("store.trust: {0}")]
    Encryption(#[from] EncryptionError),
}

impl Failure {
    /// Whether it may pass without anybody changing the configuration or the database.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::TooSlow)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        if is_unreachable(&error) {
            Self::Unreachable(explanation(&error))
        } else {
            Self::Query(explanation(&error))
        }
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(_) => Self::TooSlow,
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                if is_unreachable(&error) {
                    Self::Unreachable(explanation(&error))
                } else {
                    Self::Connection(explanation(&error))
                }
            }
            other => Self::Connection(other.to_string()),
        }
    }
}

/// Whether the database undid the statement because of what others did, so that it can be tried again.
pub(super) fn is_contention(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED)
    )
}

/// Whether nobody answered, or a server that is starting, stopping or full; a certificate that is not believed will
/// not be believed later either.
fn is_unreachable(error: &tokio_postgres::Error) -> bool {
    if let Some(code) = error.code() {
        let is_passing = [
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::TOO_MANY_CONNECTIONS,
        ];
        return is_passing.contains(code);
    }
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    error.is_closed() || cause.is_some_and(|cause| cause.kind() != io::ErrorKind::InvalidData)
}

/// What the server said, with the code of the error; or what became of the connection.
fn explanation(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return format!("{} ({})", answer.message(), answer.code().code());
    }
    let mut explanation = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _written = write!(explanation, ": {error}");
        cause = error.source();
    }
    explanation
}
