//! Why a request is no good for another reason than its token, and the one function that makes the answer of it.
//!
//! The reason in the log is the gateway's word where the gateway knows the same fault:
//!
//! | reason | status | meaning |
//! |---|---|---|
//! | `body_malformed` | 400 | the body is no JSON object, or broke off |
//! | `route_unknown` | 404 | there is no such path |
//! | `method_refused` | 405 | the path knows no such method |
//! | `request_body_timeout` | 408 | the caller stopped sending its body |
//! | `body_too_large` | 413 | the body is larger than 64 KiB |
//! | `content_type_refused` | 415 | the body calls itself something else than JSON |

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use service::RequestId;

/// What is wrong with a request, apart from its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    NotFound,
    MethodNotAllowed,
    OtherContentType,
    NotAJsonObject,
    BodyTooLarge,
    BodyTooSlow,
}

/// A refused request, as it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    problem: Problem,
    request_id: RequestId,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'static str,
    error_description: &'static str,
    request_id: &'a str,
}

impl Problem {
    /// The refusal of the request with that name.
    pub(crate) const fn of(self, request_id: RequestId) -> Refusal {
        Refusal {
            problem: self,
            request_id,
        }
    }

    /// The stable word for logs and alarms.
    const fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "route_unknown",
            Self::MethodNotAllowed => "method_refused",
            Self::OtherContentType => "content_type_refused",
            Self::NotAJsonObject => "body_malformed",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "request_body_timeout",
        }
    }

    const fn answer(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not_found",
                "there is nothing at this path",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "the header Allow lists what can be done here",
            ),
            Self::OtherContentType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "send the body as application/json, or none",
            ),
            Self::NotAJsonObject => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "the body is not a JSON object",
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "the body is larger than 64 KiB",
            ),
            Self::BodyTooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "the body did not arrive in time",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error, error_description) = self.problem.answer();
        let (reason, code) = (self.problem.reason(), status.as_u16());
        let request_id = self.request_id.as_str();
        tracing::info!(
            reason,
            http.status = code,
            request.id = request_id,
            "request refused with {code} ({reason}): {error_description}"
        );
        let body = Body {
            error,
            error_description,
            request_id,
        };
        (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
    }
}
