//! The optional body of a transaction: nothing, or one JSON object within bounds.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, RequestExt};
use serde_json::{Map, Value};
use service::RequestId;
use tokio::time::timeout;

use crate::problem::Problem;

/// Bounds the memory one request can take.
pub(crate) const LARGEST_BODY: usize = 64 * 1024;

/// Bounds for how long a sender can hold a request open.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A request whose body is empty or a JSON object; what it says is of no concern to a sample.
#[derive(Debug)]
pub(crate) struct OptionalJsonObject;

impl<S: Send + Sync> FromRequest<S> for OptionalJsonObject {
    type Rejection = Response;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Response> {
        let Extension(request_id) = request
            .extract_parts::<Extension<RequestId>>()
            .await
            .map_err(IntoResponse::into_response)?;
        let verified = verify(request, state).await;
        verified.map_err(|problem| problem.of(request_id).into_response())
    }
}

async fn verify<S: Send + Sync>(request: Request, state: &S) -> Result<OptionalJsonObject, Problem> {
    let is_json = is_json(request.headers());
    let body = read(request, state, BODY_TIMEOUT).await?;
    if body.is_empty() {
        return Ok(OptionalJsonObject);
    }
    if !is_json {
        return Err(Problem::OtherContentType);
    }
    serde_json::from_slice::<Map<String, Value>>(&body).map_err(|_| Problem::NotAJsonObject)?;
    Ok(OptionalJsonObject)
}

async fn read<S: Send + Sync>(request: Request, state: &S, limit: Duration) -> Result<Bytes, Problem> {
    let body = timeout(limit, Bytes::from_request(request, state)).await;
    body.map_err(|_| Problem::BodyTooSlow)?
        .map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::BodyTooLarge,
            _ => Problem::NotAJsonObject,
        })
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = content_type
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[tokio::test]
    async fn reads_a_body_that_arrives_and_waits_no_longer_than_the_limit_for_one_that_does_not() {
        let arrived = read(Request::new(Body::from("{}")), &(), BODY_TIMEOUT).await;
        assert_eq!(arrived.unwrap(), "{}");

        let never = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let refused = read(Request::new(never), &(), Duration::from_millis(1)).await;
        assert_eq!(refused.unwrap_err(), Problem::BodyTooSlow);
    }
}
