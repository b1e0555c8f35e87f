//! Listening and serving over TLS: within limits, and to a graceful end.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::ServiceExt as _;
use axum::http::Request;
use axum::response::Response;
use axum_server::Handle;
use hyper::body::Incoming;
use hyper_util::rt::TokioTimer;
use tower::Service;

use crate::acceptor::Acceptor;
use crate::network::TrustedProxies;
use crate::server_tls::ServerTls;

/// Bounds the memory one request's header fields can take.
const LARGEST_HEADERS: u32 = 64 * 1024;
/// Bounds the work one HTTP/2 connection can have in hand at once.
const MOST_CONCURRENT_STREAMS: u32 = 128;

/// What one peer, and all of them together, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, handshakes included; further ones are dropped.
    pub connections: usize,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// From the handshake to the bytes that tell the HTTP version.
    pub first_bytes: Duration,
    /// For a request's header fields over HTTP/1.1; bounds an idle connection as well.
    pub headers: Duration,
    /// Without a request in hand, whatever the HTTP version and however many pings are answered.
    pub idle: Duration,
    /// For a peer to read on.
    pub unread: Duration,
    /// Between two HTTP/2 pings; a peer that leaves one unanswered for half of it is gone.
    pub ping: Duration,
    /// For requests in hand when the service stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            handshake: Duration::from_secs(10),
            first_bytes: Duration::from_secs(10),
            headers: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            unread: Duration::from_secs(30),
            ping: Duration::from_secs(20),
            drain: Duration::from_secs(30),
        }
    }
}

/// What answers the requests of a listener: an axum router, or what stands in front of one.
pub trait Answering:
    Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Answering for S where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Opens a listener; `name` is the configuration key the address came from, for the error.
///
/// # Errors
///
/// Names the key, the address and what is wrong with it: in use, not ours, or not permitted.
pub fn bind(address: SocketAddr, name: &str) -> Result<TcpListener, BindError> {
    let open = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open().map_err(|cause| BindError {
        name: name.to_owned(),
        address,
        cause,
    })
}

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{name}: cannot listen on {address}: {}", explanation(cause))]
pub struct BindError {
    /// The configuration key the address came from.
    pub name: String,
    /// The address.
    pub address: SocketAddr,
    /// What the operating system said; already part of the message.
    pub cause: io::Error,
}

/// Serves `service` over TLS until `shutdown`, then finishes the requests in hand, within [`Limits::drain`].
///
/// `tls` is a [`ServerTls`], of which every handshake takes what stands at that moment, or a fixed configuration.
/// Every request carries `Extension<Arc<Connection>>`. A failed handshake ends its own connection and nothing else.
///
/// # Errors
///
/// When the listener cannot be used.
pub async fn serve_tls(
    listener: TcpListener,
    tls: impl Into<ServerTls>,
    service: impl Answering,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), io::Error> {
    serve_tls_with_limits(listener, tls, service, Limits::default(), shutdown).await
}

/// As [`serve_tls`], within other limits than the default ones.
///
/// # Errors
///
/// When the listener cannot be used.
pub async fn serve_tls_with_limits(
    listener: TcpListener,
    tls: impl Into<ServerTls>,
    service: impl Answering,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), io::Error> {
    serve(listener, Acceptor::new(tls, limits), service, limits, shutdown).await
}

/// As [`serve_tls`], for connections of these proxies alone, which tell where they come from.
///
/// # Errors
///
/// When the listener cannot be used.
pub async fn serve_tls_behind_proxies(
    listener: TcpListener,
    tls: impl Into<ServerTls>,
    service: impl Answering,
    proxies: TrustedProxies,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), io::Error> {
    let limits = Limits::default();
    let acceptor = Acceptor::new(tls, limits).behind(proxies);
    serve(listener, acceptor, service, limits, shutdown).await
}

async fn serve(
    listener: TcpListener,
    acceptor: Acceptor,
    service: impl Answering,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), io::Error> {
    let handle = Handle::new();
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle.clone())
        .acceptor(acceptor);
    // Without a timer hyper's limits of time do nothing.
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(LARGEST_HEADERS as usize);
    server
        .http_builder()
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.ping)
        .keep_alive_timeout(limits.ping / 2)
        .max_concurrent_streams(MOST_CONCURRENT_STREAMS)
        .max_header_list_size(LARGEST_HEADERS);
    let mut serving = std::pin::pin!(server.serve(service.into_make_service()));
    tokio::select! {
        ended = &mut serving => return ended,
        () = shutdown => handle.graceful_shutdown(Some(limits.drain)),
    }
    serving.await
}

fn explanation(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "the address is in use; stop what listens there or choose another port".into()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        io::ErrorKind::PermissionDenied => {
            "not permitted; choose a port of 1024 or above, or grant CAP_NET_BIND_SERVICE".into()
        }
        _ => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_key_and_the_address_in_use() {
        let taken = bind("127.0.0.1:0".parse().unwrap(), "listen.tls").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(address, "listen.mutual_tls").unwrap_err();
        assert_eq!(error.cause.kind(), io::ErrorKind::AddrInUse);
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("listen.mutual_tls: cannot listen on {address}")),
            "{message}"
        );
        assert!(message.contains("in use"), "{message}");
    }

    #[test]
    fn names_an_address_that_is_not_ours() {
        let error = bind("192.0.2.1:0".parse().unwrap(), "listen.tls").unwrap_err();
        assert!(error.to_string().contains("no such address"), "{error}");
    }
}
