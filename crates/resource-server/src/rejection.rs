//! Why a request is refused, and the one function that turns it into an answer.
//!
//! The log gets the precise reason; the caller learns what RFC 6750 lets him learn, and the request's id to ask with.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use jwks::JwksVerificationError;
use mtls::NoLongerTrusted;
use oauth_core::bearer::{BearerError, Challenge, INSUFFICIENT_SCOPE, INVALID_REQUEST, INVALID_TOKEN};
use oauth_core::confirmation::BindingError;
use oauth_core::error::{ErrorCode, OAuthError};
use oauth_core::jwt::VerificationError;
use oauth_core::scope::Scope;
use serde::Serialize;

use crate::caller::Caller;

/// The header that carries a request's id from hop to hop.
const X_REQUEST_ID: &str = "x-request-id";

/// Bounds what a stranger can have echoed and logged.
const LONGEST_REQUEST_ID: usize = 64;

/// After this many seconds another try makes sense: the keys are fetched again by then.
const RETRY_AFTER: &str = "2";

const MALFORMED_CLIENT_CERT: OAuthError =
    OAuthError::invalid_request("the gateway must send one Client-Cert header with one byte sequence");

const TEMPORARILY_UNAVAILABLE: OAuthError = OAuthError::new(
    ErrorCode::TemporarilyUnavailable,
    "the access token cannot be verified at present, try again later",
);

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("{0}")]
    Bearer(#[from] BearerError),
    #[error("a token stands in the query of the URI")]
    TokenInQuery,
    #[error("the gateway's Client-Cert header is malformed or repeated")]
    MalformedClientCert,
    #[error("the connection has outlived its peer's certificate")]
    PeerCertificateExpired,
    #[error(transparent)]
    PeerCertificateUntrusted(#[from] NoLongerTrusted),
    #[error("{0}")]
    Token(VerificationError),
    #[error("{reason} (client {client_id}, token {jti})")]
    Binding {
        client_id: String,
        jti: String,
        reason: BindingError,
    },
    #[error("the token's scope is \"{}\" (client {}, token {})", .0.scope, .0.client_id, .0.jti)]
    InsufficientScope(Box<Caller>),
    #[error("{0}")]
    KeysUnavailable(JwksVerificationError),
}

impl Rejection {
    pub(crate) fn binding(caller: &Caller, reason: BindingError) -> Self {
        Self::Binding {
            client_id: caller.client_id.clone(),
            jti: caller.jti.clone(),
            reason,
        }
    }

    pub(crate) fn insufficient_scope(caller: Caller) -> Self {
        Self::InsufficientScope(Box::new(caller))
    }

    /// The stable word for logs and alarms.
    fn reason(&self) -> &'static str {
        match self {
            Self::Bearer(BearerError::Missing) => "token.missing",
            Self::Bearer(_) => "token.malformed",
            Self::TokenInQuery => "token.in_query",
            Self::MalformedClientCert => "client_cert.malformed",
            Self::PeerCertificateExpired => "certificate.expired",
            Self::PeerCertificateUntrusted(_) => "certificate.untrusted",
            Self::Token(_) => "token.invalid",
            Self::Binding { .. } => "token.binding",
            Self::InsufficientScope(_) => "token.insufficient_scope",
            Self::KeysUnavailable(_) => "keys.unavailable",
        }
    }

    /// RFC 6750 §3.1; a request without any token is told of no error.
    fn status_and_error(&self) -> (StatusCode, Option<OAuthError>) {
        match self {
            Self::Bearer(BearerError::Missing) => (StatusCode::UNAUTHORIZED, None),
            Self::Bearer(_) | Self::TokenInQuery => (StatusCode::BAD_REQUEST, Some(INVALID_REQUEST)),
            Self::MalformedClientCert => (StatusCode::BAD_REQUEST, Some(MALFORMED_CLIENT_CERT)),
            Self::PeerCertificateExpired
            | Self::PeerCertificateUntrusted(_)
            | Self::Token(_)
            | Self::Binding { .. } => (StatusCode::UNAUTHORIZED, Some(INVALID_TOKEN)),
            Self::InsufficientScope(_) => (StatusCode::FORBIDDEN, Some(INSUFFICIENT_SCOPE)),
            Self::KeysUnavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, Some(TEMPORARILY_UNAVAILABLE)),
        }
    }

    /// The answer, and the one line in the log. `request` are the headers of the request refused.
    ///
    /// RFC 6750 §3
    pub(crate) fn into_answer<B: From<String>>(
        self,
        request: &HeaderMap,
        required: &Scope,
        realm: &str,
    ) -> Response<B> {
        let (status, error) = self.status_and_error();
        let reason = self.reason();
        let code = status.as_u16();
        tracing::info!(
            reason,
            http.status = code,
            "request refused with {code} ({reason}): {self}"
        );

        let body = Body {
            error,
            request_id: request_id(request),
        };
        let mut answer = Response::new(B::from(serde_json::to_string(&body).unwrap_or_default()));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(self, Self::KeysUnavailable(_)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        } else if let Ok(challenge) = HeaderValue::try_from(challenge(error, required, realm)) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

impl From<JwksVerificationError> for Rejection {
    fn from(error: JwksVerificationError) -> Self {
        match error {
            JwksVerificationError::Verification(reason) => Self::Token(reason),
            unavailable => Self::KeysUnavailable(unavailable),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    error: Option<OAuthError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

fn challenge(error: Option<OAuthError>, required: &Scope, realm: &str) -> String {
    let challenge = Challenge::new(realm);
    match error {
        None => challenge.to_string(),
        Some(error) if error.code == ErrorCode::InsufficientScope => {
            challenge.with_error(error).with_scope(required).to_string()
        }
        Some(error) => challenge.with_error(error).to_string(),
    }
}

fn request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (!id.is_empty() && id.len() <= LONGEST_REQUEST_ID && id.bytes().all(is_fit)).then_some(id)
}
