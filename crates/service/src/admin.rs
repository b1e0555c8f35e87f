//! The admin listener: plain HTTP on loopback for those who operate the service.
//!
//! `/livez` says that the process answers, `/readyz` that it can work, `/metrics` what it did, for Prometheus.

use std::net::{SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;

use crate::readiness::{Failing, Readiness};

/// From a cached answer in the gateway to a request that runs into its timeout.
const DURATION_BUCKETS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Histograms hold every observation in memory until the next upkeep.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Serves `router` on `listener`; does not end by itself.
pub(crate) async fn serve(listener: TcpListener, router: Router) -> anyhow::Result<()> {
    listener
        .set_nonblocking(true)
        .context("the admin listener cannot be used")?;
    let listener =
        tokio::net::TcpListener::from_std(listener).context("the admin listener cannot be used")?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        ended = axum::serve(listener, service).into_future() => ended.context("the admin listener failed"),
        () = keep_metrics_up() => Ok(()),
    }
}

/// Makes the process record its metrics; handles made before are deaf. Calling it again changes nothing.
pub fn install_metrics() {
    if recorder().is_none() {
        tracing::warn!("another metrics recorder is installed: /metrics stays empty");
    }
}

/// The admin endpoints.
pub(crate) fn router(readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(readiness)
}

#[derive(Serialize)]
struct ReadinessAnswer {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<Failing>,
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    match readiness.verify() {
        Ok(()) => Json(ReadinessAnswer {
            ready: true,
            failing: None,
        })
        .into_response(),
        Err(failing) => {
            let answer = ReadinessAnswer {
                ready: false,
                failing: Some(failing),
            };
            (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response()
        }
    }
}

async fn metrics() -> Response {
    const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], rendered()).into_response()
}

pub(crate) fn rendered() -> String {
    recorder().map(PrometheusHandle::render).unwrap_or_default()
}

fn recorder() -> Option<&'static PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    RECORDER.get_or_init(|| install().ok()).as_ref()
}

fn install() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".into()), DURATION_BUCKETS)?
        .install_recorder()
}

async fn keep_metrics_up() {
    let Some(recorder) = recorder() else {
        return std::future::pending().await;
    };
    loop {
        recorder.run_upkeep();
        tokio::time::sleep(UPKEEP_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::shutdown::Shutdown;

    async fn ask(readiness: &Readiness, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(readiness.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn answers_200_when_ready() {
        let readiness = Readiness::new(Shutdown::new());
        readiness.add("store", || Ok(()));
        assert_eq!(
            ask(&readiness, "/readyz").await,
            (StatusCode::OK, r#"{"ready":true}"#.into())
        );
    }

    #[tokio::test]
    async fn answers_503_and_names_the_failing_check_when_not_ready() {
        let readiness = Readiness::new(Shutdown::new());
        readiness.add("store", || Err("cannot be written".into()));
        let (status, body) = ask(&readiness, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body, r#"{"ready":false,"failing":{"store":"cannot be written"}}"#);
    }

    #[tokio::test]
    async fn stays_alive_while_draining_and_is_not_ready() {
        let shutdown = Shutdown::new();
        let readiness = Readiness::new(shutdown.clone());
        shutdown.trigger();
        assert_eq!(ask(&readiness, "/livez").await.0, StatusCode::OK);
        assert_eq!(
            ask(&readiness, "/readyz").await.0,
            StatusCode::SERVICE_UNAVAILABLE
        );
    }

    #[tokio::test]
    async fn renders_durations_as_histograms() {
        install_metrics();
        metrics::histogram!("token_duration_seconds").record(0.003);
        let (status, body) = ask(&Readiness::new(Shutdown::new()), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            body.contains(r#"token_duration_seconds_bucket{le="0.005"} 1"#),
            "{body}"
        );
        assert!(
            body.contains(r#"token_duration_seconds_bucket{le="0.0025"} 0"#),
            "{body}"
        );
    }
}
