//! Every reason for which a request is not forwarded, and the one function that turns each into an answer.
//!
//! The answer tells the caller what to do: unknown, expired, revoked and foreign tokens look alike. The reason code
//! goes to the log (field `reason`, found by `request.id`) and to the metric `certbound_gateway_rejections_total`
//! alone. Reason codes are stable:
//!
//! | reason | status | meaning |
//! |---|---|---|
//! | `host_malformed` | 400 | no `Host`, more than one, or one that is no host |
//! | `framing_ambiguous` | 400 | more than one way to find the end of the body |
//! | `request_body_incomplete` | 400 | the caller broke its body off, or sent what is none |
//! | `path_ambiguous` | 400 | the path could be read in more than one way, or be taken for another route's |
//! | `token_in_query` | 400 | `access_token` in the query |
//! | `token_malformed` | 400 | two `Authorization` fields, or a token that breaks the grammar |
//! | `client_cert_header_malformed` | 400 | the load balancer's header holds no certificate in the encoding that is configured, or stands there twice; `reason.detail` says which |
//! | `token_missing` | 401 | no bearer token |
//! | `certificate_missing` | 401 | the token must be bound, and neither the connection nor a load balancer's header has a client certificate |
//! | `certificate_expired` | 401 | the client's or the load balancer's certificate is no longer valid, or not yet |
//! | `certificate_untrusted` | 401 | the client's or the load balancer's certificate was revoked, or lost its authority, since the handshake; or one in a header never had any |
//! | `token_kind_refused` | 401 | the route takes opaque tokens alone, or JWTs alone, and the token is of the other kind |
//! | `token_too_long` | 401 | the token is longer than any is, and is not looked up |
//! | `token_inactive` | 401 | the authorization server does not know the token, or no longer |
//! | `token_expired` | 401 | the token's time is over |
//! | `token_not_yet_valid` | 401 | the token's time has not come |
//! | `jwt_malformed` | 401 | the JWT cannot be read, or is not signed |
//! | `jwt_issuer_unknown` | 401 | its `iss` is none of `[[issuers]]` |
//! | `jwt_type_refused` | 401 | its `typ` is not that of an access token |
//! | `jwt_header_critical` | 401 | it has a critical header parameter |
//! | `jwt_algorithm_refused` | 401 | its algorithm is not accepted, or not for that key |
//! | `jwt_key_unknown` | 401 | it names no key, or one that its issuer does not publish |
//! | `jwt_signature_wrong` | 401 | its signature is not that key's |
//! | `jwt_claims_malformed` | 401 | a claim is missing or malformed, or `cnf` is of another kind |
//! | `token_bound_otherwise` | 401 | the token is bound to something else than a certificate |
//! | `token_not_bound` | 401 | the route demands a bound token, and this one is not |
//! | `certificate_mismatch` | 401 | the token is bound to another certificate |
//! | `thumbprint_in_hex` | 401 | the token names its certificate in hexadecimal digits, and `accept_hex_thumbprint` does not allow that |
//! | `issuer_mismatch` | 401 | the route takes tokens of other issuers alone |
//! | `audience_mismatch` | 401 | the token is for another API |
//! | `scope_insufficient` | 403 | the token lacks scope |
//! | `route_unknown` | 404 | no route has this path |
//! | `method_refused` | 405 | the route does not let this method through, or a resource's metadata is not to be read |
//! | `request_body_timeout` | 408 | the caller stopped sending its body |
//! | `host_mismatch` | 421 | another host than the one in the handshake |
//! | `introspection_failed` | 502 | the authorization server's answer cannot be used |
//! | `upstream_failed` | 502 | the API broke off before it answered |
//! | `introspection_busy` | 503 | as many tokens are being looked up as `introspection.concurrency` allows |
//! | `introspection_unavailable` | 503 | the authorization server cannot be reached |
//! | `jwt_verification_busy` | 503 | as many JWTs are being verified as may be at once |
//! | `keys_unavailable` | 503 | the issuer's keys cannot be fetched |
//! | `upstream_busy` | 503 | every server of the API that can be reached has as many requests in hand as it may |
//! | `upstream_unreachable` | 503 | no server of the API can be reached |
//! | `introspection_timeout` | 504 | the authorization server is too slow |
//! | `upstream_timeout` | 504 | the API is too slow |

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use oauth_core::bearer::{Challenge, INSUFFICIENT_SCOPE, INVALID_REQUEST, INVALID_TOKEN};
use oauth_core::error::OAuthError;
use oauth_core::jwt::VerificationError;
use serde::Serialize;
use service::request_id::RequestId;

use crate::certificate_header::CertificateHeaderFault;
use crate::host::HostName;
use crate::route::Route;

/// Seconds after which a caller may try again what failed for want of another server.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// Why a request is not forwarded; the module's table says what each means.
#[derive(Clone, Debug)]
pub(crate) enum Rejection {
    HostMalformed,
    FramingAmbiguous,
    RequestBodyIncomplete,
    PathAmbiguous,
    TokenInQuery,
    TokenMalformed,
    CertificateHeaderMalformed(CertificateHeaderFault),
    TokenMissing,
    CertificateMissing,
    CertificateExpired,
    CertificateUntrusted,
    TokenKindRefused,
    TokenTooLong,
    TokenInactive,
    /// For what it says itself.
    TokenRefused(VerificationError),
    TokenBoundOtherwise,
    TokenNotBound,
    CertificateMismatch,
    ThumbprintInHex,
    IssuerMismatch,
    ScopeInsufficient(Arc<Route>),
    RouteUnknown,
    MethodNotAllowed(Arc<Route>),
    MetadataNotRead,
    RequestBodyTimeout,
    HostMismatch,
    IntrospectionFailed,
    UpstreamFailed,
    IntrospectionBusy,
    IntrospectionUnavailable,
    JwtVerificationBusy,
    KeysUnavailable,
    UpstreamBusy,
    UpstreamUnreachable,
    IntrospectionTimeout,
    UpstreamTimeout,
}

impl Rejection {
    /// The stable code, for log and metric.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::HostMalformed => "host_malformed",
            Self::FramingAmbiguous => "framing_ambiguous",
            Self::RequestBodyIncomplete => "request_body_incomplete",
            Self::PathAmbiguous => "path_ambiguous",
            Self::TokenInQuery => "token_in_query",
            Self::TokenMalformed => "token_malformed",
            Self::CertificateHeaderMalformed(_) => "client_cert_header_malformed",
            Self::TokenMissing => "token_missing",
            Self::CertificateMissing => "certificate_missing",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateUntrusted => "certificate_untrusted",
            Self::TokenKindRefused => "token_kind_refused",
            Self::TokenTooLong => "token_too_long",
            Self::TokenInactive => "token_inactive",
            Self::TokenRefused(error) => reason_of(*error),
            Self::TokenBoundOtherwise => "token_bound_otherwise",
            Self::TokenNotBound => "token_not_bound",
            Self::CertificateMismatch => "certificate_mismatch",
            Self::ThumbprintInHex => "thumbprint_in_hex",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::ScopeInsufficient(_) => "scope_insufficient",
            Self::RouteUnknown => "route_unknown",
            Self::MethodNotAllowed(_) | Self::MetadataNotRead => "method_refused",
            Self::RequestBodyTimeout => "request_body_timeout",
            Self::HostMismatch => "host_mismatch",
            Self::IntrospectionFailed => "introspection_failed",
            Self::UpstreamFailed => "upstream_failed",
            Self::IntrospectionBusy => "introspection_busy",
            Self::IntrospectionUnavailable => "introspection_unavailable",
            Self::JwtVerificationBusy => "jwt_verification_busy",
            Self::KeysUnavailable => "keys_unavailable",
            Self::UpstreamBusy => "upstream_busy",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::IntrospectionTimeout => "introspection_timeout",
            Self::UpstreamTimeout => "upstream_timeout",
        }
    }

    /// What more the log is told, where the code leaves open what to mend.
    pub(crate) fn detail(&self) -> Option<String> {
        match self {
            Self::CertificateHeaderMalformed(fault) => Some(fault.to_string()),
            _ => None,
        }
    }

    /// The answer. `realm` is the host that was asked, `metadata_url` where the resource is described that was asked
    /// for. RFC 9728 §5.1
    pub(crate) fn respond(
        &self,
        realm: &HostName,
        metadata_url: Option<&str>,
        request_id: &RequestId,
    ) -> Response<Bytes> {
        let asked = Challenge::new(realm.as_str());
        let asked = metadata_url.map_or(asked.clone(), |url| asked.with_resource_metadata(url));
        match self {
            Self::TokenMissing => unauthorized_without_token(&asked),
            Self::TokenMalformed | Self::TokenInQuery => {
                challenge(StatusCode::BAD_REQUEST, INVALID_REQUEST, asked)
            }
            Self::CertificateMissing
            | Self::CertificateExpired
            | Self::CertificateUntrusted
            | Self::TokenKindRefused
            | Self::TokenTooLong
            | Self::TokenInactive
            | Self::TokenRefused(_)
            | Self::TokenBoundOtherwise
            | Self::TokenNotBound
            | Self::CertificateMismatch
            | Self::ThumbprintInHex
            | Self::IssuerMismatch => {
                challenge(StatusCode::UNAUTHORIZED, INVALID_TOKEN, asked)
            }
            Self::ScopeInsufficient(route) => {
                challenge(StatusCode::FORBIDDEN, INSUFFICIENT_SCOPE, asked.with_scope(&route.scope))
            }
            Self::HostMalformed => bad_request("send one Host"),
            Self::FramingAmbiguous => bad_request("send a body of one length, or in chunks"),
            Self::RequestBodyIncomplete => bad_request("send the whole body"),
            Self::PathAmbiguous => bad_request(
                "write the path in its plain form: without dot segments, empty segments, needless percent-encoding, \
                 parameters or other letter case",
            ),
            Self::CertificateHeaderMalformed(_) => bad_request("the client certificate cannot be read"),
            Self::RouteUnknown => {
                Answer::new(StatusCode::NOT_FOUND, "not_found", "there is no such path here")
            }
            Self::MethodNotAllowed(route) => {
                let description = "the method is not allowed for this path; see Allow";
                Answer::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", description)
                    .with_text(ALLOW, &route.methods.list())
            }
            Self::MetadataNotRead => {
                let description = "the metadata of a resource is to be read and nothing else";
                Answer::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", description)
                    .with(ALLOW, HeaderValue::from_static("GET, HEAD"))
            }
            Self::RequestBodyTimeout => Answer::new(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "the request's body did not come in time",
            ),
            Self::HostMismatch => {
                let description = "this connection was opened for another host";
                Answer::new(
                    StatusCode::MISDIRECTED_REQUEST,
                    "misdirected_request",
                    description,
                )
            }
            Self::IntrospectionFailed => bad_gateway("the access token could not be looked up"),
            Self::UpstreamFailed => bad_gateway("the API broke off before it answered"),
            Self::IntrospectionBusy
            | Self::IntrospectionUnavailable
            | Self::JwtVerificationBusy
            | Self::KeysUnavailable => {
                unavailable("the access token cannot be looked up at the moment")
            }
            Self::UpstreamBusy => unavailable("the API has its hands full at the moment"),
            Self::UpstreamUnreachable => unavailable("the API cannot be reached at the moment"),
            Self::IntrospectionTimeout => gateway_timeout("the access token could not be looked up in time"),
            Self::UpstreamTimeout => gateway_timeout("the API did not answer in time"),
        }
        .into_response(request_id)
    }
}

const fn reason_of(error: VerificationError) -> &'static str {
    match error {
        VerificationError::Expired => "token_expired",
        VerificationError::NotYetValid => "token_not_yet_valid",
        VerificationError::OtherAudience => "audience_mismatch",
        VerificationError::OtherIssuer => "jwt_issuer_unknown",
        VerificationError::OtherType => "jwt_type_refused",
        VerificationError::CriticalHeader => "jwt_header_critical",
        VerificationError::AlgorithmNotAccepted => "jwt_algorithm_refused",
        VerificationError::NoKeyId | VerificationError::UnknownKey => "jwt_key_unknown",
        VerificationError::Signature => "jwt_signature_wrong",
        VerificationError::Claims => "jwt_claims_malformed",
        _ => "jwt_malformed",
    }
}

fn unauthorized_without_token(asked: &Challenge<'_>) -> Answer {
    let description = "send an access token in an Authorization header of scheme Bearer";
    Answer::new(StatusCode::UNAUTHORIZED, "unauthorized", description)
        .with_text(WWW_AUTHENTICATE, &asked.to_string())
}

fn challenge(status: StatusCode, error: OAuthError, challenge: Challenge<'_>) -> Answer {
    Answer::new(status, error.code.as_str(), error.description)
        .with_text(WWW_AUTHENTICATE, &challenge.with_error(error).to_string())
}

fn bad_request(description: &'static str) -> Answer {
    Answer::new(StatusCode::BAD_REQUEST, "invalid_request", description)
}

fn bad_gateway(description: &'static str) -> Answer {
    Answer::new(StatusCode::BAD_GATEWAY, "bad_gateway", description)
}

fn unavailable(description: &'static str) -> Answer {
    Answer::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        description,
    )
    .with(RETRY_AFTER, RETRY_AFTER_SECONDS)
}

fn gateway_timeout(description: &'static str) -> Answer {
    Answer::new(StatusCode::GATEWAY_TIMEOUT, "gateway_timeout", description)
}

/// What goes over the wire: fixed text, nothing of the request.
struct Answer {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
    headers: HeaderMap,
}

impl Answer {
    fn new(status: StatusCode, error: &'static str, description: &'static str) -> Self {
        Self {
            status,
            error,
            description,
            headers: HeaderMap::new(),
        }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn with_text(self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value)
            .expect("challenges and method lists are visible ASCII, checked where they come from");
        self.with(name, value)
    }

    fn into_response(self, request_id: &RequestId) -> Response<Bytes> {
        let body = Body {
            error: self.error,
            error_description: self.description,
            request_id: request_id.as_str(),
        };
        let json = serde_json::to_vec(&body).expect("three strings can be written as JSON");
        let mut response = Response::new(Bytes::from(json));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'static str,
    error_description: &'static str,
    request_id: &'a str,
}

#[cfg(test)]
mod tests;
