//! The public port: from a TCP connection to a server name, and from the name to an upstream or to a handshake here.
//!
//! The only place in the gateway that names a rustls type. A connection that fails, lingers or asks for something
//! that is not there never touches another; what names no host of ours reaches no upstream.

mod client_hello;
mod handshake;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mtls::proxy_protocol::{self, Ends, ProxyProtocolError};
use mtls::{Offer, ServerTls, TrustedProxies};
use rustls::AlertDescription;
use service::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use self::client_hello::{ClientHello, ClientHelloError};
use self::handshake::{Encrypted, handshake, send_alert};
use crate::addresses::AddressPlace;
use crate::certificate_header::CertificateHeader;
use crate::clock::now;
use crate::connection::{Connection, PresentedCertificate};
use crate::gate::Gate;
use crate::host::HostName;
use crate::metrics;
use crate::passthrough::{PassThrough, pass_through};
use crate::read_certificates::ReadCertificates;
use crate::request::RequestHandler;
use crate::serve::{Protocol, serve};

/// For the header of a proxy; it has all of it before it connects.
const PROXY_HEADER: Duration = Duration::from_secs(5);
/// For the `ClientHello` alone.
const CLIENT_HELLO: Duration = Duration::from_secs(5);
/// For `ClientHello` and handshake together.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Before accepting again when the system has no descriptor or memory for another connection.
const BREATH: Duration = Duration::from_millis(100);

/// What becomes of the connections of the public port.
pub(crate) struct Frontier {
    /// Those who tell where connections come from.
    pub(crate) proxies: TrustedProxies,
    pub(crate) tls: ServerTls,
    pub(crate) certificates: Arc<ReadCertificates>,
    /// Where load balancers hand on their clients' certificates.
    pub(crate) certificate_header: Option<Arc<CertificateHeader>>,
    pub(crate) handler: Arc<RequestHandler>,
    pub(crate) shutdown: Shutdown,
}

/// Where the connections to one host go.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// On, unopened.
    PassThrough(PassThrough),
    /// To the handshake here.
    Terminate,
}

/// Accepts connections until the shutdown, and returns once those in hand, of all workers, have ended.
pub(crate) async fn accept(listener: TcpListener, frontier: Frontier, gate: Arc<Gate>) {
    let frontier = Arc::new(frontier);
    let shutdown = frontier.shutdown.clone();
    tokio::select! {
        never = accept_all(&listener, &frontier, &gate) => match never {},
        () = shutdown.requested() => {}
    }
    drop(listener);
    gate.is_done().await;
}

async fn accept_all(listener: &TcpListener, frontier: &Arc<Frontier>, gate: &Arc<Gate>) -> Infallible {
    loop {
        let Some((stream, peer)) = next(listener).await else {
            continue;
        };
        let Some(place) = gate.place().await else {
            continue;
        };
        let origin = match frontier.proxies.contain(peer.ip()) {
            true => Origin::Told(Arc::clone(gate)),
            false => match gate.share(peer.ip()) {
                Some(share) => Origin::Seen(share),
                None => continue,
            },
        };
        let frontier = Arc::clone(frontier);
        // Of many kilobytes, and moved from hand to hand until it runs.
        let connection = Box::pin(async move { frontier.admit(stream, peer, origin).await });
        gate.spawn(connection, place);
    }
}

/// The next connection; `None` where it could not be accepted.
async fn next(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted: {error}");
            // A peer that gave up before it was accepted costs nothing but its own connection.
            if !matches!(
                error.kind(),
                io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
            ) {
                sleep(BREATH).await;
            }
            None
        }
    }
}

/// Where a connection comes from.
enum Origin {
    /// From its peer, which has its share of the places.
    Seen(AddressPlace),
    /// From whom its peer, a proxy, says: then that address is to have its share.
    Told(Arc<Gate>),
}

impl Frontier {
    async fn admit(&self, mut stream: TcpStream, peer: SocketAddr, origin: Origin) {
        let ends = match ends_of(&mut stream, peer, &origin).await {
            Ok(ends) => ends,
            Err(refusal) => return log_refusal(peer, &refusal),
        };
        let peer = ends.source;
        let share = match origin {
            Origin::Seen(share) => Some(share),
            Origin::Told(gate) => gate.share(peer.ip()),
        };
        if share.is_some()
            && let Err(refusal) = self.route(stream, ends).await
        {
            log_refusal(peer, &refusal);
        }
    }

    async fn route(&self, mut stream: TcpStream, ends: Ends) -> Result<(), Refusal> {
        let deadline = Instant::now() + HANDSHAKE;
        stream.set_nodelay(true).map_err(Refusal::Broken)?;
        let hello = match read_client_hello(&mut stream).await {
            Ok(hello) => hello,
            Err(refusal) => return refuse(stream, refusal).await,
        };
        match self.destination(hello.accepted.client_hello().server_name()) {
            Ok((_, Destination::PassThrough(destination))) => {
                metrics::connection("passed_through");
                pass_on(stream, ends, &hello.received, &destination).await;
                Ok(())
            }
            Ok((server_name, Destination::Terminate)) => {
                let offer = self.tls.offer();
                let stream = handshake(stream, hello.accepted, &offer, now(), deadline).await?;
                self.serve(stream, offer, server_name, ends.source).await
            }
            Err(refusal) => refuse(stream, refusal).await,
        }
    }

    /// Fails closed: there is no default host.
    fn destination(&self, server_name: Option<&str>) -> Result<(HostName, Destination), Refusal> {
        let server_name = server_name.ok_or(Refusal::NoServerName)?;
        let unknown = || Refusal::UnknownServerName(server_name.to_owned());
        let host = HostName::parse(server_name).map_err(|_| unknown())?;
        let destination = self.handler.hosts.now().destinations.get(&host).cloned();
        Ok((host, destination.ok_or_else(unknown)?))
    }

    async fn serve(
        &self,
        stream: Box<Encrypted>,
        offer: Offer,
        server_name: HostName,
        peer: SocketAddr,
    ) -> Result<(), Refusal> {
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates().unwrap_or_default();
        let certificate = chain
            .first()
            .map(|certificate| self.certificates.read(certificate))
            .transpose()
            .map_err(Refusal::UnreadableCertificate)?
            .map(|certificate| PresentedCertificate::new(certificate, offer.standing(session)));
        metrics::connection("terminated");
        let connection = Connection::new(server_name, peer, certificate)
            .with_chain(chain.iter().skip(1).map(AsRef::as_ref));
        let connection = match &self.certificate_header {
            Some(header) => connection.with_certificate_header(header),
            None => connection,
        };
        let protocol = match session.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        let (connection, handler) = (Arc::new(connection), Arc::clone(&self.handler));
        // Most of what a connection takes: not before there is a handshake, and not moved with what came before.
        Box::pin(serve(stream, protocol, connection, handler, &self.shutdown)).await;
        Ok(())
    }
}

/// The two ends of a connection: those of its sockets, unless a proxy tells of others.
async fn ends_of(stream: &mut TcpStream, peer: SocketAddr, origin: &Origin) -> Result<Ends, Refusal> {
    let sockets = Ends {
        source: peer,
        destination: stream.local_addr().map_err(Refusal::Broken)?,
    };
    match origin {
        Origin::Seen(_) => Ok(sockets),
        Origin::Told(_) => match timeout(PROXY_HEADER, proxy_protocol::read(stream)).await {
            Ok(told) => Ok(told?.unwrap_or(sockets)),
            Err(_elapsed) => Err(Refusal::TooSlow),
        },
    }
}

fn log_refusal(peer: SocketAddr, refusal: &Refusal) {
    metrics::connection("refused");
    tracing::info!(peer.address = %peer, reason = %refusal, "connection from {peer} refused: {refusal}");
}

async fn read_client_hello(stream: &mut TcpStream) -> Result<ClientHello, Refusal> {
    match timeout(CLIENT_HELLO, client_hello::read(stream)).await {
        Ok(Ok(hello)) => Ok(hello),
        Ok(Err(error)) => Err(Refusal::ClientHello(error)),
        Err(_elapsed) => Err(Refusal::TooSlow),
    }
}

/// What is read of a peer before it is known what it wants.
#[cfg(fuzzing)]
pub(crate) async fn server_name<S: tokio::io::AsyncRead + Unpin>(
    stream: &mut S,
) -> Result<(Option<String>, Vec<u8>), String> {
    let hello = client_hello::read(stream)
        .await
        .map_err(|error| error.to_string())?;
    let name = hello.accepted.client_hello().server_name().map(str::to_owned);
    Ok((name, hello.received))
}

/// A peer that named a host we do not have is told so; every other is just left.
async fn refuse(mut stream: TcpStream, refusal: Refusal) -> Result<(), Refusal> {
    if refusal.is_of_the_server_name() {
        send_alert(&mut stream, AlertDescription::UnrecognisedName).await;
    }
    Err(refusal)
}

async fn pass_on(stream: TcpStream, ends: Ends, received: &[u8], destination: &PassThrough) {
    if let Err(error) = pass_through(stream, ends, received, destination).await {
        let (peer, upstream) = (ends.source, &destination.upstream);
        tracing::info!(
            peer.address = %peer, upstream, %error,
            "connection from {peer}, passed through to {upstream}, ended: {error}"
        );
    }
}

/// Why a connection comes to nothing; for the log.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    ProxyProtocol(#[from] ProxyProtocolError),
    #[error("{0}")]
    ClientHello(ClientHelloError),
    #[error("it names no server")]
    NoServerName,
    #[error("there is no host {0:?} here")]
    UnknownServerName(String),
    #[error("the handshake did not end in time")]
    TooSlow,
    #[error("{}", mtls::handshake_failure(.0))]
    Handshake(io::Error),
    #[error("{0}")]
    UnreadableCertificate(oauth_core::certificate::CertificateError),
    #[error("it broke off: {0}")]
    Broken(io::Error),
}

impl Refusal {
    fn is_of_the_server_name(&self) -> bool {
        matches!(
            self,
            Self::UnknownServerName(_) | Self::ClientHello(ClientHelloError::ServerNameMalformed)
        )
    }
}
