//! What happens to every request: it is named, counted and timed.
//!
//! Metrics: `certbound_sample_api_requests_total` by `method` and `status`, and
//! `certbound_sample_api_request_duration_seconds`.

use std::time::Instant;

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use service::request_id::{RequestId, X_REQUEST_ID};

/// Puts the request's name where the resource-server layer looks for it, also where the request brought none.
pub(crate) async fn pass_on_request_id(mut request: Request) -> Request {
    let named = request.extensions().get().cloned().map(RequestId::into_header);
    if let Some(id) = named {
        request.headers_mut().insert(X_REQUEST_ID, id);
    }
    request
}

/// Counts and times the request.
pub(crate) async fn measure(request: Request, next: Next) -> Response {
    let (started, method) = (Instant::now(), label(request.method()));
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    metrics::counter!("certbound_sample_api_requests_total", "method" => method, "status" => status)
        .increment(1);
    metrics::histogram!("certbound_sample_api_request_duration_seconds").record(started.elapsed());
    response
}

/// Bounds the number of series: a method is whatever the caller writes.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    }
}
