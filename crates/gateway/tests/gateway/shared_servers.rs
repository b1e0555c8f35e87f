//! Servers that several routes name: connected to once for all of them, and for as long as one of them is left.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pki::Member;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use crate::support::{Api, Harness, harness, read_request, serve};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
/// Far below the time after which a connection that nobody uses ends anyway.
const SOON: Duration = Duration::from_secs(10);

/// An API that counts its connections, and those of them that ended.
async fn counting_api() -> (SocketAddr, Arc<AtomicUsize>, Arc<Semaphore>) {
    let ended = Arc::new(Semaphore::new(0));
    let counter = Arc::clone(&ended);
    let (address, connections) = serve(move |mut stream| {
        let counter = Arc::clone(&counter);
        async move {
            while read_request(&mut stream).await.is_some() {
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
            counter.add_permits(1);
        }
    })
    .await;
    (address, connections, ended)
}

/// Leaves the first route alone.
fn without_the_other_routes(text: &str) -> String {
    let second = "[[routes]]\n        host = \"api.example.com\"\n        path = \"/admin\"";
    let (before, others) = text.split_once(second).unwrap();
    let (_, after) = others.split_once("[outbound_tls]").unwrap();
    format!("{before}[outbound_tls]{after}")
}

/// Which protocol the API was spoken to in, and from which address.
async fn seen_at(harness: &Harness, path: &str) -> (String, String) {
    let answered = harness.call_at(path, Member::Example, "opaque").await;
    let json = answered.json();
    ["version", "peer"]
        .map(|name| json[name].as_str().unwrap().to_owned())
        .into()
}

#[tokio::test]
async fn routes_to_one_server_use_one_connection_until_the_last_of_them_is_gone() {
    let (address, connections, ended) = counting_api().await;
    let harness = harness(Api::At(address), "").await;
    for path in ["/api", "/both", "/api", "/both"] {
        let answered = harness.call_at(path, Member::Example, "opaque").await;
        assert_eq!(answered.status, 200, "{path}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);

    harness.reconfigure(without_the_other_routes);
    for (path, status) in [("/both", 404), ("/api", 200)] {
        let answered = harness.call_at(path, Member::Example, "opaque").await;
        assert_eq!(answered.status, status, "{path}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);

    assert_eq!(ended.available_permits(), 0);
    harness.reconfigure(|text| text.replace(&address.to_string(), "127.0.0.1:1"));
    let ended = tokio::time::timeout(SOON, ended.acquire()).await;
    assert!(ended.is_ok(), "the connection is still open");
}

#[tokio::test]
async fn a_route_added_later_uses_the_connection_that_is_there() {
    let (address, connections, _) = counting_api().await;
    let harness = harness(Api::At(address), "").await;
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
    harness.reconfigure(|text| text.replace("path = \"/both\"", "path = \"/new\""));
    let answered = harness.call_at("/new", Member::Example, "opaque").await;
    assert_eq!(answered.status, 200);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// Where requests share a connection, one route's callers could break another's off.
#[tokio::test]
async fn routes_share_connections_of_https_servers_unless_they_may_speak_http2() {
    let harness = harness(Api::Up, "").await;
    let (first, second) = (seen_at(&harness, "/api").await, seen_at(&harness, "/both").await);
    for (version, _) in [&first, &second] {
        assert_eq!(version, "HTTP/2.0");
    }
    assert_ne!(first, second);

    let without_http2 = |path: &'static str| {
        let key = format!("path = \"{path}\"\n");
        harness.reconfigure(|text| text.replace(&key, &format!("{key}upstream_http2 = false\n")));
    };
    without_http2("/api");
    let third = seen_at(&harness, "/api").await;
    assert_eq!(third.0, "HTTP/1.1");
    assert_eq!(seen_at(&harness, "/both").await, second);

    without_http2("/both");
    assert_eq!(seen_at(&harness, "/both").await, third);
}
