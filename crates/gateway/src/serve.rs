//! HTTP on a terminated connection, within limits of time and size, to a graceful end.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mtls::{Lingering, OnArrival, Patience};
use service::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::unconstrained;
use tokio::time::sleep;

use crate::connection::Connection;
use crate::request::RequestHandler;

/// Without a request over HTTP/1.1, and with it for a request's header fields: runs from the end of the request before,
/// so it is kept above the time for which clients keep idle connections.
const IDLE_HTTP1: Duration = Duration::from_secs(30);
/// Without a request over HTTP/2, also before the first one.
const IDLE_HTTP2: Duration = Duration::from_secs(60);
/// For a peer to read on.
const UNREAD: Duration = Duration::from_secs(60);
/// For a peer to close its side too. Bounds how long it holds its place by not doing so.
const LINGER: Duration = Duration::from_secs(2);
/// Bounds what a peer that goes on sending costs.
const MOST_DISCARDED: usize = 1024 * 1024;
/// For an answer's body to get on, be it the API or the peer that holds it up. A peer that takes less than a buffer's
/// worth in this time, about a kilobyte a second, is as one that takes nothing.
const STALLED: Duration = Duration::from_secs(60);
/// Bounds for how long a connection profits from a trust decision made in its handshake.
const OLDEST: Duration = Duration::from_secs(60 * 60);
/// For a peer to notice that a connection it does not use is over.
const FAREWELL: Duration = Duration::from_secs(5);
/// Bounds the memory one request's header fields can take.
const LARGEST_HEADERS: u32 = 64 * 1024;
/// Bounds the work one HTTP/2 connection can have in hand at once.
const MOST_CONCURRENT_STREAMS: u32 = 100;
/// Between two HTTP/2 pings; a peer that leaves one unanswered for half of it is gone.
const PING: Duration = Duration::from_secs(20);

/// What was agreed on in the handshake. RFC 7301
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Serves a connection until its peer, its age or the shutdown ends it.
pub(crate) async fn serve<S>(
    stream: S,
    protocol: Protocol,
    connection: Arc<Connection>,
    handler: Arc<RequestHandler>,
    shutdown: &Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = TokioIo::new(Lingering::new(
        Patience::new(OnArrival::new(stream), UNREAD),
        LINGER,
        MOST_DISCARDED,
    ));
    let facts = Arc::clone(&connection);
    let service = service_fn(move |request| {
        let (handler, connection) = (Arc::clone(&handler), Arc::clone(&connection));
        // Boxed, since it is handed from one future to the next, and each would have the room for it twice.
        let request = Box::new(request);
        async move { Ok::<_, Infallible>(handler.answer(request, &connection).await) }
    });
    match protocol {
        Protocol::Http1 => {
            run(
                http1_builder().serve_connection(stream, service).with_upgrades(),
                http1::UpgradeableConnection::graceful_shutdown,
                IDLE_HTTP1,
                &facts,
                shutdown,
            )
            .await;
            if let Some(tunnel) = facts.tunnel.take() {
                tunnel.run(&facts).await;
            }
        }
        Protocol::Http2 => {
            run(
                http2_builder().serve_connection(stream, service),
                http2::Connection::graceful_shutdown,
                IDLE_HTTP2,
                &facts,
                shutdown,
            )
            .await;
        }
    }
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Reading header fields is bounded by how long a connection may be idle: one timer for it, not one a request.
    builder
        .header_read_timeout(None)
        .max_buf_size(LARGEST_HEADERS as usize);
    builder
}

// Without a timer hyper's limits of time do nothing.
fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING / 2)
        .max_concurrent_streams(MOST_CONCURRENT_STREAMS)
        .max_header_list_size(LARGEST_HEADERS);
    builder
}

/// Drives a connection until it ends, or is to end, as `end_gracefully` has it do after the requests in hand.
async fn run<C>(
    http: C,
    end_gracefully: fn(Pin<&mut C>),
    idle: Duration,
    connection: &Connection,
    shutdown: &Shutdown,
) where
    C: Future<Output = Result<(), hyper::Error>>,
{
    let mut http = pin!(http);
    let mut endings = first_of([
        shutdown.requested().boxed(),
        connection.activity.quiet_for(idle).boxed(),
        connection.lost().boxed(),
        sleep(OLDEST).boxed(),
        give_up_stalled(connection).boxed(),
    ]);
    let ended = tokio::select! {
        biased;
        ended = http.as_mut() => Some(ended),
        _ending = ending(&mut endings) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            end_gracefully(http.as_mut());
            let mut endings = first_of([
                connection.activity.quiet_for(FAREWELL).boxed(),
                // Requests in hand may take long, and not for ever.
                sleep(OLDEST).boxed(),
                give_up_stalled(connection).boxed(),
            ]);
            tokio::select! {
                biased;
                ended = http => ended,
                _ending = ending(&mut endings) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        let peer = connection.peer_address;
        tracing::debug!(peer.address = %peer, %error, "connection from {peer} ended: {error}");
    }
}

/// Resolves with the first of them. However much a peer sends: what the connection uses up of a turn is not theirs.
async fn ending(endings: &mut FuturesUnordered<BoxFuture<'_, ()>>) {
    unconstrained(endings.next()).await;
}

/// What a connection may end by beside itself. Each is polled when it is woken, not with every byte that comes.
fn first_of<const N: usize>(endings: [BoxFuture<'_, ()>; N]) -> FuturesUnordered<BoxFuture<'_, ()>> {
    endings.into_iter().collect()
}

async fn give_up_stalled(connection: &Connection) {
    match connection.response_bodies.give_up_stalled(STALLED).await {}
}

#[cfg(test)]
mod tests;
