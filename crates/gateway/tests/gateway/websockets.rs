//! Connections that are switched to WebSocket: authorized like any request, and ended with the right to them.

use std::time::Duration;

use pki::Member;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::{API, Answer, Api, DEADLINE, Harness, harness, now, read_request, serve};

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An API that tells what it was asked, and from then on says everything twice.
async fn echo() -> Api {
    let (address, _) = serve(|mut stream| async move {
        let Some(request) = read_request(&mut stream).await else {
            return;
        };
        if !request.to_ascii_lowercase().contains("upgrade: websocket") {
            let length = request.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{request}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            return;
        }
        stream.write_all(SWITCHING.as_bytes()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let _ended = tokio::io::copy(&mut reader, &mut writer).await;
    })
    .await;
    Api::At(address)
}

async fn ask(harness: &Harness, token: &str, upgrade: &str) -> TlsStream<TcpStream> {
    let mut stream = harness.connect(Member::Example).await;
    let request = format!(
        "GET /api/events HTTP/1.1\r\nHost: {API}\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n\
         Upgrade: {upgrade}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(DEADLINE, stream.read_u8()).await.unwrap();
        head.push(byte.unwrap_or_else(|error| panic!("{error} after {head:?}")));
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

/// A WebSocket, and what its API was asked.
async fn open(harness: &Harness) -> (TlsStream<TcpStream>, String) {
    let mut stream = ask(harness, "opaque", "websocket").await;
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(
        head.contains("\r\nupgrade: websocket\r\n") && head.contains("\r\nconnection: upgrade\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nsec-websocket-accept: "), "{head}");
    let asked = read_head(&mut stream).await;
    (stream, asked)
}

async fn says_twice(stream: &mut TlsStream<TcpStream>) {
    stream.write_all(b"ping").await.unwrap();
    let mut echoed = [0; 4];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut echoed))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&echoed, b"ping");
}

async fn ends(stream: &mut TlsStream<TcpStream>) {
    let read = tokio::time::timeout(DEADLINE, stream.read(&mut [0; 1])).await;
    assert!(matches!(read.expect("it ends in time"), Ok(0) | Err(_)));
}

/// P9.
#[tokio::test]
async fn carries_a_websocket_whose_request_was_authorized_and_cleaned() {
    let harness = harness(echo().await, "upgrade = [\"websocket\"]").await;
    let jwt = harness
        .stubs
        .issue("opaque", Member::Example)
        .to_ascii_lowercase();
    let (mut stream, asked) = open(&harness).await;
    assert!(
        asked.contains(&format!("\r\nauthorization: bearer {jwt}\r\n")),
        "{asked}"
    );
    assert!(!asked.contains("opaque"), "{asked}");
    assert!(
        asked.contains("\r\nupgrade: websocket\r\n") && asked.contains("\r\nconnection: upgrade\r\n"),
        "{asked}"
    );
    assert!(asked.contains("\r\nsec-websocket-key: "), "{asked}");
    says_twice(&mut stream).await;
    says_twice(&mut stream).await;
}

/// M36, B5.
#[tokio::test]
async fn switches_no_connection_without_a_good_token() {
    let harness = harness(echo().await, "upgrade = [\"websocket\"]").await;
    harness.stubs.issue("stolen", Member::Other);
    for token in ["unknown", "stolen"] {
        let mut stream = ask(&harness, token, "websocket").await;
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("http/1.1 401 "), "{head}");
        assert!(!head.contains("upgrade"), "{head}");
    }
}

#[tokio::test]
async fn forwards_a_wish_to_switch_as_a_plain_request_where_the_route_allows_none_or_it_is_another() {
    for (route, upgrade) in [("", "websocket"), ("upgrade = [\"websocket\"]", "h2c")] {
        let harness = harness(echo().await, route).await;
        let mut stream = ask(&harness, "opaque", upgrade).await;
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        let asked = read_head(&mut stream).await;
        assert!(
            !asked.contains("upgrade:") && !asked.contains("connection:"),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn a_websocket_ends_with_its_token() {
    let harness = harness(echo().await, "upgrade = [\"websocket\"]").await;
    let mut claims = harness.stubs.claims(Some(Member::Example));
    claims.exp = now().plus(Duration::from_secs(2));
    let jwt = claims.sign(&harness.stubs.signing_key).unwrap();
    harness.stubs.answer("opaque", Answer::Jwt(jwt));
    let (mut stream, _) = open(&harness).await;
    says_twice(&mut stream).await;
    ends(&mut stream).await;
}

/// T21.
#[tokio::test]
async fn a_websocket_ends_once_its_certificate_is_revoked() {
    let harness = harness(echo().await, "upgrade = [\"websocket\"]").await;
    let (mut stream, _) = open(&harness).await;
    says_twice(&mut stream).await;
    harness.revoke(Member::Example);
    ends(&mut stream).await;
}

#[tokio::test]
async fn a_websocket_goes_on_during_a_shutdown_and_its_end_is_waited_for() {
    let mut harness = harness(echo().await, "upgrade = [\"websocket\"]").await;
    let (mut stream, _) = open(&harness).await;
    harness.shutdown.trigger();
    says_twice(&mut stream).await;
    stream.shutdown().await.unwrap();
    ends(&mut stream).await;
    tokio::time::timeout(DEADLINE, harness.finished())
        .await
        .unwrap()
        .unwrap();
}
