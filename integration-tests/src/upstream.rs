//! An API behind the gateway that does nothing but remember what it was asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::Request};
use http_body_util::BodyExt as _;
use mtls::{Alpn, ClientCertificates, server_config};
use pki::Member;

use crate::Ground;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Path and query.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What followed the body.
    pub trailers: HeaderMap,
}

impl Recorded {
    /// The values of a header.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    }
}

/// An upstream that answers 200 to everything, with headers of its own.
#[derive(Clone, Debug)]
pub struct RecordingUpstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Recorded>>>,
}

impl RecordingUpstream {
    /// Starts it with the internal API's certificate; its answers carry `headers`.
    pub fn start(ground: &Ground, headers: HeaderMap) -> Self {
        mtls::install_crypto_provider();
        let tls = server_config(
            &ground.credentials(Member::ApiInternal),
            &ClientCertificates::NotRequested,
            Alpn::Http2OrHttp1,
        )
        .unwrap();
        let listener = mtls::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "upstream").unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
        };
        let router = Router::new()
            .fallback(record)
            .with_state((upstream.clone(), headers));
        tokio::spawn(mtls::serve_tls(listener, tls, router, std::future::pending()));
        upstream
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap().clone()
    }
}

async fn record(
    State((upstream, headers)): State<(RecordingUpstream, HeaderMap)>,
    request: Request<axum::body::Body>,
) -> (HeaderMap, &'static str) {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let recorded = Recorded {
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: body.to_bytes(),
        trailers,
    };
    upstream.requests.lock().unwrap().push(recorded);
    (headers, "recorded")
}
