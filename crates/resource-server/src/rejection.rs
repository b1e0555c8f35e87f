//! Why a request is refused, and the one function that turns it into an answer.
//!
//! The log gets the precise reason; the caller learns what RFC 6750 lets him learn, and the request's id to ask with.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
#[cfg(feature = "jwks")]
use jwks::JwksVerificationError;
use oauth_core::bearer::{BearerError, Challenge, INSUFFICIENT_SCOPE, INVALID_REQUEST, INVALID_TOKEN};
use oauth_core::confirmation::BindingError;
use oauth_core::error::{ErrorCode, OAuthError};
use oauth_core::jwt::VerificationError;
use oauth_core::scope::Scope;
use serde::Serialize;
use uuid::Uuid;

use crate::caller::Caller;

/// The header that carries a request's id from hop to hop.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bounds what a stranger can have echoed and logged.
const LONGEST_REQUEST_ID: usize = 64;

/// After this many seconds another try makes sense: the keys are fetched again by then.
const RETRY_AFTER: &str = "2";

/// What the body says to a request without token. The challenge must not: RFC 6750 §3.1
const UNAUTHORIZED: &str = "unauthorized";
const SEND_A_TOKEN: &str = "send an access token in an Authorization header of scheme Bearer";

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
    #[error("{0}")]
    #[cfg_attr(
        not(feature = "mtls"),
        expect(dead_code, reason = "nothing else knows of trust")
    )]
    PeerCertificateUntrusted(String),
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
    #[error("the token's claims are not those that the API needs: {0}")]
    #[cfg_attr(
        not(feature = "axum"),
        expect(dead_code, reason = "nothing else answers for it")
    )]
    Claims(String),
    #[error("{0}")]
    #[cfg_attr(
        not(feature = "jwks"),
        expect(dead_code, reason = "keys at hand are available")
    )]
    KeysUnavailable(String),
}

/// What every challenge of a resource server says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) realm: String,
    pub(crate) metadata_url: Option<String>,
}

impl Rejection {
    pub(crate) fn binding(caller: &Caller, reason: BindingError) -> Self {
        Self::Binding {
            client_id: caller.client_id.clone(),
            jti: caller.jti.clone(),
            reason,
        }
    }

    /// The stable word for logs and alarms, the gateway's own for the same fault.
    fn reason(&self) -> &'static str {
        match self {
            Self::Bearer(BearerError::Missing) => "token_missing",
            Self::Bearer(_) => "token_malformed",
            Self::TokenInQuery => "token_in_query",
            Self::MalformedClientCert => "client_cert_malformed",
            Self::PeerCertificateExpired => "certificate_expired",
            Self::PeerCertificateUntrusted(_) => "certificate_untrusted",
            Self::Token(VerificationError::Expired | VerificationError::NotYetValid) => "token_expired",
            Self::Token(VerificationError::OtherAudience) => "audience_mismatch",
            Self::Token(_) => "token_invalid",
            Self::Binding { reason, .. } => match reason {
                BindingError::NotBound => "token_not_bound",
                BindingError::CertificateMissing => "certificate_missing",
                _ => "certificate_mismatch",
            },
            Self::Claims(_) => "claims_unreadable",
            Self::InsufficientScope(_) => "scope_insufficient",
            Self::KeysUnavailable(_) => "keys_unavailable",
        }
    }

    /// RFC 6750 §3.1; the challenge to a request without any token tells of no error.
    fn status_and_error(&self) -> (StatusCode, Option<OAuthError>) {
        match self {
            Self::Bearer(BearerError::Missing) => (StatusCode::UNAUTHORIZED, None),
            Self::Bearer(_) | Self::TokenInQuery => (StatusCode::BAD_REQUEST, Some(INVALID_REQUEST)),
            Self::MalformedClientCert => (StatusCode::BAD_REQUEST, Some(MALFORMED_CLIENT_CERT)),
            Self::PeerCertificateExpired
            | Self::PeerCertificateUntrusted(_)
            | Self::Token(_)
            | Self::Claims(_)
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
        resource: &Resource,
    ) -> Response<B> {
        let (status, error) = self.status_and_error();
        let reason = self.reason();
        let code = status.as_u16();
        let request_id = request_id(request);
        tracing::info!(
            reason,
            http.status = code,
            request.id = request_id,
            "request refused with {code} ({reason}): {self}"
        );

        let body = Body {
            error: error.map_or(UNAUTHORIZED, |error| error.code.as_str()),
            error_description: error.map_or(SEND_A_TOKEN, |error| error.description),
            request_id: &request_id,
        };
        let mut answer = Response::new(B::from(serde_json::to_string(&body).unwrap_or_default()));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(request_id) = HeaderValue::try_from(request_id) {
            headers.insert(X_REQUEST_ID, request_id);
        }
        if matches!(self, Self::KeysUnavailable(_)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        } else if let Ok(challenge) = HeaderValue::try_from(challenge(error, required, resource)) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

#[cfg(feature = "jwks")]
impl From<JwksVerificationError> for Rejection {
    fn from(error: JwksVerificationError) -> Self {
        match error {
            JwksVerificationError::Verification(reason) => Self::Token(reason),
            unavailable => Self::KeysUnavailable(unavailable.to_string()),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'static str,
    error_description: &'static str,
    request_id: &'a str,
}

fn challenge(error: Option<OAuthError>, required: &Scope, resource: &Resource) -> String {
    let mut challenge = Challenge::new(&resource.realm);
    if let Some(url) = &resource.metadata_url {
        challenge = challenge.with_resource_metadata(url);
    }
    match error {
        None => challenge.to_string(),
        Some(error) if error.code == ErrorCode::InsufficientScope => {
            challenge.with_error(error).with_scope(required).to_string()
        }
        Some(error) => challenge.with_error(error).to_string(),
    }
}

/// The id the request brought if that is fit for a log, else a new one.
fn request_id(request: &HeaderMap) -> String {
    brought_id(request).map_or_else(|| Uuid::now_v7().to_string(), ToOwned::to_owned)
}

fn brought_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (!id.is_empty() && id.len() <= LONGEST_REQUEST_ID && id.bytes().all(is_fit)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(reason: BindingError) -> Rejection {
        Rejection::Binding {
            client_id: "partner-client".into(),
            jti: "a-token".into(),
            reason,
        }
    }

    /// Whoever reads the logs of gateway and API meets one word for one fault.
    #[test]
    fn calls_a_fault_as_the_gateway_does() {
        for (rejection, reason) in [
            (Rejection::Bearer(BearerError::Missing), "token_missing"),
            (Rejection::Bearer(BearerError::Malformed), "token_malformed"),
            (Rejection::TokenInQuery, "token_in_query"),
            (Rejection::PeerCertificateExpired, "certificate_expired"),
            (Rejection::Token(VerificationError::Expired), "token_expired"),
            (Rejection::Token(VerificationError::NotYetValid), "token_expired"),
            (
                Rejection::Token(VerificationError::OtherAudience),
                "audience_mismatch",
            ),
            (bound(BindingError::NotBound), "token_not_bound"),
            (bound(BindingError::CertificateMissing), "certificate_missing"),
            (bound(BindingError::OtherCertificate), "certificate_mismatch"),
        ] {
            assert_eq!(rejection.reason(), reason, "{rejection}");
        }
    }

    #[test]
    fn has_words_of_its_own_for_its_own_faults() {
        for (rejection, reason) in [
            (Rejection::MalformedClientCert, "client_cert_malformed"),
            (Rejection::Token(VerificationError::Signature), "token_invalid"),
            (Rejection::Token(VerificationError::OtherIssuer), "token_invalid"),
        ] {
            assert_eq!(rejection.reason(), reason, "{rejection}");
        }
    }
}
