//! A name for every request, in the log and in the answer's `x-request-id`.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use uuid::Uuid;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bounds what a stranger can write into the log with every line.
const LONGEST_ID: usize = 64;

/// The name of a request; handlers take `Extension<RequestId>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Names a request: by the name it brought if that is fit for a log, else by a new UUID (version 7).
///
/// A layer: `router.layer(axum::middleware::from_fn(service::request_id::name_request))`.
pub async fn name_request(request: Request, next: Next) -> Response {
    named(request, |request| next.run(request)).await
}

/// The same without a layer of its own: `answer` gets the request with its name, and every line that it logs has it.
pub async fn named<A: Future<Output = Response>>(
    mut request: Request,
    answer: impl FnOnce(Request) -> A,
) -> Response {
    let id = brought(request.headers()).unwrap_or_else(|| Uuid::now_v7().to_string());
    let span = tracing::info_span!("request", request.id = %id);
    let header = HeaderValue::from_str(&id);
    request.extensions_mut().insert(RequestId(id));
    let mut response = answer(request).instrument(span).await;
    if let Ok(header) = header {
        response.headers_mut().insert(X_REQUEST_ID, header);
    }
    response
}

fn brought(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(is_fit)).then(|| id.to_owned())
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
                get(|Extension(RequestId(id)): Extension<RequestId>| async { id }),
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
