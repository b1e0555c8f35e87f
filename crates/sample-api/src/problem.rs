//! Why a request with a good token is still no good, and the one function that makes the answer of it.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

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

#[derive(Serialize)]
struct Body {
    error: &'static str,
    error_description: &'static str,
}

impl Problem {
    fn answer(self) -> (StatusCode, Body) {
        let (status, error, error_description) = match self {
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
        };
        (
            status,
            Body {
                error,
                error_description,
            },
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, body) = self.answer();
        let (reason, code) = (body.error, status.as_u16());
        tracing::info!(
            reason,
            http.status = code,
            "request refused with {code}: {reason}"
        );
        (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
    }
}
