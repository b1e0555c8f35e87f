//! New connections to the APIs: TCP, TLS where the server has it, and the protocol the two agreed on.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use hyper::client::conn::http2;
use hyper::service::Service;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mtls::{Alpn, ClientTls};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::util::MapResponse;

use super::http1::{self, Connected, Lent, Socket};
use super::lease::Lease;
use super::pool::{MOST_STREAMS, Shared};
use super::server::{Protocols, Server};

/// For one of several addresses a name has; the whole is bounded by the route.
const ADDRESSES: Duration = Duration::from_secs(5);
/// Bounds the memory an API's header fields can take over HTTP/2.
const LARGEST_HEADERS: u32 = 64 * 1024;
/// Of each stream. Bounds, with [`MOST_STREAMS`], the memory of an HTTP/2 connection whose callers do not read.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Between two HTTP/2 pings; a server that leaves one unanswered for half of it is gone.
const PING: Duration = Duration::from_secs(20);

/// Opens connections, as the client certificate and the trust of the moment say.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    tls: ClientTls,
    either: Tls,
    http1: Tls,
}

type Tls = TowerToHyperService<HttpsConnector<Tcp>>;

type Tcp = MapResponse<HttpConnector, fn(TokioIo<TcpStream>) -> TokioIo<Socket>>;

impl Connector {
    /// Connects as `tls` says.
    ///
    /// # Errors
    ///
    /// When the TLS configuration cannot be made.
    pub(crate) fn new(tls: &ClientTls) -> Result<Self, mtls::ClientError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(ADDRESSES));
        let tcp = Tcp::new(tcp, |socket| TokioIo::new(Socket::new(socket.into_inner())));
        let builder = || -> Result<_, mtls::ClientError> {
            let config = tls.rustls_client_config(Alpn::Unset)?;
            Ok(HttpsConnectorBuilder::new()
                .with_tls_config(config)
                .https_or_http()
                .enable_http1())
        };
        Ok(Self {
            either: Tls::new(builder()?.enable_http2().wrap_connector(tcp.clone())),
            http1: Tls::new(builder()?.wrap_connector(tcp)),
            tls: tls.clone(),
        })
    }

    /// Which certificate connections show; those of an earlier generation are not used any more.
    pub(crate) fn generation(&self) -> u64 {
        self.tls.generation()
    }

    /// A new connection to this server for one request, made in time.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; then nothing of any request was sent.
    pub(crate) async fn connect(
        &self,
        server: &Arc<Server>,
        offers: Protocols,
        worker: usize,
        limit: Duration,
    ) -> Result<Lease, ConnectError> {
        // Asked before the handshake: a certificate that changes during it makes one connection too many, not an old one.
        let generation = self.generation();
        let opening = self.open(server, offers, worker, generation);
        timeout(limit, opening).await.map_err(|_| ConnectError::TooSlow)?
    }

    async fn open(
        &self,
        server: &Arc<Server>,
        offers: Protocols,
        worker: usize,
        generation: u64,
    ) -> Result<Lease, ConnectError> {
        let connector = match offers {
            Protocols::Http2OrHttp1 => &self.either,
            Protocols::Http1 => &self.http1,
        };
        let target = server
            .uri(PathAndQuery::from_static("/"))
            .map_err(ConnectError::of)?;
        let stream = connector.call(target).await.map_err(ConnectError::Failed)?;
        if !stream.connected().is_negotiated_h2() {
            let mut connection = http1::Connection::new(stream.into(), worker, generation);
            if !connection.is_quiet() {
                return Err(ConnectError::NotMeant);
            }
            return Ok(Lease::Http1(Lent::new(Box::new(connection), Arc::clone(server))));
        }
        let shared = http2_connection(stream).await?;
        let pool = server.pool(worker);
        Ok(Lease::Http2(pool.share(shared, generation, server)))
    }
}

async fn http2_connection(stream: Connected) -> Result<Shared, ConnectError> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING / 2)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW * MOST_STREAMS)
        .max_header_list_size(LARGEST_HEADERS)
        .handshake(stream)
        .await
        .map_err(ConnectError::of)?;
    Ok(Shared::driven(sender, connection))
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no connection in time")]
    TooSlow,
    #[error("it was closed, or spoken on, before any request")]
    NotMeant,
    #[error("no connection")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl ConnectError {
    fn of(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}
