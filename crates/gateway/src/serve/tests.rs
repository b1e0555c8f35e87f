use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::*;
use crate::host::HostName;
use crate::response_body::{Content, ResponseBody};
use crate::upstream::{AnswerBody, Protocols, Upstream};

const PIPE: usize = 64 * 1024;
/// The time in which everything here is over; far less than the age at which a connection ends anyway.
const END: Duration = Duration::from_secs(10 * 60);
const WINDOW: u32 = 1024;

fn connection() -> Arc<Connection> {
    let server_name = HostName::parse("api.example.com").unwrap();
    let peer = "127.0.0.1:50000".parse().unwrap();
    Arc::new(Connection::new(server_name, peer, None))
}

/// The answer of an API at the other end of the stream; it announces 4 KiB of body.
async fn answer_of_an_api() -> (Response<AnswerBody>, DuplexStream) {
    let (gateway, mut api) = duplex(PIPE);
    api.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n")
        .await
        .unwrap();
    let answer = AnswerBody::of_test(gateway).await;
    assert!(api.read(&mut [0; 1024]).await.unwrap() > 0, "the request");
    (answer, api)
}

/// Serves one answer over HTTP/2 to a client with this window for each answer's body. The task ends with the
/// connection.
async fn serve_one(
    answer: Response<AnswerBody>,
    window: u32,
) -> (Response<Incoming>, tokio::task::JoinHandle<()>) {
    let (gateway, client) = duplex(PIPE);
    let connection = connection();
    let facts = Arc::clone(&connection);
    let upstream = Upstream::parse("http://localhost", Protocols::Http1).unwrap();
    let answer = std::sync::Mutex::new(Some(answer));
    let service = service_fn(move |_request: Request<Incoming>| {
        let under_way = facts.activity.begin();
        let answer = answer.lock().unwrap().take().unwrap();
        let bodies = Arc::clone(&facts.response_bodies);
        let place = upstream.place().unwrap();
        let answer =
            answer.map(|body| bodies.begin(Content::upstream(body, place), under_way, Instant::now()));
        async move { Ok::<_, Infallible>(answer) }
    });
    let serving = tokio::spawn(async move {
        let http = http2_builder().serve_connection(TokioIo::new(gateway), service);
        run(
            http,
            http2::Connection::graceful_shutdown,
            IDLE_HTTP2,
            &connection,
            &Shutdown::new(),
        )
        .await;
    });
    let (mut sender, http) = conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(client))
        .await
        .unwrap();
    tokio::spawn(http);
    let request = Request::get("https://api.example.com/").body(Empty::<Bytes>::new());
    let response = sender.send_request(request.unwrap()).await.unwrap();
    (response, serving)
}

async fn end_of(api: &mut DuplexStream) {
    let read = tokio::time::timeout(END, api.read(&mut [0; 1])).await;
    assert_eq!(read.expect("the gateway lets go of the API").unwrap(), 0);
}

/// Nobody polls the body of an answer for which there is no window.
#[tokio::test(start_paused = true)]
async fn lets_go_of_the_api_and_then_of_the_connection_when_an_http_2_client_opens_no_window() {
    let (answer, mut api) = answer_of_an_api().await;
    let started = Instant::now();
    let (_response, serving) = serve_one(answer, 0).await;
    end_of(&mut api).await;
    assert_eq!(started.elapsed().as_secs(), STALLED.as_secs());
    tokio::time::timeout(END, serving)
        .await
        .expect("a connection on which nothing is under way ends")
        .unwrap();
    assert!(started.elapsed() <= STALLED + IDLE_HTTP2 + FAREWELL + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn lets_go_of_the_api_when_an_http_2_client_stops_reading() {
    let (answer, mut api) = answer_of_an_api().await;
    let (_response, _serving) = serve_one(answer, WINDOW).await;
    let started = Instant::now();
    api.write_all(&[0; 2048]).await.unwrap();
    end_of(&mut api).await;
    assert_eq!(started.elapsed().as_secs(), STALLED.as_secs());
}

#[tokio::test(start_paused = true)]
async fn breaks_off_an_answer_whose_api_stops_in_the_middle() {
    let (answer, mut api) = answer_of_an_api().await;
    let (response, _serving) = serve_one(answer, WINDOW).await;
    let started = Instant::now();
    api.write_all(&[0; 10]).await.unwrap();
    let broken_off = tokio::time::timeout(END, response.into_body().collect()).await;
    assert!(broken_off.expect("the answer ends").is_err());
    assert_eq!(started.elapsed().as_secs(), STALLED.as_secs());
    end_of(&mut api).await;
}

#[tokio::test(start_paused = true)]
async fn carries_an_answer_that_comes_slowly_to_its_end() {
    let (answer, mut api) = answer_of_an_api().await;
    let (response, _serving) = serve_one(answer, WINDOW).await;
    let sending = async {
        for _ in 0..4 {
            sleep(STALLED - Duration::from_secs(1)).await;
            api.write_all(&[0; 1024]).await.unwrap();
        }
    };
    let (collected, ()) = tokio::join!(response.into_body().collect(), sending);
    assert_eq!(collected.unwrap().to_bytes().len(), 4096);
}

/// A client over HTTP/1.1 that sends this much of a request and no more.
async fn ends_after(sent: &[u8]) -> Duration {
    let (gateway, mut client) = duplex(PIPE);
    let connection = connection();
    let service = service_fn(|_request: Request<Incoming>| {
        std::future::pending::<Result<Response<ResponseBody>, Infallible>>()
    });
    let http = http1_builder()
        .serve_connection(TokioIo::new(gateway), service)
        .with_upgrades();
    let started = Instant::now();
    client.write_all(sent).await.unwrap();
    let shutdown = Shutdown::new();
    let serving = run(
        http,
        http1::UpgradeableConnection::graceful_shutdown,
        IDLE_HTTP1,
        &connection,
        &shutdown,
    );
    tokio::time::timeout(END, serving).await.expect("it ends");
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn ends_an_http_1_connection_whose_client_sends_no_request_or_half_of_one() {
    assert_eq!(ends_after(b"").await, IDLE_HTTP1);
    assert_eq!(ends_after(b"GET / HTTP/1.1\r\nhost: a").await, IDLE_HTTP1);
}
