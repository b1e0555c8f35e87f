//! Why a signing key cannot be used: for the log and for whoever starts the service.

use std::io;
use std::path::Path;

use oauth_core::jwt::SigningError;

use crate::token_store::StoreError;

/// A signing key that could not be loaded or made.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {cause}")]
pub(crate) struct SigningKeysError {
    place: String,
    cause: Failure,
}

impl SigningKeysError {
    pub(super) fn of_encoding(error: SigningError) -> Self {
        Self {
            place: "the JWKS".to_owned(),
            cause: Failure::Unusable(error),
        }
    }

    pub(super) fn at_path(path: &Path, cause: Failure) -> Self {
        Self {
            place: format!("signing.keys: {}", path.display()),
            cause,
        }
    }

    pub(super) fn of_row(name: &str, cause: Failure) -> Self {
        Self {
            place: format!("store.url: certbound_signing_keys {name}"),
            cause,
        }
    }

    pub(super) fn of_store(error: StoreError) -> Self {
        Self {
            place: "store.url: certbound_signing_keys".to_owned(),
            cause: Failure::Store(error),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}; give this process's user the right to read and write the file and its directory")]
    File(io::Error),
    #[error("{0}; restore the key, or move it away and a new key is made")]
    Unusable(SigningError),
    #[error("it is another key than its name says; restore the name, or move it away")]
    OtherKey,
    #[error("{0}; the log has the cause")]
    Store(StoreError),
    #[error("a key cannot be made; the system gives no randomness")]
    Generation,
}
