//! What an API answers over HTTP/1.1, opened to the fuzz target; no other build has this module.

use std::convert::Infallible;
use std::iter;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body::Body as _;
use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncWrite, DuplexStream, duplex};

use super::http1::{Connection, Exchange, Lent, Stream};
use super::{Protocols, Server};

const PIPE: usize = 1024 * 1024;

/// What the caller is told, and whether another request follows on the connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The fields.
    pub fields: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The fields behind the body.
    pub trailers: Option<HeaderMap>,
    /// Whether the connection is kept.
    pub is_kept: bool,
}

/// The answer to a request of this method that comes in these pieces, and then no more; `None` where it is refused.
pub fn upstream_answer(method: Method, pieces: &[&[u8]]) -> Option<Answer> {
    let (gateway, api) = duplex(PIPE);
    let server = Arc::new(Server::parse("http://localhost", Protocols::Http1).ok()?);
    let connection = Connection::new(Stream::Memory(gateway), 0, 0);
    let lent = Lent::new(Box::new(connection), Arc::clone(&server));
    let body = Empty::<Bytes>::new().map_err(|never: Infallible| match never {});
    let mut request = Some(Request::builder().method(method).body(body).ok()?);
    let mut reading = pin!(async {
        let (head, body) = Exchange::new(lent, &mut request, iter::empty())
            .await
            .ok()?
            .into_parts();
        if body.is_end_stream() {
            return Some((head, Bytes::new(), None));
        }
        let collected = body.collect().await.ok()?;
        let trailers = collected.trailers().cloned();
        Some((head, collected.to_bytes(), trailers))
    });
    let mut context = Context::from_waker(Waker::noop());
    let mut api = Some(api);
    let mut pieces = pieces.iter();
    let (head, body, trailers) = loop {
        if let Poll::Ready(read) = reading.as_mut().poll(&mut context) {
            break read?;
        }
        match (pieces.next(), &mut api) {
            (Some(piece), Some(api)) => write(api, piece, &mut context),
            // The end of the connection.
            _ => api = None,
        }
    };
    Some(Answer {
        status: head.status.as_u16(),
        fields: head.headers,
        body: body.to_vec(),
        trailers,
        is_kept: api.is_some() && pieces.next().is_none() && server.open_connection(0, 0).is_some(),
    })
}

fn write(api: &mut DuplexStream, piece: &[u8], context: &mut Context<'_>) {
    // The pipe takes more than any input holds.
    let _taken = pin!(api).poll_write(context, piece);
}
