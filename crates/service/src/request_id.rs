//! A name for every request, in the log and in the answer's `x-request-id`.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use uuid::fmt::Hyphenated;
use uuid::{NoContext, Timestamp, Uuid};

/// The field that carries the name.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bounds what a stranger can write into the log with every line.
const LONGEST_ID: usize = 64;

/// The name of a request: printable, and fit for a log. Behind [`name_request`], handlers take `Extension<RequestId>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The name that a request with these fields brought, if that is fit for a log; else a new UUID (version 7).
    pub fn of(fields: &HeaderMap) -> Self {
        let brought = fields.get(X_REQUEST_ID).filter(|id| is_fit(id.as_bytes()));
        brought.map_or_else(|| Self::new(SystemTime::now()), |id| Self(id.clone()))
    }

    /// A new UUID (version 7) for a request that came at `time`, whatever it brought.
    pub fn new(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = Timestamp::from_unix(NoContext, since.as_secs(), since.subsec_nanos());
        Self::from(Uuid::new_v7(timestamp))
    }

    /// Writes the name into every line that `answer` logs on its way, and into the answer.
    pub async fn name(self, answer: impl Future<Output = Response>) -> Response {
        let span = tracing::info_span!("request", request.id = %self);
        let mut response = answer.instrument(span).await;
        response.headers_mut().insert(X_REQUEST_ID, self.0);
        response
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The name as the value of a field.
    pub fn into_header(self) -> HeaderValue {
        self.0
    }
}

/// Names a request, in its extensions too.
///
/// A layer: `router.layer(axum::middleware::from_fn(service::request_id::name_request))`.
pub async fn name_request(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    id.name(next.run(request)).await
}

impl From<Uuid> for RequestId {
    fn from(id: Uuid) -> Self {
        let mut text = [0; Hyphenated::LENGTH];
        let text = id.hyphenated().encode_lower(&mut text);
        Self(HeaderValue::from_str(text).expect("a UUID is of digits, letters and hyphens"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

fn is_fit(id: &[u8]) -> bool {
    let is_fit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= LONGEST_ID && id.iter().all(is_fit)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use axum::{Extension, Router, middleware};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn named(brought: Option<&str>) -> (String, String) {
        let router = Router::new()
            .route(
                "/",
                get(|Extension(id): Extension<RequestId>| async move { id.as_str().to_owned() }),
            )
            .layer(middleware::from_fn(name_request));
        let mut request = Request::get("/");
        if let Some(id) = brought {
            request = request.header(X_REQUEST_ID, id);
        }
        let response = router
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let answered = response.headers()[X_REQUEST_ID].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (answered, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn names_a_request_that_brings_no_name() {
        let (answered, seen) = named(None).await;
        assert_eq!(answered, seen);
        assert_eq!(Uuid::parse_str(&seen).unwrap().get_version_num(), 7);
        assert_ne!(named(None).await.0, answered);
    }

    #[tokio::test]
    async fn keeps_a_name_that_is_fit_for_a_log() {
        assert_eq!(named(Some("call-17")).await.0, "call-17");
    }

    #[tokio::test]
    async fn replaces_a_name_that_is_not() {
        for unfit in ["", "a b", "a\tb", &"a".repeat(LONGEST_ID + 1)] {
            assert_ne!(named(Some(unfit)).await.0, unfit);
        }
    }
}
