//! A configuration file that changes while the gateway runs: routes and pass-through hosts follow, and nothing that is
//! under way ends.

use mtls::Alpn;
use pki::Member;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::{API, Answer, DEADLINE, Harness, Variation, connect_tls, get_plain, send, with_token};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Sends a request over a connection that stays open, and reads the status of its answer.
async fn status_over(stream: &mut TlsStream<TcpStream>, path: &str) -> u16 {
    let request = with_token(&format!("GET {path}"), "opaque", "").replace("Connection: close\n", "");
    stream
        .write_all(request.replace('\n', "\r\n").as_bytes())
        .await
        .unwrap();
    status_of_answer(stream).await
}

/// Reads an answer that is as long as its `Content-Length` says.
async fn status_of_answer(stream: &mut TlsStream<TcpStream>) -> u16 {
    let mut answer = Vec::new();
    let reading = async {
        loop {
            answer.push(stream.read_u8().await.unwrap());
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .unwrap_or_else(|| panic!("no length: {head}"));
            if body.len() == length.parse::<usize>().unwrap() {
                return head.split(' ').nth(1).unwrap().parse().unwrap();
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.unwrap()
}

async fn failures(harness: &Harness) -> u64 {
    let metrics = get_plain(harness.admin, "/metrics").await.body;
    let name = "certbound_reload_failures_total{of=\"the routes\"} ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

/// An open connection is judged by the routes as they are at each of its requests.
#[tokio::test]
async fn follows_the_routes_of_the_file_without_dropping_a_connection() {
    let harness = Harness::start().await;
    harness.stubs.issue("opaque", Member::Example);
    let mut stream = harness.connect(Member::Example).await;
    assert_eq!(status_over(&mut stream, "/api/transactions").await, 200);
    assert_eq!(status_over(&mut stream, "/new").await, 404);
    harness.reconfigure(|text| text.replace("path = \"/api\"", "path = \"/new\""));
    assert_eq!(status_over(&mut stream, "/new").await, 200);
    assert_eq!(status_over(&mut stream, "/api/transactions").await, 404);
    harness.reconfigure(|text| text.replace("scope = \"transactions\"", "scope = \"other\""));
    assert_eq!(status_over(&mut stream, "/new").await, 403);
    assert_eq!(harness.stubs.introspections_of("opaque"), 1);
}

/// A token for an API that was added later.
#[tokio::test]
async fn accepts_tokens_for_the_audience_of_a_new_route_and_refuses_the_former_ones_there() {
    let harness = Harness::start().await;
    harness.stubs.issue("former", Member::Example);
    let mut claims = harness.stubs.claims(Some(Member::Example));
    claims.aud = vec!["new.example.com".to_owned()];
    let jwt = claims.sign(&harness.stubs.signing_key).unwrap();
    harness.stubs.answer("opaque", Answer::Jwt(jwt));
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 502);
    harness.reconfigure(|text| {
        text.replacen(
            "audience = \"api.example.com\"",
            "audience = \"new.example.com\"",
            1,
        )
    });
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
    assert_eq!(harness.call(Member::Example, "former").await.status, 401);
}

/// S3: and what is said of them.
#[tokio::test]
async fn follows_the_hosts_of_the_file() {
    let harness = Harness::start().await;
    let other = "api-two.example.com";
    let reach = |name: &'static str| connect_tls(harness.public, name, Some(Member::Example), Alpn::Http1);
    let mut passed_through = reach("login.example.com").await.unwrap();
    assert!(
        get_plain(harness.admin, WELL_KNOWN)
            .await
            .body
            .contains("\"transactions\"")
    );
    harness.reconfigure(|text| {
        text.replace(
            "login.example.com\"\n        upstream",
            "passed.example.com\"\n        upstream",
        )
        .replace("scope = \"transactions\"", "scope = \"read\"")
        .replace(
            "host = \"api.example.com\"\n        path = \"/admin\"",
            &format!("host = \"{other}\""),
        )
    });
    let after = reach("login.example.com").await;
    assert!(after.is_err(), "the host is no longer passed through");
    let request = "GET / HTTP/1.1\nHost: login.example.com\nConnection: close\n\n";
    let answered = send(&mut passed_through, request).await;
    assert_eq!(
        (answered.status, answered.body.as_str()),
        (200, "login"),
        "what was passed through stays so"
    );
    assert!(reach(API).await.is_ok());
    let described = get_plain(harness.admin, WELL_KNOWN).await;
    assert_eq!(
        described.status, 404,
        "two hosts, and none is named: {described:?}"
    );
}

/// What is under way ends as it began.
#[tokio::test]
async fn finishes_a_request_under_the_routes_it_began_under() {
    let harness = Harness::start().await;
    harness.stubs.issue("opaque", Member::Example);
    harness.stubs.turnstile.forget_permits(1_000);
    let mut stream = harness.connect(Member::Example).await;
    let changing = async {
        while harness.stubs.introspections_of("opaque") == 0 {
            tokio::task::yield_now().await;
        }
        harness.reconfigure(|text| text.replace("path = \"/api\"", "path = \"/new\""));
        harness.stubs.turnstile.add_permits(1);
    };
    let changing = tokio::time::timeout(DEADLINE, changing);
    let (status, changed) = tokio::join!(status_over(&mut stream, "/api/transactions"), changing);
    changed.unwrap();
    assert_eq!(status, 200);
    assert_eq!(status_over(&mut stream, "/api/transactions").await, 404);
}

#[tokio::test]
async fn keeps_the_routes_and_stays_ready_where_the_file_is_broken() {
    let harness = Harness::start_with(Variation::default()).await;
    harness.stubs.issue("opaque", Member::Example);
    let before = failures(&harness).await;
    for (right, wrong) in [
        ("path = \"/api\"", "path = \"/api/../x\""),
        ("path = \"/api/../x\"", "pfad = \"/api\""),
        ("[[routes]]", "[[routes"),
    ] {
        harness.reconfigure(|text| text.replace(right, wrong));
        assert_eq!(
            harness.call(Member::Example, "opaque").await.status,
            200,
            "{wrong}"
        );
        assert_eq!(get_plain(harness.admin, "/readyz").await.status, 200);
    }
    assert!(failures(&harness).await >= before + 3);
    harness.reconfigure(|text| {
        text.replace("[[routes\n", "[[routes]]\n")
            .replace("pfad = \"/api\"", "path = \"/new\"")
    });
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 404);
}
