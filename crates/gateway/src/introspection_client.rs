//! Asking the authorization server what an opaque token stands for, and believing nothing of the answer unverified.
//!
//! The answer is of the one representation that is configured, or it is none. Whatever else comes back is the
//! authorization server's fault and never the caller's: it ends in 502, 503 or 504, not in 401.

mod answer;
mod authentication;

use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use http::{Method, StatusCode};
use oauth_core::introspection::Representation;
use oauth_core::time::Timestamp;
use tokio::sync::Semaphore;
use url::Url;

pub(crate) use self::answer::{AnswerReader, MemberRules};
pub(crate) use self::authentication::Authentication;
use crate::cache_control::max_age;
use crate::configuration::{CacheControlPolicy, Introspection};
use crate::token_error::{TokenError, TokenRefusal};
use crate::token_source::Learnt;

/// The authorization server's introspection endpoint, and how its answers are verified.
#[derive(Debug)]
pub(crate) struct IntrospectionClient {
    http_client: reqwest::Client,
    endpoint: Url,
    authentication: Authentication,
    reader: AnswerReader,
    cache_control: CacheControlPolicy,
    max_response: usize,
    /// One permit for each token that may be looked up at once.
    in_hand: Semaphore,
    /// Whether the latest lookup to end had an answer.
    answers: AtomicBool,
}

impl IntrospectionClient {
    /// Asks as `configuration` says, authenticated by `authentication`, and reads answers with `reader`.
    pub(crate) fn new(
        http_client: reqwest::Client,
        configuration: &Introspection,
        authentication: Authentication,
        reader: AnswerReader,
    ) -> Self {
        Self {
            http_client,
            endpoint: configuration.endpoint.clone(),
            authentication,
            reader,
            cache_control: configuration.cache_control,
            max_response: configuration.max_response,
            in_hand: Semaphore::new(configuration.concurrency),
            answers: AtomicBool::new(true),
        }
    }

    /// Looks `token` up. Beyond so many at once nobody is asked: a burst of made-up tokens does not reach the
    /// authorization server.
    ///
    /// # Errors
    ///
    /// [`TokenError`]; [`TokenError::Refused`] is the one that is the caller's.
    ///
    /// [RFC 7662 §2](https://www.rfc-editor.org/rfc/rfc7662#section-2), RFC 9068 §4, RFC 9701 §5
    pub(crate) async fn introspect(&self, token: &str, now: Timestamp) -> Result<Learnt, TokenError> {
        let _permit = self.in_hand.try_acquire().map_err(|_| self.busy())?;
        let introspected = self.exchange(token, now).await;
        let no_answer = introspected.as_ref().err().is_some_and(TokenError::is_no_answer);
        self.answers.store(!no_answer, Ordering::Relaxed);
        introspected
    }

    /// Where every lookup in hand waits for a server that does not answer, one more would get no answer either.
    fn busy(&self) -> TokenError {
        if self.answers.load(Ordering::Relaxed) {
            TokenError::IntrospectionBusy
        } else {
            TokenError::Unreachable(
                "it has not answered, and all lookups at once are waiting for it".to_owned(),
            )
        }
    }

    async fn exchange(&self, token: &str, now: Timestamp) -> Result<Learnt, TokenError> {
        let response = self.ask(token, now).await?;
        let representation = self.reader.representation();
        verify_status(response.status(), representation)?;
        verify_content_type(response.headers(), representation)?;
        let max_age = match self.cache_control {
            CacheControlPolicy::Follow => max_age(response.headers()),
            CacheControlPolicy::Ignore => None,
        };
        let answer = self.bounded_body(response).await?;
        let token = self.reader.read(&answer, now).await?;
        Ok(Learnt { token, max_age })
    }

    async fn ask(&self, token: &str, now: Timestamp) -> Result<reqwest::Response, TokenError> {
        let proof = self.authentication.proof(now)?;
        let parameters = std::iter::once(("token", token)).chain(proof.parameters());
        let request = self
            .http_client
            .request(Method::POST, self.endpoint.clone())
            .headers(proof.headers())
            .header(ACCEPT, self.reader.representation().media_type())
            .form(&parameters.collect::<Vec<_>>());
        Ok(request.send().await?)
    }

    async fn bounded_body(&self, mut response: reqwest::Response) -> Result<Vec<u8>, TokenError> {
        let limit = self.max_response;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > limit {
                return Err(TokenError::TooLarge {
                    size: body.len(),
                    limit,
                });
            }
        }
        Ok(body)
    }
}

/// 204 is how an authorization server says, where the answer would be the access token, that there is none for us.
fn verify_status(status: StatusCode, representation: Representation) -> Result<(), TokenError> {
    match (status, representation) {
        (StatusCode::OK, _) => Ok(()),
        (StatusCode::NO_CONTENT, Representation::AccessTokenJwt) => Err(TokenRefusal::Inactive.into()),
        (StatusCode::SERVICE_UNAVAILABLE, _) => Err(TokenError::Unreachable(
            "it answers 503 Service Unavailable".to_owned(),
        )),
        (other, _) => Err(TokenError::Status(other)),
    }
}

fn verify_content_type(headers: &HeaderMap, representation: Representation) -> Result<(), TokenError> {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(representation.media_type()) {
        Ok(())
    } else {
        Err(TokenError::ContentType(representation.media_type()))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ALL: [Representation; 3] = [
        Representation::Json,
        Representation::AccessTokenJwt,
        Representation::IntrospectionJwt,
    ];

    /// P2, P10.
    #[test]
    fn only_204_in_place_of_the_access_token_means_that_it_is_inactive() {
        for representation in ALL {
            let verify = |status| verify_status(StatusCode::from_u16(status).unwrap(), representation);
            assert!(verify(200).is_ok());
            assert!(matches!(verify(503), Err(TokenError::Unreachable(_))));
            let inactive = matches!(verify(204), Err(TokenError::Refused(TokenRefusal::Inactive)));
            assert_eq!(inactive, representation == Representation::AccessTokenJwt);
            for status in [201, 301, 400, 401, 403, 404, 429, 500, 502, 504] {
                assert!(matches!(verify(status), Err(TokenError::Status(_))), "{status}");
            }
        }
    }

    /// J13.
    #[test]
    fn accepts_the_configured_representation_alone() {
        for expected in ALL {
            for sent in ALL {
                let accepts = |value: String| {
                    let headers = [(CONTENT_TYPE, HeaderValue::try_from(value).unwrap())];
                    verify_content_type(&HeaderMap::from_iter(headers), expected).is_ok()
                };
                let media_type = sent.media_type();
                assert_eq!(accepts(media_type.to_owned()), sent == expected);
                assert_eq!(
                    accepts(format!("{}; charset=utf-8", media_type.to_uppercase())),
                    sent == expected
                );
                assert!(!accepts(format!("{media_type}x")));
            }
            assert!(verify_content_type(&HeaderMap::new(), expected).is_err());
        }
    }
}
