//! Answers that come before their requests are whole: neither waits for the other.

use std::time::Duration;

use futures_util::{FutureExt, poll};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::exchanges::{heard, post, told};
use super::*;
use crate::upstream::AnswerBody;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// What the API has heard of a request, the beginning of which is there, and the answer that it gives to that.
async fn answer_early(
    request: Request<TestBody>,
    server: &Arc<Server>,
    answer: &str,
) -> (DuplexStream, String, Response<Body>) {
    let (gateway, mut api) = duplex(PIPE);
    let sending = exchange(lent(gateway, server), request);
    tokio::pin!(sending);
    assert!(poll!(&mut sending).is_pending());
    let request = heard(&mut api).await;
    api.write_all(answer.as_bytes()).await.unwrap();
    (api, request, sending.await.unwrap())
}

/// The same, with the task that drives both.
async fn answered_early(
    request: Request<TestBody>,
    server: &Arc<Server>,
    answer: &str,
) -> (DuplexStream, Response<AnswerBody>) {
    let (api, request, answer) = answer_early(request, server, answer).await;
    assert!(request.contains("first"));
    assert!(answer.body().is_early());
    (
        api,
        answer.map(|body| AnswerBody::Early(EarlyAnswer::drive(body))),
    )
}

/// Once it is there, or not for long enough.
async fn kept_connection(server: &Arc<Server>) -> bool {
    let looking = async {
        while server.open_connection(0, 0).is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(5), looking).await.is_ok()
}

#[tokio::test]
async fn a_request_goes_on_while_nobody_reads_its_answer() {
    let (sender, body) = told();
    sender.send("first").unwrap();
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n3\r\n";
    let (mut api, answer) = answered_early(post(body), &server(), answer).await;
    sender.send("second").unwrap();
    assert_eq!(heard(&mut api).await, "6\r\nsecond\r\n");
    drop(sender);
    assert_eq!(heard(&mut api).await, "0\r\n\r\n");
    api.write_all(b"end\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(Seen::of(answer).await.unwrap().body, b"onetwoend");
}

#[tokio::test]
async fn a_request_goes_on_after_its_answer_and_another_may_follow() {
    for answer in [
        "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let ((sender, body), server) = (told(), server());
        sender.send("first").unwrap();
        let (mut api, mut answer) = answered_early(post(body), &server, answer).await;
        // As hyper's server does: what is known to be over is let go of, and not asked for its end.
        while !answer.body().is_end_stream() {
            assert!(answer.body_mut().frame().await.unwrap().is_ok());
        }
        drop(answer);
        sender.send("second").unwrap();
        assert_eq!(heard(&mut api).await, "6\r\nsecond\r\n");
        assert!(server.open_connection(0, 0).is_none());
        drop(sender);
        assert_eq!(heard(&mut api).await, "0\r\n\r\n");
        assert!(kept_connection(&server).await);
    }
}

#[tokio::test]
async fn an_answer_does_not_look_whole_where_its_request_breaks_off() {
    let (sender, body) = told();
    sender.send("first").unwrap();
    let mut request = post(body);
    request
        .headers_mut()
        .insert("content-length", http::HeaderValue::from_static("10"));
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n";
    let (mut api, answer) = answered_early(request, &server(), answer).await;
    drop(sender);
    assert_eq!(Seen::of(answer).await, None);
    assert_eq!(heard(&mut api).await, "");
}

#[tokio::test]
async fn an_early_answer_that_is_cut_short_does_not_look_whole() {
    let (sender, body) = told();
    sender.send("first").unwrap();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let (api, answer) = answered_early(post(body), &server(), answer).await;
    drop(api);
    assert_eq!(Seen::of(answer).await, None);
}

#[tokio::test]
async fn nothing_goes_on_where_an_early_answer_is_given_up() {
    let (sender, body) = told();
    sender.send("first").unwrap();
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n";
    let (mut api, mut answer) = answered_early(post(body), &server(), answer).await;
    assert!(answer.body_mut().frame().await.is_some());
    drop(answer);
    assert_eq!(heard(&mut api).await, "");
    assert!(sender.is_closed());
}

#[tokio::test]
async fn an_early_answer_is_read_while_the_request_goes_on() {
    let ((sender, body), server) = (told(), server());
    sender.send("first").unwrap();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe";
    let (mut api, request, answer) = answer_early(post(body), &server, answer).await;
    assert!(request.ends_with("\r\n\r\n5\r\nfirst\r\n"));
    let mut answer = answer.into_body();
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "he");
    sender.send("second").unwrap();
    assert!(answer.frame().now_or_never().is_none());
    assert_eq!(heard(&mut api).await, "6\r\nsecond\r\n");
    drop(sender);
    assert!(answer.frame().now_or_never().is_none());
    assert_eq!(heard(&mut api).await, "0\r\n\r\n");
    api.write_all(b"re").await.unwrap();
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "re");
    assert!(http_body::Body::is_end_stream(&answer));
    assert!(server.open_connection(0, 0).is_some());
}

/// What came next on the connection would be taken for the rest of the request.
#[tokio::test]
async fn an_answer_let_go_of_before_its_request_is_whole_ends_the_connection() {
    let ((sender, body), server) = (told(), server());
    sender.send("first").unwrap();
    let (mut api, _request, answer) = answer_early(post(body), &server, OK).await;
    assert_eq!(Seen::of(answer).await.unwrap().body, b"{}");
    assert!(server.open_connection(0, 0).is_none());
    assert!(sender.is_closed());
    assert_eq!(heard(&mut api).await, "");
}
