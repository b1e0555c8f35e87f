//! From a refusal to HTTP, in one function; and from it to the log, by what the answer carries along.
//!
//! The answer's text is fixed: what a caller sent, and which of several secrets was wrong, never shows in it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use oauth_core::access_token::InactiveToken;
use oauth_core::client_authentication::AuthenticationError;
use oauth_core::error::{ErrorCode, OAuthError};
use oauth_core::introspection::NotAcceptable;
use oauth_core::jwt::{AssertionError, SigningError};
use serde::Serialize;
use uuid::Uuid;

use crate::published_keys::ClientKeysUnavailable;
use crate::request::Sender;
use crate::token_store::StoreError;

/// What most answers are in.
pub(crate) const JSON: &str = "application/json";

/// No answer of these endpoints is to be kept. RFC 6749 §5.1
pub(crate) const NO_STORE: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
];

/// A successful answer with these fields, and room for those that every answer gets: what axum puts together of parts
/// grows with each.
pub(crate) fn answer<const FIELDS: usize>(
    content_type: &'static str,
    fields: [(HeaderName, HeaderValue); FIELDS],
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.reserve(MOST_FIELDS);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in fields {
        headers.insert(name, value);
    }
    response
}

/// The same in JSON.
pub(crate) fn json<const FIELDS: usize>(
    content_type: &'static str,
    fields: [(HeaderName, HeaderValue); FIELDS],
    value: &impl Serialize,
) -> Response {
    match written(value) {
        Ok(body) => answer(content_type, fields, body),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A body in JSON, as axum's own, which writes into memory that grows and costs half as much again.
pub(crate) fn written<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut body = Vec::with_capacity(USUAL_ANSWER);
    serde_json::to_writer(&mut body, value)?;
    Ok(body)
}

/// More than most answers take.
const USUAL_ANSWER: usize = 512;
/// No answer has more.
const MOST_FIELDS: usize = 8;

const BASIC_CHALLENGE: HeaderValue = HeaderValue::from_static(r#"Basic realm="certbound", charset="UTF-8""#);
/// Seconds: longer than a commit takes, and than a restart should.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// Why a request is refused; `Display` is for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error("{}", .0.description)]
    Request(#[from] OAuthError),
    #[error("{0}")]
    Authentication(#[from] AuthenticationError),
    /// As the one before, where a caller who is not named is not authenticated either. RFC 7662 §2.3, RFC 7009 §2.1
    #[error("{0}")]
    Caller(AuthenticationError),
    /// As the one before, from a caller who asked for a signed answer. RFC 9701 §5
    #[error("{0}")]
    SignedIntrospectionCaller(AuthenticationError),
    /// With how long to wait.
    #[error("too many wrong client secrets; the next may be tried in {0:?}")]
    TooManyGuesses(Duration),
    /// With how long to wait.
    #[error("too many token requests; the next is answered in {0:?}")]
    TooManyRequests(Duration),
    /// Whether the client is who it says cannot be told: not its fault, and no 401.
    #[error("{0}")]
    ClientKeys(ClientKeysUnavailable),
    #[error("{0}")]
    NotAcceptable(#[from] NotAcceptable),
    #[error("token {0} belongs to another client")]
    ForeignToken(Uuid),
    #[error("the body is longer than this server reads")]
    BodyTooLong,
    #[error("the body could not be read")]
    BodyUnreadable,
    #[error("there is no such endpoint")]
    NotFound,
    #[error("the endpoint does not know this method")]
    MethodNotAllowed,
    #[error("the request was not finished in time")]
    TooSlow,
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("there are no signing keys yet: the store has not answered since the start")]
    NoKeys,
    /// Never with another algorithm than the one registered.
    #[error("the key for this client's algorithm has not been shown for long enough to sign")]
    KeyNotYetShown,
    #[error("{0}")]
    Signing(#[from] SigningError),
    #[error("the system gives no randomness")]
    NoRandomness,
    #[error("a handler panicked")]
    Panicked,
}

impl Cause {
    /// The same of a caller rather than of a client that wants a token.
    pub(crate) fn of_caller(self) -> Self {
        match self {
            Self::Authentication(error) => Self::Caller(error),
            other => other,
        }
    }

    /// What the caller is told.
    fn oauth_error(&self) -> OAuthError {
        const fn server_error() -> OAuthError {
            OAuthError::new(ErrorCode::ServerError, "the server failed")
        }
        match self {
            Self::Request(error) => *error,
            Self::Caller(AuthenticationError::NoClientId)
            | Self::SignedIntrospectionCaller(AuthenticationError::NoClientId) => {
                OAuthError::new(ErrorCode::InvalidClient, "client authentication failed")
            }
            Self::Authentication(error) | Self::Caller(error) | Self::SignedIntrospectionCaller(error) => {
                error.oauth_error()
            }
            Self::NotAcceptable(_) => OAuthError::invalid_request(
                "accept application/json, application/jwt or application/token-introspection+jwt",
            ),
            Self::ForeignToken(_) => OAuthError::new(
                ErrorCode::UnauthorizedClient,
                "the token was not issued to this client",
            ),
            Self::BodyTooLong => OAuthError::invalid_request("the body is too long"),
            Self::BodyUnreadable => OAuthError::invalid_request("the body could not be read"),
            Self::NotFound => OAuthError::invalid_request("there is no such endpoint here"),
            Self::MethodNotAllowed => OAuthError::invalid_request("this method is not allowed here"),
            Self::TooManyGuesses(_)
            | Self::TooManyRequests(_)
            | Self::ClientKeys(_)
            | Self::TooSlow
            | Self::NoKeys
            | Self::KeyNotYetShown
            | Self::Store(_) => OAuthError::new(ErrorCode::TemporarilyUnavailable, "try again later"),
            Self::Signing(_) | Self::NoRandomness | Self::Panicked => server_error(),
        }
    }

    /// RFC 6749 §5.2, RFC 9701 §5
    fn status(&self) -> StatusCode {
        match self {
            Self::TooManyGuesses(_) | Self::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::SignedIntrospectionCaller(_) => StatusCode::BAD_REQUEST,
            _ => match self.oauth_error().code {
                ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
                ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::BAD_REQUEST,
            },
        }
    }

    /// The stable name of the cause, for log and metrics.
    const fn reason(&self) -> &'static str {
        match self {
            Self::Request(error) => error.code.as_str(),
            Self::Authentication(error) | Self::Caller(error) | Self::SignedIntrospectionCaller(error) => {
                authentication_reason(*error)
            }
            Self::TooManyGuesses(_) => "too_many_guesses",
            Self::TooManyRequests(_) => "too_many_requests",
            Self::ClientKeys(_) => "client_keys_unavailable",
            Self::NotAcceptable(_) => "not_acceptable",
            Self::ForeignToken(_) => "foreign_token",
            Self::BodyTooLong => "body_too_long",
            Self::BodyUnreadable => "body_unreadable",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooSlow => "too_slow",
            Self::Store(StoreError::Overloaded) => "store_overloaded",
            Self::Store(_) => "store_failed",
            Self::NoKeys => "no_signing_keys",
            Self::KeyNotYetShown => "key_not_yet_shown",
            Self::Signing(_) => "signing_failed",
            Self::NoRandomness => "no_randomness",
            Self::Panicked => "panicked",
        }
    }
}

const fn authentication_reason(error: AuthenticationError) -> &'static str {
    match error {
        AuthenticationError::NoClientId => "no_client_id",
        AuthenticationError::TwoClientIds => "two_client_ids",
        AuthenticationError::TwoMethods => "two_methods",
        AuthenticationError::NotBasic => "not_basic",
        AuthenticationError::MalformedBasic => "malformed_basic",
        AuthenticationError::UnknownClient => "unknown_client",
        AuthenticationError::NoCertificate => "no_certificate",
        AuthenticationError::OtherSubject => "other_subject",
        AuthenticationError::SelfSigned => "self_signed",
        AuthenticationError::OtherCertificate => "other_certificate",
        AuthenticationError::OtherAnchor => "other_anchor",
        AuthenticationError::AssertionType => "assertion_type",
        AuthenticationError::Assertion(error) => assertion_reason(error),
        AuthenticationError::OtherMethod => "other_method",
        AuthenticationError::WrongSecret => "wrong_secret",
        _ => "not_authenticated",
    }
}

const fn assertion_reason(error: AssertionError) -> &'static str {
    match error {
        AssertionError::Malformed => "assertion_malformed",
        AssertionError::OtherType => "assertion_of_other_type",
        AssertionError::CriticalHeader => "assertion_critical_header",
        AssertionError::UnknownKey => "assertion_unknown_key",
        AssertionError::Algorithm => "assertion_algorithm",
        AssertionError::Signature => "assertion_signature",
        AssertionError::Claims => "assertion_claims",
        AssertionError::OtherClient => "assertion_of_other_client",
        AssertionError::OtherAudience => "assertion_for_other_audience",
        AssertionError::Expired => "assertion_expired",
        AssertionError::TooLong => "assertion_too_long",
        AssertionError::NotYetValid => "assertion_not_yet_valid",
        AssertionError::Replayed => "assertion_replayed",
        _ => "assertion_refused",
    }
}

/// The stable name of what makes a token inactive, for log and metrics.
pub(crate) const fn inactive_reason(reason: InactiveToken) -> &'static str {
    match reason {
        InactiveToken::Unknown => "unknown",
        InactiveToken::Expired => "expired",
        InactiveToken::Revoked => "revoked",
        InactiveToken::OtherAudience => "other_audience",
        InactiveToken::ClientRemoved => "client_removed",
        InactiveToken::CertificateRevoked => "certificate_revoked",
        _ => "inactive",
    }
}

/// A refused request: why, and what is known of who sent it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) cause: Cause,
    pub(crate) sender: Sender,
}

impl From<Cause> for Refusal {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            sender: Sender::default(),
        }
    }
}

/// What a refused answer carries to the log and to the metrics, and not to the caller.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) reason: &'static str,
    pub(crate) explanation: String,
    pub(crate) sender: Sender,
}

impl IntoResponse for Refusal {
    /// The one place where an error becomes an answer.
    ///
    /// [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)
    fn into_response(self) -> Response {
        let status = self.cause.status();
        let mut response = json(JSON, NO_STORE, &self.cause.oauth_error());
        *response.status_mut() = status;
        if status == StatusCode::UNAUTHORIZED && self.sender.sent_authorization {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, BASIC_CHALLENGE);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if let Cause::TooManyGuesses(wait) | Cause::TooManyRequests(wait) = self.cause {
            // Rounded up: who comes back on the second is not early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let explanation = self.cause.to_string();
        response.extensions_mut().insert(Refused {
            reason: self.cause.reason(),
            explanation,
            sender: self.sender,
        });
        response
    }
}
