//! One request for a JWKS, bounded in time and size.

use std::error::Error;
use std::time::Duration;

use oauth_core::jwt::JwksError;
use reqwest::StatusCode;

use crate::from_jwks::FromJwks;

/// Bounds the memory that whoever answers at the URI can take. A key has about 400 bytes.
const LARGEST_JWKS: usize = 256 * 1024;

/// Fetches and reads the JWKS at `uri`.
pub(crate) async fn fetch<K: FromJwks>(
    http_client: &reqwest::Client,
    uri: &str,
    timeout: Duration,
) -> Result<K, FetchError> {
    let response = http_client.get(uri).timeout(timeout).send().await?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    Ok(K::from_jwks(&bounded_body(response).await?)?)
}

async fn bounded_body(mut response: reqwest::Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LARGEST_JWKS {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why a JWKS could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No connection, no trust, or no answer in time; in the words of everyone concerned.
    #[error("{0}")]
    NoAnswer(String),
    /// An answer that is not 200.
    #[error("the answer is {0} instead of 200")]
    Status(StatusCode),
    /// An answer larger than any JWKS.
    #[error("the answer is larger than {LARGEST_JWKS} bytes")]
    TooLarge,
    /// An answer that is no JWKS, or not one that can be used.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// The task that fetches was ended with its runtime.
    #[error("the fetch was interrupted")]
    Interrupted,
}

impl From<reqwest::Error> for FetchError {
    /// Keeps the words of the whole chain: the cause, such as a refused certificate, stands at its end.
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut words = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            words = format!("{words}: {cause}");
            source = cause.source();
        }
        Self::NoAnswer(words)
    }
}
