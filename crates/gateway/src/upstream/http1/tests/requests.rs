//! What a request looks like on the wire: as hyper's client writes it.

use futures_util::stream;
use http::{HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use hyper::client::conn;
use hyper_util::rt::TokioIo;

use super::*;

type Make = fn() -> TestBody;

const OK: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

fn known() -> TestBody {
    boxed(Full::new(Bytes::from_static(b"{\"a\":1}")))
}

fn of_unknown_length() -> TestBody {
    streamed(vec![
        Frame::data("0123456789abcdef!".into()),
        Frame::data("".into()),
        Frame::data("x".into()),
    ])
}

fn with_trailers() -> TestBody {
    let trailers = [("checksum", "1"), ("other", "2"), ("content-type", "text/html")];
    let trailers =
        trailers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    streamed(vec![
        Frame::data("body".into()),
        Frame::trailers(trailers.into_iter().collect()),
    ])
}

fn streamed(frames: Vec<Frame<Bytes>>) -> TestBody {
    boxed(StreamBody::new(stream::iter(
        frames.into_iter().map(Ok::<_, Infallible>),
    )))
}

/// Everything that is written for a request.
async fn written(mut api: DuplexStream) -> String {
    let mut wire = Vec::new();
    let is_over = |wire: &[u8]| {
        let text = str::from_utf8(wire).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return false;
        };
        match head.split_once("content-length: ") {
            Some((_, length)) => body.len() == length.lines().next().unwrap().parse::<usize>().unwrap(),
            None if head.contains("transfer-encoding") => {
                body.ends_with("\r\n\r\n") && (body.contains("\r\n0\r\n") || body.starts_with("0\r\n"))
            }
            None => true,
        }
    };
    while !is_over(&wire) {
        assert!(
            api.read_buf(&mut wire).await.unwrap() > 0,
            "{}",
            wire.escape_ascii()
        );
    }
    api.write_all(OK).await.unwrap();
    String::from_utf8(wire).unwrap()
}

async fn by_us(request: Request<TestBody>) -> String {
    let (gateway, api) = duplex(PIPE);
    let (answer, wire) = tokio::join!(exchange(lent(gateway, &server()), request), written(api));
    answer.unwrap();
    wire
}

async fn by_hyper(request: Request<TestBody>) -> String {
    let (gateway, api) = duplex(PIPE);
    let (mut sender, connection) = conn::http1::handshake(TokioIo::new(gateway)).await.unwrap();
    let sending = async {
        sender.send_request(request).await.unwrap();
        drop(sender);
    };
    let ((), wire, _ended) = tokio::join!(sending, written(api), connection);
    wire
}

/// RFC 9110 §9.3.1, RFC 9112 §6.1.
#[tokio::test]
async fn a_body_of_unknown_length_goes_on_whatever_the_method_and_none_is_made_up() {
    for method in ["GET", "HEAD", "POST", "DELETE"] {
        let request = |body| Request::builder().method(method).uri("/").body(body).unwrap();
        assert_eq!(
            by_us(request(of_unknown_length())).await,
            format!(
                "{method} / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
                 11\r\n0123456789abcdef!\r\n1\r\nx\r\n0\r\n\r\n"
            )
        );
        let without = by_us(request(boxed(Empty::new()))).await;
        assert_eq!(without, format!("{method} / HTTP/1.1\r\n\r\n"));
    }
}

/// But for bodies of unknown length, which it drops with some methods. RFC 9112 §3, §6.
#[tokio::test]
async fn a_request_is_written_as_hyper_writes_it() {
    let bodies: [(&str, Make); 4] = [
        ("none", || boxed(Empty::new())),
        ("known", known),
        ("of_unknown_length", of_unknown_length),
        ("with_trailers", with_trailers),
    ];
    for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PURGE"] {
        for target in ["/", "/a/b?c=d&e", "/%7Ea?", "*", "/a#not"] {
            for fields in ["", "trailer", "length"] {
                for (name, body) in bodies {
                    let make = |method: &str| {
                        let mut request = Request::builder()
                            .method(method)
                            .uri(target)
                            .header("host", "a:1");
                        request = request
                            .header("x-many", "1")
                            .header("accept", "*/*")
                            .header("x-many", "\u{e4}");
                        if fields == "trailer" {
                            request = request.header("trailer", "Checksum, x, content-type");
                        }
                        let length = match name {
                            "none" => Some("0"),
                            "known" => Some("7"),
                            "of_unknown_length" => Some("18"),
                            _ => None,
                        };
                        if let (Some(length), "length") = (length, fields) {
                            request = request.header("content-length", length);
                        }
                        request.body(body()).unwrap()
                    };
                    let is_dropped = matches!(method, "GET" | "HEAD") && !matches!(name, "none" | "known");
                    let hypers = match is_dropped {
                        true => by_hyper(make("POST")).await.replacen("POST", method, 1),
                        false => by_hyper(make(method)).await,
                    };
                    let ours = by_us(make(method)).await;
                    assert_eq!(ours, hypers, "{method} {target} {fields} {name}");
                }
            }
        }
    }
}

/// What is announced and what comes are one, or the server would take the next request for the rest.
#[tokio::test]
async fn a_body_of_another_length_than_announced_is_no_request() {
    for (length, body) in [("8", known as Make), ("6", known), ("1", || boxed(Empty::new()))] {
        let (gateway, mut api) = duplex(PIPE);
        let request = Request::post("/")
            .header("content-length", length)
            .body(body())
            .unwrap();
        let answer = exchange(lent(gateway, &server()), request).await;
        let failed = matches!(
            answer,
            Err(Unanswered::Failed(crate::upstream::AnswerError::Http1(
                ExchangeError::UploadLength
            )))
        );
        assert!(failed, "{length}");
        let mut wire = Vec::new();
        api.read_to_end(&mut wire).await.unwrap();
    }
}
