//! What goes on between two sides: early answers, connections that were closed, bodies that come late.

use futures_util::poll;
use http::header::AUTHORIZATION;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::upstream::OwnField;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// A body that comes when it is told to.
pub(super) fn told() -> (mpsc::UnboundedSender<&'static str>, TestBody) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let frames = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    let frames = futures_util::StreamExt::map(frames, |data: &str| {
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(data.as_bytes())))
    });
    (sender, boxed(StreamBody::new(frames)))
}

pub(super) fn post(body: TestBody) -> Request<TestBody> {
    Request::post("/").header("host", "a").body(body).unwrap()
}

pub(super) async fn heard(api: &mut DuplexStream) -> String {
    let mut wire = vec![0; PIPE];
    let length = api.read(&mut wire).await.unwrap();
    String::from_utf8(wire[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn head_and_body_are_written_at_once() {
    let (gateway, mut api) = duplex(PIPE);
    let request = post(boxed(Full::new(Bytes::from_static(b"body"))));
    let sending = exchange(lent(gateway, &server()), request);
    tokio::pin!(sending);
    assert!(poll!(&mut sending).is_pending());
    assert!(heard(&mut api).await.ends_with("content-length: 4\r\n\r\nbody"));
}

#[tokio::test]
async fn a_request_arrives_whole_however_little_the_server_takes_at_once() {
    for size in [1, 3, 1000] {
        let (gateway, mut api) = duplex(size);
        let (body, server) = ("x".repeat(40_000), server());
        let frames =
            [body[..7].to_owned(), body[7..].to_owned()].map(|data| Ok(Frame::data(Bytes::from(data))));
        let request = post(boxed(StreamBody::new(futures_util::stream::iter(frames))));
        let receiving = async {
            let mut wire = Vec::new();
            while !wire.ends_with(b"\r\n0\r\n\r\n") {
                api.read_buf(&mut wire).await.unwrap();
            }
            api.write_all(OK).await.unwrap();
            String::from_utf8(wire).unwrap()
        };
        let sending = async { Seen::of(exchange(lent(gateway, &server), request).await.unwrap()).await };
        let (answer, wire) = tokio::join!(sending, receiving);
        let (_, wire) = wire.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            wire,
            format!("7\r\nxxxxxxx\r\n9C39\r\n{}\r\n0\r\n\r\n", &body[7..])
        );
        assert_eq!(answer.unwrap().body, b"{}");
        assert!(server.open_connection(0, 0).is_some());
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_or_has_spoken_is_not_used() {
    let server = server();
    let pool = server.pool(0);
    for spoken in [None, Some(&b"HTTP/1.1 408 Request Timeout\r\n\r\n"[..])] {
        let (gateway, mut api) = duplex(PIPE);
        lent(gateway, &server).give_back();
        match spoken {
            Some(bytes) => api.write_all(bytes).await.unwrap(),
            None => drop(api),
        }
        assert!(pool.take(0, &server).is_none());
    }
    let (gateway, _api) = duplex(PIPE);
    lent(gateway, &server).give_back();
    assert!(pool.take(0, &server).is_some());
}

#[tokio::test]
async fn a_request_of_which_nothing_was_sent_is_as_it_was() {
    let (gateway, api) = duplex(PIPE);
    let mut request = Some(request(Method::GET));
    let before = format!("{request:?}");
    drop(api);
    let answer = Exchange::new(lent(gateway, &server()), &mut request, iter::empty()).await;
    assert!(matches!(answer, Err(Unanswered::NotSent)));
    assert_eq!(format!("{request:?}"), before);
}

#[tokio::test]
async fn a_request_of_which_something_was_sent_is_never_sent_again() {
    // Of all 18 bytes.
    for length in [1, 18] {
        let (gateway, mut api) = duplex(length);
        let mut request = Some(request(Method::GET));
        let server = server();
        let mut sending = Exchange::new(lent(gateway, &server), &mut request, iter::empty());
        assert!(poll!(&mut sending).is_pending());
        api.read_exact(&mut vec![0; length]).await.unwrap();
        drop(api);
        assert!(matches!(sending.await, Err(Unanswered::Failed(_))), "{length}");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_more_may_say_why() {
    let (gateway, mut api) = duplex(64);
    let request = post(boxed(Full::new(Bytes::from(vec![b'x'; 1000]))));
    let server = server();
    let sending = exchange(lent(gateway, &server), request);
    tokio::pin!(sending);
    assert!(poll!(&mut sending).is_pending());
    api.read_u8().await.unwrap();
    let refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    api.write_all(refusal).await.unwrap();
    drop(api);
    assert_eq!(sending.await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(server.open_connection(0, 0).is_none());
}

#[tokio::test]
async fn a_dropped_answer_ends_its_connection() {
    let ((gateway, mut api), server) = (duplex(PIPE), server());
    api.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe")
        .await
        .unwrap();
    let answer = exchange(lent(gateway, &server), request(Method::GET))
        .await
        .unwrap();
    heard(&mut api).await;
    drop(answer);
    assert_eq!(heard(&mut api).await, "");
    assert!(server.open_connection(0, 0).is_none());
}

#[tokio::test]
async fn a_switched_connection_begins_with_what_came_behind_the_answer() {
    let (gateway, mut api) = duplex(PIPE);
    api.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nfirst")
        .await
        .unwrap();
    let mut request = request(Method::GET);
    request.headers_mut().insert("upgrade", "x".parse().unwrap());
    let answer = exchange(lent(gateway, &server()), request).await.unwrap();
    let mut switched = answer.into_body().into_switched().unwrap();
    api.write_all(b" then").await.unwrap();
    let mut said = [0; 10];
    switched.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"first then");
    heard(&mut api).await;
    switched.write_all(b"ours").await.unwrap();
    assert_eq!(heard(&mut api).await, "ours");
}

/// One who reads slowly gets all of it, and one long answer is read in longer pieces.
#[tokio::test]
async fn a_long_body_comes_whole() {
    let ((gateway, mut api), server) = (duplex(PIPE), server());
    let long = "0123456789".repeat(100_000);
    let saying = async {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{long}", long.len());
        api.write_all(answer.as_bytes()).await.unwrap();
    };
    let reading = async {
        let mut body = exchange(lent(gateway, &server), request(Method::GET))
            .await
            .unwrap()
            .into_body();
        let (mut read, mut longest) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            longest = longest.max(data.len());
            read.extend_from_slice(&data);
        }
        (read, longest)
    };
    let ((read, longest), ()) = tokio::join!(reading, saying);
    assert!(read == long.as_bytes());
    assert_eq!(longest, 64 * 1024);
    assert!(server.open_connection(0, 0).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_requests_ends_in_time_and_sooner_where_its_server_has_closed_it() {
    for (is_closed, seconds) in [(false, 15..=20), (true, 0..=5)] {
        let ((gateway, mut api), server) = (duplex(PIPE), server());
        let started = Instant::now();
        lent(gateway, &server).give_back();
        if is_closed {
            api.shutdown().await.unwrap();
        }
        assert_eq!(heard(&mut api).await, "");
        assert!(seconds.contains(&started.elapsed().as_secs()), "{seconds:?}");
    }
}

/// The token goes to the API and nowhere else, and bodies are the caller's.
#[tokio::test]
async fn lengths_stand_for_token_and_bodies_where_an_exchange_is_formatted() {
    let (gateway, _api) = duplex(16);
    let mut lent = lent(gateway, &server());
    lent.connection.read = Bytes::from_static(b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1");
    let mut request = Some(post(boxed(Full::from("a caller's words".repeat(100)))));
    let own_field: OwnField<'_> = (&AUTHORIZATION, [&b"Bearer "[..], b"header.claims.signature"]);
    let mut exchange = Exchange::new(lent, &mut request, iter::once(own_field));
    let untouched = format!("{exchange:?}");
    assert!(poll!(&mut exchange).is_pending());
    let begun = format!("{exchange:?}");
    for secret in ["header.claims.signature", "a caller's words", "session=1"] {
        // As text, and as the numbers of its bytes.
        let numbers = format!("{:?}", secret.as_bytes());
        for secret in [secret, numbers.trim_matches(['[', ']'])] {
            assert!(!untouched.contains(secret), "{untouched}");
            assert!(!begun.contains(secret), "{begun}");
        }
    }
    for (formatted, data) in [(untouched, "data: 0,"), (begun, "data: 1600,")] {
        assert!(formatted.contains("read: 38,"), "{formatted}");
        assert!(formatted.contains(data), "{formatted}");
    }
}
