//! Requests over HTTP/2 that are answered before they end, and may never end: they take neither streams nor places from
//! anybody else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mtls::Alpn;
use pki::Member;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::support::{API, Api, DEADLINE, Harness, acceptor, connect_tls, harness, read_request, serve};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// What a caller says with the end of a stream. RFC 9113 §7
const NO_ERROR: u8 = 0x0;
const CANCEL: u8 = 0x8;
/// More than a connection to an API carries at once.
const MANY_STREAMS: usize = 200;
/// More than a route has in hand with a server at once.
const MORE_THAN_PLACES: usize = 1_005;
/// Enough for whatever comes here.
const PLENTY: u32 = 1_000;

/// A caller whose requests do not end, in frames of its own: what no client's library says.
struct Caller {
    stream: TlsStream<TcpStream>,
    last: u32,
}

impl Caller {
    const DATA: u8 = 0x0;
    const HEADERS: u8 = 0x1;
    const RST_STREAM: u8 = 0x3;
    const SETTINGS: u8 = 0x4;
    const ACK: u8 = 0x1;
    const END_HEADERS: u8 = 0x4;
    /// The first byte of a head of status 200. RFC 7541 §6.1
    const STATUS_200: u8 = 0x88;

    async fn connect(harness: &Harness) -> Self {
        let stream = connect_tls(harness.public, API, Some(Member::Example), Alpn::Http2OrHttp1).await;
        let stream = stream.unwrap();
        stream.get_ref().0.set_nodelay(true).unwrap();
        let mut caller = Self {
            stream,
            // Requests have odd numbers.
            last: u32::MAX,
        };
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        caller.stream.write_all(preface).await.unwrap();
        caller.send(Self::SETTINGS, 0, 0, b"").await;
        caller
    }

    /// Begins a request, and sends one byte of its body; its number, once the head of its answer is there.
    async fn begin(&mut self) -> u32 {
        self.last = self.last.wrapping_add(2);
        let number = self.last;
        self.send(Self::HEADERS, Self::END_HEADERS, number, &post()).await;
        self.send(Self::DATA, 0, number, b"x").await;
        let head = timeout(DEADLINE, self.head(number)).await.unwrap();
        assert_eq!(head[0], Self::STATUS_200, "{head:?}");
        number
    }

    async fn reset(&mut self, number: u32, reason: u8) {
        self.send(Self::RST_STREAM, 0, number, &[0, 0, 0, reason]).await;
    }

    async fn head(&mut self, number: u32) -> Vec<u8> {
        loop {
            let mut frame = [0; 9];
            self.stream.read_exact(&mut frame).await.unwrap();
            let [first, second, third, kind, flags, stream @ ..] = frame;
            let mut payload = vec![0; u32::from_be_bytes([0, first, second, third]).try_into().unwrap()];
            self.stream.read_exact(&mut payload).await.unwrap();
            match kind {
                Self::HEADERS if stream == number.to_be_bytes() => return payload,
                Self::SETTINGS if flags != Self::ACK => self.send(Self::SETTINGS, Self::ACK, 0, b"").await,
                _ => {}
            }
        }
    }

    async fn send(&mut self, kind: u8, flags: u8, number: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &number.to_be_bytes(), payload];
        self.stream.write_all(&frame.concat()).await.unwrap();
        self.stream.flush().await.unwrap();
    }
}

/// The fields of a request: two of the static table, and literals with names of that. RFC 7541 §6.1, §6.2.2
fn post() -> Vec<u8> {
    let mut fields = vec![0x83, 0x87];
    let path = (&[0x04][..], "/api/transactions");
    let authority = (&[0x01][..], API);
    let authorization = (&[0x0f, 23 - 15][..], "Bearer opaque");
    for (name, value) in [path, authority, authorization] {
        fields.extend(name);
        fields.push(value.len().try_into().unwrap());
        fields.extend(value.as_bytes());
    }
    fields
}

/// When an API's answer ends.
#[derive(Clone, Copy, Debug)]
enum Answer {
    AtOnce,
    WithItsRequest,
}

/// What an API has seen.
struct Seen {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Of each request, whether it was whole.
    ends: mpsc::UnboundedReceiver<bool>,
}

impl Seen {
    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many requests were whole, of so many.
    async fn whole(&mut self, requests: usize) -> usize {
        let mut whole = 0;
        for _ in 0..requests {
            let end = timeout(DEADLINE, self.ends.recv()).await;
            whole += usize::from(end.expect("the API hears of every end").unwrap());
        }
        whole
    }
}

/// An API over HTTP/2 that allows so many streams, answers all that come and reads on.
async fn serve_http2(allowed: u32, answer: Answer) -> Seen {
    let (told, ends) = mpsc::unbounded_channel();
    let acceptor = acceptor(Alpn::Http2OrHttp1);
    let (address, connections) = serve(move |tcp| {
        let (acceptor, told) = (acceptor.clone(), told.clone());
        async move {
            let stream = TokioIo::new(acceptor.accept(tcp).await.unwrap());
            let mut server = http2::Builder::new(TokioExecutor::new());
            let service = service_fn(|request| answer_to(request, answer, told.clone()));
            let serving = server
                .max_concurrent_streams(allowed)
                .serve_connection(stream, service);
            // However the gateway ends it.
            let _ended = serving.await;
        }
    })
    .await;
    Seen {
        address,
        connections,
        ends,
    }
}

async fn answer_to(
    request: Request<Incoming>,
    answer: Answer,
    told: mpsc::UnboundedSender<bool>,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>, Infallible> {
    let body = request.into_body();
    Ok(Response::new(match answer {
        Answer::WithItsRequest => body.boxed(),
        Answer::AtOnce => {
            tokio::spawn(async move { told.send(body.collect().await.is_ok()) });
            Empty::new().map_err(|never| match never {}).boxed()
        }
    }))
}

/// An API over HTTP/1.1 that answers the head of a request, and reads on.
async fn serve_http1() -> Seen {
    let (told, ends) = mpsc::unbounded_channel();
    let (address, connections) = serve(move |mut stream| {
        let told = told.clone();
        async move {
            while let Some(head) = read_request(&mut stream).await {
                stream.write_all(OK.as_bytes()).await.unwrap();
                if head.starts_with("POST") {
                    let mut body = Vec::new();
                    // However it ends, no more comes.
                    let _end = stream.read_to_end(&mut body).await;
                    told.send(body.ends_with(LAST_CHUNK)).unwrap();
                }
            }
        }
    })
    .await;
    Seen {
        address,
        connections,
        ends,
    }
}

async fn get(harness: &Harness) -> u16 {
    harness.call(Member::Example, "opaque").await.status
}

/// RFC 9113 §8.1: whether or not the caller calls it an error.
#[tokio::test]
async fn a_request_that_its_caller_resets_leaves_its_stream_to_others_and_looks_whole_to_no_api() {
    for reason in [NO_ERROR, CANCEL] {
        let mut api = serve_http2(PLENTY, Answer::AtOnce).await;
        let harness = harness(Api::InTlsAt(api.address), "").await;
        let mut caller = Caller::connect(&harness).await;
        for _ in 0..MANY_STREAMS {
            let request = caller.begin().await;
            caller.reset(request, reason).await;
        }
        assert_eq!(api.whole(MANY_STREAMS).await, 0, "{reason}");
        assert_eq!(get(&harness).await, 200, "{reason}");
        assert_eq!(api.whole(1).await, 1, "{reason}");
        assert_eq!(api.connections(), 1, "{reason}");
    }
}

/// The same where the answer is not over yet.
#[tokio::test]
async fn a_request_that_its_caller_resets_with_its_answer_leaves_its_stream_to_others() {
    for reason in [NO_ERROR, CANCEL] {
        let api = serve_http2(PLENTY, Answer::WithItsRequest).await;
        let harness = harness(Api::InTlsAt(api.address), "").await;
        let mut caller = Caller::connect(&harness).await;
        for _ in 0..MANY_STREAMS {
            let request = caller.begin().await;
            caller.reset(request, reason).await;
        }
        assert_eq!(get(&harness).await, 200, "{reason}");
        assert_eq!(api.connections(), 1, "{reason}");
    }
}

/// RFC 9112 §8: the API is told by the end of the connection.
#[tokio::test]
async fn a_request_that_its_caller_resets_leaves_its_place_to_others_and_looks_whole_to_no_api() {
    for reason in [NO_ERROR, CANCEL] {
        let mut api = serve_http1().await;
        let harness = harness(Api::At(api.address), "").await;
        let mut caller = Caller::connect(&harness).await;
        for _ in 0..MORE_THAN_PLACES {
            let request = caller.begin().await;
            caller.reset(request, reason).await;
        }
        assert_eq!(get(&harness).await, 200, "{reason}");
        assert_eq!(api.whole(MORE_THAN_PLACES).await, 0, "{reason}");
    }
}

/// Holds so many unfinished requests, and asks once more over a connection of its own; how many connections the API has
/// then.
async fn connections_behind(unfinished: usize, allowed: u32) -> usize {
    let api = serve_http2(allowed, Answer::AtOnce).await;
    let harness = harness(Api::InTlsAt(api.address), "").await;
    assert_eq!(get(&harness).await, 200);
    let mut callers = Vec::new();
    for number in 0..unfinished {
        // No caller has more than the gateway takes of one.
        if number % 50 == 0 {
            callers.push(Caller::connect(&harness).await);
        }
        callers.last_mut().unwrap().begin().await;
    }
    assert_eq!(get(&harness).await, 200, "{unfinished} of {allowed}");
    api.connections()
}

#[tokio::test]
async fn an_unfinished_request_keeps_its_stream_behind_its_answer_and_others_get_another_connection() {
    for (unfinished, connections) in [(99, 1), (100, 2), (199, 2), (200, 3)] {
        assert_eq!(
            connections_behind(unfinished, PLENTY).await,
            connections,
            "{unfinished}"
        );
    }
}

/// RFC 9113 §5.1.2
#[tokio::test]
async fn no_request_waits_on_a_connection_that_has_as_many_streams_as_its_api_allows() {
    for (unfinished, connections) in [(7, 1), (8, 2), (15, 2), (16, 3)] {
        assert_eq!(
            connections_behind(unfinished, 8).await,
            connections,
            "{unfinished}"
        );
    }
}

/// RFC 9113 §6.5.2: "a value of 0 … should only be set for short durations".
#[tokio::test]
async fn requests_wait_together_for_an_api_that_allows_no_stream_for_now() {
    let api = serve_http2(0, Answer::AtOnce).await;
    let harness = harness(Api::InTlsAt(api.address), "answer_timeout = \"100ms\"").await;
    // Sent before the API has said so, it is refused.
    let first = get(&harness).await;
    assert!(matches!(first, 502 | 504), "{first}");
    for _ in 0..4 {
        assert_eq!(get(&harness).await, 504);
    }
    assert_eq!(api.connections(), 1);
}
