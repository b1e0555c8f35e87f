//! Both ends of a connection in memory: ours or hyper's client at the one, the bytes of an API at the other.

mod answers;
mod early_answers;
mod exchanges;
mod like_hyper;
mod requests;
mod writes;

use std::convert::Infallible;
use std::iter;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::ext::ReasonPhrase;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

pub(crate) use self::writes::Watched;
use super::*;
use crate::upstream::{Protocols, Server, Unanswered};

const PIPE: usize = 256 * 1024;

type TestBody = UnsyncBoxBody<Bytes, UploadError>;

/// What the caller is told of an answer, in full.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    status: StatusCode,
    reason: Option<ReasonPhrase>,
    fields: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Seen {
    async fn of<B: http_body::Body<Data = Bytes>>(answer: Response<B>) -> Option<Self> {
        let (head, body) = answer.into_parts();
        let collected = body.collect().await.ok()?;
        Some(Self {
            status: head.status,
            reason: head.extensions.get().cloned(),
            fields: head.headers,
            trailers: collected.trailers().cloned(),
            body: collected.to_bytes().to_vec(),
        })
    }
}

fn server() -> Arc<Server> {
    Arc::new(Server::parse("http://localhost", Protocols::Http1).unwrap())
}

fn lent(stream: DuplexStream, server: &Arc<Server>) -> Lent {
    lent_over(Stream::Memory(stream), server)
}

fn lent_over(stream: Stream, server: &Arc<Server>) -> Lent {
    Lent::new(Box::new(Connection::new(stream, 0, 0)), Arc::clone(server))
}

fn boxed<B>(body: B) -> TestBody
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    body.map_err(|never| match never {}).boxed_unsync()
}

fn request(method: Method) -> Request<TestBody> {
    let mut request = Request::new(boxed(Empty::new()));
    *request.method_mut() = method;
    request
}

async fn exchange(lent: Lent, request: Request<TestBody>) -> Result<Response<Body>, Unanswered> {
    let mut request = Some(request);
    Exchange::new(lent, &mut request, iter::empty()).await
}

/// An API that says this, piece by piece, and then ends the connection.
async fn say(mut api: DuplexStream, pieces: &[&[u8]]) {
    let mut request = [0; 1024];
    assert!(api.read(&mut request).await.unwrap() > 0);
    for piece in pieces {
        // Whoever has heard enough listens no more.
        let _unheard = api.write_all(piece).await;
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }
}

/// What we make of these bytes; `None` where they are refused.
async fn ours(method: &Method, pieces: &[&[u8]]) -> Option<Seen> {
    let (gateway, api) = duplex(PIPE);
    let reading = async {
        let answer = exchange(lent(gateway, &server()), request(method.clone())).await;
        Seen::of(answer.ok()?).await
    };
    tokio::join!(reading, say(api, pieces)).0
}

/// Whether another request may follow on the connection of this answer.
async fn is_kept(method: Method, answer: &str) -> bool {
    let ((gateway, mut api), server) = (duplex(PIPE), server());
    api.write_all(answer.as_bytes()).await.unwrap();
    let response = exchange(lent(gateway, &server), request(method)).await.unwrap();
    assert!(Seen::of(response).await.is_some(), "{answer:?}");
    server.open_connection(0, 0).is_some()
}
