//! One fetch of a JWKS, and of the metadata that says where it is, bounded in time and size.

use std::error::Error;
use std::time::Duration;

use oauth_core::jwt::JwksError;
use oauth_core::metadata::{metadata_url, openid_configuration_url};
use reqwest::StatusCode;
use serde::Deserialize;

use crate::from_jwks::FromJwks;

/// Bounds the memory that whoever answers for the issuer can take. A key has about 400 bytes.
const LARGEST_DOCUMENT: usize = 256 * 1024;

/// Where the keys of an issuer are.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// A JWKS at this address.
    Jwks(String),
    /// Where the metadata of this issuer says, each time anew.
    Issuer(String),
}

impl Location {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Jwks(uri) => uri,
            Self::Issuer(issuer) => issuer,
        }
    }
}

/// Fetches and reads the JWKS at `location`, all within `timeout`.
pub(crate) async fn fetch<K: FromJwks>(
    http_client: &reqwest::Client,
    location: &Location,
    timeout: Duration,
) -> Result<K, FetchError> {
    let keys = async {
        match location {
            Location::Jwks(uri) => fetch_jwks(http_client, uri).await,
            Location::Issuer(issuer) => fetch_jwks(http_client, &find_jwks(http_client, issuer).await?).await,
        }
    };
    let in_time = tokio::time::timeout(timeout, keys).await;
    in_time.unwrap_or_else(|_| Err(FetchError::NoAnswer("the fetch timed out".to_owned())))
}

async fn fetch_jwks<K: FromJwks>(http_client: &reqwest::Client, uri: &str) -> Result<K, FetchError> {
    Ok(K::from_jwks(&get(http_client, uri).await?)?)
}

/// Where the metadata of `issuer` says that its keys are. Servers that do not know the place of RFC 8414 have it where
/// OIDC providers do.
///
/// [RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3), §5
async fn find_jwks(http_client: &reqwest::Client, issuer: &str) -> Result<String, FetchError> {
    let [first, second] = [metadata_url(issuer), openid_configuration_url(issuer)];
    let document = match get(http_client, &first.map_err(|_| FetchError::Metadata)?).await {
        Err(FetchError::Status(_)) => get(http_client, &second.map_err(|_| FetchError::Metadata)?).await?,
        document => document?,
    };
    jwks_uri_of(&document, issuer)
}

fn jwks_uri_of(document: &[u8], issuer: &str) -> Result<String, FetchError> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }
    let metadata: Metadata = serde_json::from_slice(document).map_err(|_| FetchError::Metadata)?;
    if metadata.issuer != issuer {
        return Err(FetchError::OtherIssuer);
    }
    let is_https = reqwest::Url::parse(&metadata.jwks_uri).is_ok_and(|url| url.scheme() == "https");
    is_https.then_some(metadata.jwks_uri).ok_or(FetchError::Metadata)
}

async fn get(http_client: &reqwest::Client, uri: &str) -> Result<Vec<u8>, FetchError> {
    let response = http_client.get(uri).send().await?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    bounded_body(response).await
}

async fn bounded_body(mut response: reqwest::Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LARGEST_DOCUMENT {
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
    /// An answer larger than any JWKS or metadata.
    #[error("the answer is larger than {LARGEST_DOCUMENT} bytes")]
    TooLarge,
    /// A metadata document that is none, or names no `jwks_uri` over https.
    #[error("the issuer's metadata names no jwks_uri over https; configure jwks_uri")]
    Metadata,
    /// A metadata document of another issuer than the one it was fetched for. RFC 8414 §3.3
    #[error("the issuer's metadata is of another issuer")]
    OtherIssuer,
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

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://login.example.com/tenant";

    fn found(document: &str) -> Result<String, FetchError> {
        jwks_uri_of(document.as_bytes(), ISSUER)
    }

    /// D2, D8, D12.
    #[test]
    fn takes_the_address_from_the_issuers_own_metadata_alone() {
        let metadata =
            |issuer: &str, uri: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{uri}","x":[]}}"#);
        let uri = "https://keys.example.com/jwks";
        assert_eq!(found(&metadata(ISSUER, uri)).unwrap(), uri);
        for issuer in [
            "https://login.example.com/tenant/",
            "https://LOGIN.example.com/tenant",
            "",
        ] {
            assert_eq!(
                found(&metadata(issuer, uri)),
                Err(FetchError::OtherIssuer),
                "{issuer}"
            );
        }
        for uri in ["http://keys.example.com/jwks", "/jwks", ""] {
            assert_eq!(found(&metadata(ISSUER, uri)), Err(FetchError::Metadata), "{uri}");
        }
        for document in ["", "[]", &format!(r#"{{"issuer":"{ISSUER}"}}"#)] {
            assert_eq!(found(document), Err(FetchError::Metadata), "{document}");
        }
    }
}
