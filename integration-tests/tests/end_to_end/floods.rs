//! Peers that mean harm: they end, hold little, and are in nobody's way.

use std::time::Duration;

use mtls::Alpn;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::endurance::Scene;

/// Above every limit of time that the gateway sets to a peer that does nothing useful.
const DEADLINE: Duration = Duration::from_secs(100);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// RFC 9113 §7
const CANCEL: u32 = 8;

/// RFC 9113 §4.1
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A `GET` with a token, in HPACK's plainest form. RFC 7541 §6
fn fields(token: &str) -> Vec<u8> {
    let literal = |prefix: &[u8], value: &str| {
        let mut field = prefix.to_vec();
        field.push(
            u8::try_from(value.len())
                .ok()
                .filter(|length| *length < 127)
                .unwrap(),
        );
        field.extend(value.as_bytes());
        field
    };
    let method_and_scheme = vec![0x82, 0x87];
    [
        method_and_scheme,
        literal(&[0x01], "api.example.com"),
        literal(&[0x04], "/api/transactions"),
        literal(&[0x0f, 0x08], &format!("Bearer {token}")),
    ]
    .concat()
}

/// Whether the gateway ended the connection, or said that it does.
async fn ended(mut reader: impl AsyncRead + Unpin) -> bool {
    let watching = async {
        let mut head = [0; 9];
        while reader.read_exact(&mut head).await.is_ok() {
            if head[3] == GOAWAY {
                return;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            if reader.read_exact(&mut payload).await.is_err() {
                return;
            }
        }
    };
    timeout(DEADLINE, watching).await.is_ok()
}

/// Sends `frames` again and again, up to `most` bytes, until nobody takes them any more.
async fn flood(mut writer: impl AsyncWrite + Unpin, mut frames: impl FnMut() -> Vec<u8>, most: usize) {
    let mut sent = 0;
    while sent < most {
        let frames = frames();
        sent += frames.len();
        if writer.write_all(&frames).await.is_err() {
            return;
        }
    }
}

async fn open_http_2(scene: &Scene) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut stream = scene.connect(Alpn::Http2OrHttp1).await;
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    stream
}

/// CVE-2023-44487.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_opens_streams_only_to_reset_them_is_sent_away() {
    let scene = Scene::new().await;
    let (reader, writer) = tokio::io::split(open_http_2(&scene).await);
    let fields = fields(&scene.token);
    let mut stream = 1;
    let resets = move || {
        let mut frames = Vec::new();
        for _ in 0..500 {
            frames.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields));
            frames.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
            stream += 2;
        }
        frames
    };
    let (ended, ()) = tokio::join!(ended(reader), flood(writer, resets, 64 * 1024 * 1024));
    assert!(ended);
    scene.answers().await;
    scene.held_little();
}

/// CVE-2024-27316 and its like.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_fields_without_end_is_sent_away() {
    let scene = Scene::new().await;
    let (reader, mut writer) = tokio::io::split(open_http_2(&scene).await);
    writer
        .write_all(&frame(HEADERS, END_STREAM, 1, &fields(&scene.token)))
        .await
        .unwrap();
    // A field without name and with an empty value, as often as fits.
    let more = frame(CONTINUATION, 0, 1, &[0x00, 0x01, b'x', 0x00].repeat(4 * 1024));
    let (ended, ()) = tokio::join!(
        ended(reader),
        flood(writer, move || more.clone(), 64 * 1024 * 1024)
    );
    assert!(ended);
    scene.answers().await;
    scene.held_little();
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_say_nothing_or_too_little_are_sent_away_and_in_nobodys_way() {
    let scene = Scene::new().await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(scene.gateway()).await.unwrap());
    }
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = scene.connect(Alpn::Http1).await;
        stream
            .write_all(b"GET /api/transactions HTTP/1.1\r\nX: ")
            .await
            .unwrap();
        slow.push(stream);
    }
    scene.answers().await;
    for mut stream in silent {
        let read = timeout(DEADLINE, stream.read(&mut [0; 1])).await;
        assert!(matches!(read.unwrap(), Ok(0) | Err(_)));
    }
    for mut stream in slow {
        let mut rest = Vec::new();
        let _reset = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap();
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
    }
    scene.answers().await;
    scene.held_little();
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_close_their_half_end_and_leave_nothing_behind() {
    let scene = Scene::new().await;
    let request = format!(
        "POST /api/transactions HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 100\r\n\r\nhalf",
        scene.token
    );
    for _ in 0..50 {
        let mut stream = scene.connect(Alpn::Http1).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _reset = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap();
    }
    scene.answers().await;
    scene.held_little();
}
