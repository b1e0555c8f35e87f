//! Where an answer ends with its connection: what was cut off on the way is never taken for the whole, whatever the
//! caller speaks.

use std::sync::Arc;

use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mtls::Alpn;
use pki::Member;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::{
    API, Api, DEADLINE, Frame, Harness, acceptor, connect_http2, connect_tls, harness, read_request,
    reason_of, serve, serve_http2,
};

/// The heads of answers whose ends are told by the end of the connection alone.
const UNTIL_CLOSED: [&str; 3] = [
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
];
/// Answers that tell their own ends.
const DELIMITED: [&str; 4] = [
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nall of it",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9, 9\r\n\r\nall of it",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\nContent-Length: 9\r\n\r\nall of it",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n0\r\n\r\n",
];
/// The same, and they do not come to it.
const CUT: [&str; 3] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nall of it",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n0\r\n",
];
const HEAD_ALONE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n";

const CALLERS: [Version; 3] = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2];

/// How the connection of an API ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// In the clear, as TCP connections end.
    Closed,
    /// In the clear, and not as they should.
    Reset,
    /// In TLS, with `close_notify`: it is the API that says so.
    Said,
    /// In TLS, without: it could be anybody on the way.
    Unsaid,
    /// In TLS, with something of somebody else's behind it.
    Garbled,
}

/// An API that gives this answer to whatever it is asked.
async fn api(answer: &str, end: End) -> Api {
    let (acceptor, answer) = (acceptor(Alpn::Http1), Arc::<str>::from(answer));
    let (address, _) = serve(move |mut tcp| {
        let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
        async move {
            match end {
                End::Closed => say(&mut tcp, &answer).await,
                End::Reset => {
                    say(&mut tcp, &answer).await;
                    tcp.set_zero_linger().unwrap();
                }
                End::Said | End::Unsaid | End::Garbled => {
                    let mut tls = acceptor.accept(tcp).await.unwrap();
                    say(&mut tls, &answer).await;
                    match end {
                        End::Said => tls.shutdown().await.unwrap(),
                        End::Garbled => tls.get_mut().0.write_all(b"no record").await.unwrap(),
                        _ => {}
                    }
                }
            }
        }
    })
    .await;
    match end {
        End::Closed | End::Reset => Api::At(address),
        End::Said | End::Unsaid | End::Garbled => Api::InTlsAt(address),
    }
}

async fn say(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &str) {
    if read_request(stream).await.is_some() {
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }
}

/// The API's answer as a caller gets it who speaks this version; `None` where there is none, or it breaks off.
async fn got(harness: &Harness, version: Version) -> Option<Bytes> {
    let alpn = match version {
        Version::HTTP_2 => Alpn::Http2OrHttp1,
        _ => Alpn::Http1,
    };
    let stream = connect_tls(harness.public, API, Some(Member::Example), alpn).await;
    let stream = TokioIo::new(stream.unwrap());
    let request = Request::get(match version {
        Version::HTTP_2 => format!("https://{API}/api/transactions"),
        _ => "/api/transactions".to_owned(),
    });
    let request = request
        .version(version)
        .header("host", API)
        .header("authorization", "Bearer opaque")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let sent = match version {
        Version::HTTP_2 => {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            timeout(DEADLINE, sender.send_request(request)).await
        }
        _ => {
            let (mut sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            timeout(DEADLINE, sender.send_request(request)).await
        }
    };
    let response = sent.unwrap().ok()?;
    if response.status() != StatusCode::OK {
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        return None;
    }
    let collected = timeout(DEADLINE, response.into_body().collect()).await.unwrap();
    Some(collected.ok()?.to_bytes())
}

/// RFC 9112 §9.8: over TLS, an answer that ends with its connection is whole only where the API said that it ends.
#[tokio::test]
async fn an_answer_until_the_end_of_its_connection_is_whole_only_where_the_api_ended_it() {
    // In many records, and more than one read takes.
    let long = "all of it".repeat(50_000);
    let bodies = ["all of it", &long];
    for (head, body) in UNTIL_CLOSED
        .iter()
        .flat_map(|head| bodies.map(|body| (head, body)))
    {
        let whole = Some(Bytes::from(body.to_owned()));
        for (end, expected) in [
            (End::Closed, &whole),
            (End::Reset, &None),
            (End::Said, &whole),
            (End::Unsaid, &None),
            (End::Garbled, &None),
        ] {
            let harness = harness(api(&format!("{head}{body}"), end).await, "").await;
            for caller in CALLERS {
                let got = got(&harness, caller).await;
                assert!(got == *expected, "{head:?} {} {end:?} {caller:?}", body.len());
            }
        }
    }
}

/// RFC 9112 §9.8
#[tokio::test]
async fn an_answer_that_tells_its_own_end_needs_no_other() {
    let whole = Some(Bytes::from_static(b"all of it"));
    for end in [End::Closed, End::Said, End::Unsaid] {
        for (answers, expected) in [(&DELIMITED[..], &whole), (&CUT[..], &None)] {
            for answer in answers {
                let harness = harness(api(answer, end).await, "").await;
                for caller in CALLERS {
                    let got = got(&harness, caller).await;
                    assert_eq!(got, *expected, "{answer:?} {end:?} {caller:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_head_that_is_cut_short_is_no_answer() {
    for end in [End::Closed, End::Reset, End::Said, End::Unsaid] {
        let harness = harness(api(HEAD_ALONE, end).await, "").await;
        let answered = harness.call(Member::Example, "opaque").await;
        assert_eq!(answered.status, 502, "{end:?}");
        assert_eq!(reason_of(&answered), "upstream_failed", "{end:?}");
    }
}

/// RFC 9113 §8.1: whoever resets a stream, even without an error, has not ended it.
#[tokio::test]
async fn an_answer_over_http_2_is_whole_only_where_its_stream_was_ended() {
    let whole = Some(Bytes::from_static(b"all of it"));
    for (last, expected) in [(Frame::end(), &whole), (Frame::reset(), &None)] {
        let frames = vec![Frame::head(&[]), Frame::data("all of it"), last.clone()];
        let harness = harness(serve_http2(frames).await.0, "").await;
        for caller in CALLERS {
            let got = got(&harness, caller).await;
            assert_eq!(got, *expected, "{last:?} {caller:?}");
        }
    }
}

/// RFC 9110 §8.6
#[tokio::test]
async fn an_answer_over_http_2_has_one_length_or_none() {
    for (lengths, expected) in [
        (&["9"][..], Some(&["9"][..])),
        (&["9", "9"], Some(&["9"])),
        (&[], Some(&[])),
        (&["9", "8"], None),
    ] {
        let frames = vec![Frame::head(lengths), Frame::data("all of it"), Frame::end()];
        let harness = harness(serve_http2(frames).await.0, "").await;
        let request = Request::get(format!("https://{API}/api")).header("authorization", "Bearer opaque");
        let mut caller = connect_http2(harness.public).await;
        let answering = caller.send_request(request.body(Empty::<Bytes>::new()).unwrap());
        let answered = timeout(DEADLINE, answering).await.unwrap().unwrap();
        let Some(expected) = expected else {
            assert_eq!(answered.status(), StatusCode::BAD_GATEWAY, "{lengths:?}");
            continue;
        };
        assert_eq!(answered.status(), StatusCode::OK, "{lengths:?}");
        let passed_on: Vec<_> = answered.headers().get_all("content-length").iter().collect();
        assert_eq!(passed_on, expected, "{lengths:?}");
    }
}
