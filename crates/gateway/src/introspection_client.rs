//! Asking the authorization server what an opaque token stands for, and believing nothing of the answer unverified.
//!
//! The answer is the access token as a JWT, or that there is none. Whatever else comes back is the authorization
//! server's fault and never the caller's: it ends in 502, 503 or 504, not in 401.

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use jwks::{JwksVerificationError, RemoteJwks};
use oauth_core::jwt::VerificationError;
use oauth_core::time::Timestamp;

use crate::accepted_token::AcceptedToken;
use crate::audiences::LiveVerifier;
use crate::configuration::Introspection;

const ACCESS_TOKEN_JWT: &str = "application/jwt";

/// The authorization server's introspection endpoint, and how its answers are verified.
#[derive(Debug)]
pub(crate) struct IntrospectionClient {
    pub(crate) http_client: reqwest::Client,
    pub(crate) endpoint: Introspection,
    pub(crate) keys: RemoteJwks,
    pub(crate) verifier: LiveVerifier,
}

impl IntrospectionClient {
    /// Looks `token` up.
    ///
    /// # Errors
    ///
    /// [`IntrospectionError`]; [`IntrospectionError::Inactive`] is the one that is the caller's.
    ///
    /// [RFC 7662 §2](https://www.rfc-editor.org/rfc/rfc7662#section-2), RFC 9068 §4
    pub(crate) async fn introspect(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<AcceptedToken, IntrospectionError> {
        let response = self.ask(token).await?;
        verify_status(response.status())?;
        verify_content_type(response.headers())?;
        let max_age = max_age(response.headers());
        let jwt = self.bounded_text(response).await?;
        let verified = self.keys.verify(&self.verifier.now(), &jwt, now).await?;
        AcceptedToken::new(verified, &jwt, max_age).ok_or(IntrospectionError::NotText)
    }

    async fn ask(&self, token: &str) -> Result<reqwest::Response, IntrospectionError> {
        let Introspection {
            endpoint, client_id, ..
        } = &self.endpoint;
        let parameters = [("token", token), ("client_id", client_id)];
        let request = self
            .http_client
            .post(endpoint.clone())
            .header(ACCEPT, ACCESS_TOKEN_JWT)
            .form(&parameters);
        Ok(request.send().await?)
    }

    async fn bounded_text(&self, mut response: reqwest::Response) -> Result<String, IntrospectionError> {
        let limit = self.endpoint.max_response;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > limit {
                return Err(IntrospectionError::TooLarge {
                    size: body.len(),
                    limit,
                });
            }
        }
        String::from_utf8(body).map_err(|_| IntrospectionError::NotText)
    }
}

/// 204 is how the authorization server says that there is no such token, or none for us.
fn verify_status(status: StatusCode) -> Result<(), IntrospectionError> {
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::NO_CONTENT => Err(IntrospectionError::Inactive),
        StatusCode::SERVICE_UNAVAILABLE => Err(IntrospectionError::Unreachable(
            "it answers 503 Service Unavailable".to_owned(),
        )),
        other => Err(IntrospectionError::Status(other)),
    }
}

fn verify_content_type(headers: &HeaderMap) -> Result<(), IntrospectionError> {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(ACCESS_TOKEN_JWT) {
        Ok(())
    } else {
        Err(IntrospectionError::ContentType)
    }
}

/// For how long the answer may be kept: `None` where it does not say. RFC 9111 §5.2.2
pub(crate) fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value: &HeaderValue| value.to_str().ok());
    let mut shortest: Option<Duration> = None;
    for directive in directives.flat_map(|value| value.split(',')).map(str::trim) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        let limit = match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(Duration::ZERO),
            // What cannot be read is not kept.
            "max-age" => Some(
                argument
                    .trim_matches('"')
                    .parse()
                    .map_or(Duration::ZERO, Duration::from_secs),
            ),
            _ => None,
        };
        shortest = shortest.into_iter().chain(limit).min();
    }
    shortest
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntrospectionError {
    /// The caller's fault; all the others are not.
    #[error("the token is not active")]
    Inactive,
    #[error("the authorization server cannot be reached: {0}")]
    Unreachable(String),
    #[error("the authorization server did not answer in time")]
    Timeout,
    #[error("the authorization server answers {0}")]
    Status(StatusCode),
    #[error("the answer is not application/jwt")]
    ContentType,
    #[error("the answer has at least {size} bytes, and introspection.max_response is {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("the answer is not text")]
    NotText,
    #[error("the answer is not to be believed: {0}")]
    Verification(#[from] VerificationError),
    #[error("{0}")]
    KeysUnavailable(String),
    #[error("the introspection was interrupted")]
    Interrupted,
}

impl From<JwksVerificationError> for IntrospectionError {
    fn from(error: JwksVerificationError) -> Self {
        match error {
            JwksVerificationError::Verification(error) => Self::Verification(error),
            unavailable => Self::KeysUnavailable(unavailable.to_string()),
        }
    }
}

impl From<reqwest::Error> for IntrospectionError {
    /// A connection that cannot be made in time is no connection; an answer that does not come in time is late.
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() && !error.is_connect() {
            Self::Timeout
        } else {
            Self::Unreachable(words_of(&error))
        }
    }
}

/// The words of the whole chain: the cause, such as a refused certificate, stands at its end.
pub(crate) fn words_of(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    /// P2, P10.
    #[test]
    fn only_204_means_that_the_token_is_inactive() {
        assert!(verify_status(StatusCode::OK).is_ok());
        assert!(matches!(
            verify_status(StatusCode::NO_CONTENT),
            Err(IntrospectionError::Inactive)
        ));
        let unavailable = verify_status(StatusCode::SERVICE_UNAVAILABLE);
        assert!(matches!(unavailable, Err(IntrospectionError::Unreachable(_))));
        for status in [201, 301, 400, 401, 403, 404, 429, 500, 502, 504] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(
                matches!(verify_status(status), Err(IntrospectionError::Status(_))),
                "{status}"
            );
        }
    }

    /// J13.
    #[test]
    fn accepts_the_access_token_representation_alone() {
        for value in ["application/jwt", "Application/JWT; charset=utf-8"] {
            assert!(verify_content_type(&with(CONTENT_TYPE, value)).is_ok(), "{value}");
        }
        for value in [
            "application/json",
            "application/token-introspection+jwt",
            "application/jwtx",
            "",
        ] {
            assert!(
                verify_content_type(&with(CONTENT_TYPE, value)).is_err(),
                "{value}"
            );
        }
        assert!(verify_content_type(&HeaderMap::new()).is_err());
    }

    /// I12.
    #[test]
    fn the_answer_is_kept_no_longer_than_it_says() {
        for (value, expected) in [
            ("private, max-age=30", Some(30)),
            ("Max-Age=\"30\"", Some(30)),
            ("max-age=30, max-age=10", Some(10)),
            ("max-age=30, no-store", Some(0)),
            ("no-cache", Some(0)),
            ("max-age=soon", Some(0)),
            ("private", None),
        ] {
            assert_eq!(
                max_age(&with(CACHE_CONTROL, value)),
                expected.map(Duration::from_secs),
                "{value}"
            );
        }
        assert_eq!(max_age(&HeaderMap::new()), None);
    }
}
