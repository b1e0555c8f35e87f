//! The forms of HTTP that cross the gateway: trailers, expectations, long fields, chains and traces, in both versions.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use mtls::{Alpn, ClientTls, Credentials};
use oauth_core::client_cert_header;
use pki::Member;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use crate::support::{
    API, Api, DEADLINE, Harness, PKI, Variation, connect_http2, harness, read_request, send, serve, trust,
    with_token,
};

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

fn post() -> http::request::Builder {
    Request::post(format!("https://{API}/api/transactions")).header("authorization", "Bearer opaque")
}

fn empty() -> Body {
    Full::new(Bytes::new()).boxed()
}

fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let fields = fields
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    fields.collect()
}

fn with_trailers(trailers: &[(&'static str, &'static str)]) -> Body {
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"body"))),
        Ok(Frame::trailers(fields(trailers))),
    ];
    StreamBody::new(stream::iter(frames)).boxed()
}

const ROUTES: [&str; 2] = ["", "upstream_http2 = false"];

/// H3, H4.
#[tokio::test]
async fn carries_trailers_both_ways_and_none_that_only_the_gateway_may_write() {
    for route in ROUTES {
        let harness = harness(Api::Up, route).await;
        let trailers = [("checksum", "1"), ("client-cert", ":Zm9yZ2Vk:")];
        *harness.stubs.api_trailers.lock().unwrap() = fields(&trailers);
        let request = post()
            .header("te", "trailers")
            .header("trailer", "checksum, client-cert")
            .body(with_trailers(&trailers));
        let response = connect_http2(harness.public)
            .await
            .send_request(request.unwrap())
            .await
            .unwrap();
        let collected = response.into_body().collect().await.unwrap();
        let sent_back = collected.trailers().unwrap();
        assert_eq!(sent_back.keys().collect::<Vec<_>>(), ["checksum"], "{route}");
        let asked: serde_json::Value = serde_json::from_slice(&collected.to_bytes()).unwrap();
        assert_eq!(asked["trailers"], serde_json::json!(["checksum"]), "{route}");
        assert_eq!(asked["body"], "body");
    }
}

/// H3, W5: whatever the operator calls the balancers' header, and whoever writes it behind a body.
#[tokio::test]
async fn the_balancers_header_is_none_in_a_trailer() {
    let variation = Variation {
        cache: "[client_certificates.header]\nname = \"Balancer-Says\"\nencoding = \"rfc9440\"\n\
                trusted_peers = [\"10.0.0.0/8\"]\nforward = true",
        ..Variation::default()
    };
    let harness = Harness::start_with(variation).await;
    harness.stubs.issue("opaque", Member::Example);
    let request = post()
        .header("trailer", "checksum, balancer-says")
        .body(with_trailers(&[
            ("checksum", "1"),
            ("balancer-says", ":Zm9yZ2Vk:"),
            ("balancer_says", ":Zm9yZ2Vk:"),
        ]));
    let response = connect_http2(harness.public)
        .await
        .send_request(request.unwrap())
        .await
        .unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(asked["trailers"], serde_json::json!(["checksum"]));
}

#[tokio::test]
async fn carries_trailers_over_http_1_1_as_over_http_2() {
    let harness = harness(Api::Up, "").await;
    *harness.stubs.api_trailers.lock().unwrap() = fields(&[("checksum", "1")]);
    let fields = "TE: trailers\nTrailer: checksum\nTransfer-Encoding: chunked\n";
    let request =
        with_token("POST /api/transactions", "opaque", fields) + "4\nbody\n0\nchecksum: 1\nx-ssl-cert: 1\n\n";
    let answered = harness.exchange(Member::Example, &request).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert!(
        answered.body.contains(r#""trailers":["checksum"]"#),
        "{answered:?}"
    );
    assert!(
        answered.body.ends_with("0\r\nchecksum: 1\r\n\r\n"),
        "{answered:?}"
    );
}

/// B5: whoever waits for a word before the body gets the last word, and nobody waits for the body.
#[tokio::test]
async fn a_refused_request_is_not_told_to_continue() {
    let harness = harness(Api::Up, "").await;
    let fields = "Content-Length: 1000000\nExpect: 100-continue\n";
    let answered = harness
        .exchange(
            Member::Example,
            &with_token("POST /api/transactions", "unknown", fields),
        )
        .await;
    assert_eq!(answered.status, 401, "{answered:?}");
    assert_eq!(answered.header("connection"), Some("close"));
}

/// H8.
#[tokio::test]
async fn fields_beyond_the_limit_are_a_431_over_both_versions() {
    let harness = harness(Api::Up, "").await;
    for (length, status) in [(16 * 1024, 200), (100 * 1024, 431)] {
        let value = "x".repeat(length);
        let request = with_token("GET /api/transactions", "opaque", &format!("X-Long: {value}\n"));
        let mut stream = harness.connect(Member::Example).await;
        let _closed_early = stream.write_all(request.replace('\n', "\r\n").as_bytes()).await;
        let mut answer = Vec::new();
        let _no_close_notify = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer))
            .await
            .unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{length}: {answer}"
        );

        let request = post().header("x-long", value).body(empty()).unwrap();
        let response = connect_http2(harness.public)
            .await
            .send_request(request)
            .await
            .unwrap();
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn a_trace_is_carried_on_as_it_came() {
    let harness = harness(Api::Up, "").await;
    let (parent, state) = (
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "vendor=a,other=b",
    );
    let fields = format!("traceparent: {parent}\ntracestate: {state}\n");
    let answered = harness
        .exchange(
            Member::Example,
            &with_token("GET /api/transactions", "opaque", &fields),
        )
        .await;
    assert_eq!(answered.forwarded("traceparent"), [parent]);
    assert_eq!(answered.forwarded("tracestate"), [state]);
}

/// H2.
#[tokio::test]
async fn tells_the_chain_above_the_certificate_only_where_the_route_says_so() {
    let root = PKI.root().certificate();
    let identity = PKI.identity(Member::Example);
    let chain = identity.certificate_pem().unwrap() + &root.pem().unwrap();
    let credentials = Credentials::from_pem(chain.as_bytes(), identity.key_pem().as_bytes()).unwrap();
    let tls = ClientTls::new(trust()).with_credentials(credentials);
    for (route, chain) in [
        (
            "client_cert_chain_header = true",
            vec![client_cert_header::encode(root.der())],
        ),
        ("", Vec::new()),
    ] {
        let harness = harness(Api::Up, route).await;
        let connector = TlsConnector::from(Arc::new(tls.rustls_client_config(Alpn::Http1).unwrap()));
        let tcp = TcpStream::connect(harness.public).await.unwrap();
        let mut stream = connector
            .connect(ServerName::try_from(API).unwrap(), tcp)
            .await
            .unwrap();
        let forged = "Client-Cert-Chain: :Zm9yZ2Vk:\n";
        let answered = send(
            &mut stream,
            &with_token("GET /api/transactions", "opaque", forged),
        )
        .await;
        assert_eq!(answered.forwarded("client-cert-chain"), chain);
        assert_eq!(answered.forwarded("client-cert").len(), 1);
    }
}

/// What an API leaves unfinished is seen to be unfinished, and other requests are not touched by it.
#[tokio::test]
async fn an_answer_that_its_api_breaks_off_is_broken_off() {
    let begun = Arc::new(Notify::new());
    let seen = begun.clone();
    let (address, _) = serve(move |mut stream| {
        let seen = seen.clone();
        async move {
            let Some(request) = read_request(&mut stream).await else {
                return;
            };
            if request.contains("/whole ") {
                let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole";
                stream.write_all(whole).await.unwrap();
            } else {
                let part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart";
                stream.write_all(part).await.unwrap();
                // A stream reset before its head was written never tells it.
                seen.notified().await;
            }
        }
    })
    .await;
    let harness = harness(Api::At(address), "").await;
    let mut sender = connect_http2(harness.public).await;
    let ask = |path: &str| {
        let request =
            Request::get(format!("https://{API}/api/{path}")).header("authorization", "Bearer opaque");
        request.body(empty()).unwrap()
    };
    let broken = sender.send_request(ask("broken")).await.unwrap();
    assert_eq!(broken.status(), StatusCode::OK);
    begun.notify_one();
    let collected = tokio::time::timeout(DEADLINE, broken.into_body().collect()).await;
    assert!(collected.unwrap().is_err());
    let whole = sender.send_request(ask("whole")).await.unwrap();
    assert_eq!(text(whole).await, "whole");
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}
