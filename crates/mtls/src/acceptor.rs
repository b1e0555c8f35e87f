//! From a TCP connection to a TLS connection whose peer is known.
//!
//! Bounds how many there are and how long a handshake may take, refuses so that the peer can read why, and hands
//! every request of the connection the same [`Connection`].

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use oauth_core::certificate::ClientCertificate;
use oauth_core::time::Timestamp;
use rustls::{CertificateError, OtherError, ServerConfig};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Layer;

use crate::alert::tls_error;
use crate::bounds::{Counted, Idle, Requests};
use crate::chain::PresentedChain;
use crate::farewell::Untrusted;
use crate::linger::linger;
use crate::network::TrustedProxies;
use crate::on_arrival::OnArrival;
use crate::one_piece::OnePiece;
use crate::patience::Patience;
use crate::proxy_protocol;
use crate::serve::Limits;
use crate::server_tls::{Offer, ServerTls};
use crate::standing::{NoLongerTrusted, Standing};
use crate::start_deadline::StartDeadline;
use crate::until::{Reason, Until};

/// What is known of a connection after its handshake; every request of it carries `Extension<Arc<Connection>>`.
///
/// The certificate is parsed and hashed once per connection, not per request.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The certificate the peer proved to hold the key of; `None` where none was asked for or none was sent.
    pub client_certificate: Option<ClientCertificate>,
    /// All that the peer sent, the certificate first.
    pub chain: PresentedChain,
    /// Where the connection comes from; told by a proxy, where one is trusted.
    pub peer_address: SocketAddr,
    /// The host the peer named in the handshake, in lower case. RFC 6066 §3.
    pub server_name: Option<String>,
    /// Whether the certificate is still trusted: a connection can outlive the trust it was opened under.
    pub standing: Standing,
}

impl Connection {
    /// The certificate, as long as it is worth what it was in the handshake: valid at `now`, and trusted under what
    /// is loaded now. `Ok(None)` where there is none.
    ///
    /// # Errors
    ///
    /// [`NoLongerTrusted`] says why a certificate counts for nothing any more. Fails closed: the request is to be
    /// refused, and the connection with it.
    pub fn trusted_certificate(&self, now: Timestamp) -> Result<Option<&ClientCertificate>, NoLongerTrusted> {
        let Some(certificate) = &self.client_certificate else {
            return Ok(None);
        };
        if !certificate.is_valid_at(now) {
            return Err(NoLongerTrusted::expired());
        }
        self.standing.verify(now)?;
        Ok(Some(certificate))
    }
}

/// The acceptor of one TLS listener, to be given to `axum_server`.
#[derive(Clone, Debug)]
pub(crate) struct Acceptor {
    tls: ServerTls,
    limits: Limits,
    vacancies: Arc<Semaphore>,
    proxies: Option<TrustedProxies>,
}

/// TLS over a socket.
type Encrypted = TlsStream<OnePiece<TcpStream>>;

/// The stream of an accepted connection; holds the connection's place among [`Limits::connections`].
pub(crate) type AcceptedStream = OnArrival<Until<Patience<Encrypted>, Ends>>;

/// Why an accepted connection ends before its peer ends it.
#[derive(Debug)]
pub(crate) struct Ends {
    untrusted: Untrusted,
    idle: Idle,
    start: StartDeadline,
    _place: OwnedSemaphorePermit,
}

impl Reason for Ends {
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            untrusted,
            idle,
            start,
            ..
        } = self;
        let reasons: [&mut dyn Reason; 3] = [untrusted, idle, start];
        reasons
            .into_iter()
            .map(|reason| reason.poll_end(context))
            .find(Poll::is_ready)
            .unwrap_or(Poll::Pending)
    }

    fn observe(&mut self, read: &[u8]) {
        self.start.observe(read);
    }
}

impl Acceptor {
    /// Accepts under this TLS configuration, as it stands at each handshake, and within these limits.
    pub(crate) fn new(tls: impl Into<ServerTls>, limits: Limits) -> Self {
        Self {
            tls: tls.into(),
            limits,
            vacancies: Arc::new(Semaphore::new(limits.connections)),
            proxies: None,
        }
    }

    /// Accepts connections of these proxies alone, each of which begins with a PROXY header.
    #[must_use]
    pub(crate) fn behind(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = Some(proxies);
        self
    }

    async fn admit(
        &self,
        mut stream: TcpStream,
        requests: Arc<Requests>,
    ) -> io::Result<(AcceptedStream, Connection)> {
        let peer = stream.peer_addr()?;
        let place = self.take_place(peer)?;
        stream.set_nodelay(true)?;
        let peer = self.origin(&mut stream, peer).await?;
        let offer = self.tls.offer();
        let stream = self.handshake(stream, peer, offer.config()).await?;
        let connection = facts(&stream, peer, offer)?;
        let ends = Ends {
            untrusted: Untrusted::new(&connection.standing),
            idle: Idle::new(requests, self.limits.idle),
            start: StartDeadline::new(self.limits.first_bytes),
            _place: place,
        };
        let stream = Patience::new(stream, self.limits.unread);
        Ok((OnArrival::new(Until::new(stream, ends)), connection))
    }

    fn take_place(&self, peer: SocketAddr) -> io::Result<OwnedSemaphorePermit> {
        Arc::clone(&self.vacancies).try_acquire_owned().map_err(|_| {
            let limit = self.limits.connections;
            tracing::warn!(peer.address = %peer, "connection from {peer} dropped: all {limit} places are taken");
            io::Error::from(io::ErrorKind::QuotaExceeded)
        })
    }

    /// Where the connection comes from: its peer, or whom a proxy names.
    async fn origin(&self, stream: &mut TcpStream, peer: SocketAddr) -> io::Result<SocketAddr> {
        let Some(proxies) = &self.proxies else {
            return Ok(peer);
        };
        let told = match proxies.contain(peer.ip()) {
            true => timeout(self.limits.handshake, proxy_protocol::read(stream))
                .await
                .map_err(|_elapsed| "its PROXY header did not come in time".to_owned())
                .and_then(|told| told.map_err(|error| error.to_string())),
            false => Err("its peer is none of the trusted proxies".to_owned()),
        };
        match told {
            Ok(told) => Ok(told.map_or(peer, |ends| ends.source)),
            Err(reason) => {
                tracing::info!(peer.address = %peer, reason, "connection from {peer} refused: {reason}");
                Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
            }
        }
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        config: Arc<ServerConfig>,
    ) -> io::Result<Encrypted> {
        let handshake = TlsAcceptor::from(config)
            .accept(OnePiece::new(stream))
            .into_fallible();
        match timeout(self.limits.handshake, handshake).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err((error, stream))) => {
                log_refusal(peer, &handshake_failure(&error));
                linger(stream).await;
                Err(error)
            }
            Err(elapsed) => {
                log_refusal(peer, "the peer did not finish it in time");
                Err(io::Error::new(io::ErrorKind::TimedOut, elapsed))
            }
        }
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Acceptor {
    type Stream = AcceptedStream;
    type Service = Counted<AddExtension<S, Arc<Connection>>>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let acceptor = self.clone();
        Box::pin(async move {
            let requests = Arc::new(Requests::none_yet());
            let (stream, connection) = acceptor.admit(stream, Arc::clone(&requests)).await?;
            let service = Extension(Arc::new(connection)).layer(service);
            Ok((stream, Counted::new(service, requests)))
        })
    }
}

/// Why a handshake failed, in one line for the log.
///
/// Names what a verifier found wrong where it has words of its own, else what rustls says.
pub fn handshake_failure(error: &io::Error) -> String {
    match tls_error(error) {
        Some(reason) => words_of(reason),
        None => error.to_string(),
    }
}

pub(crate) fn words_of(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) => reason.to_string(),
        rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            "the client certificate is valid and not among those let in here".into()
        }
        reason => reason.to_string(),
    }
}

fn facts(stream: &Encrypted, peer_address: SocketAddr, offer: Offer) -> io::Result<Connection> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    let client_certificate = leaf
        .map(|der| ClientCertificate::from_der(der))
        .transpose()
        .map_err(|error| {
            log_refusal(peer_address, "the client certificate cannot be parsed");
            io::Error::new(io::ErrorKind::InvalidData, error)
        })?;
    let server_name = session.server_name().map(str::to_ascii_lowercase);
    Ok(Connection {
        client_certificate,
        chain: PresentedChain::new(session.peer_certificates()),
        peer_address,
        server_name,
        standing: offer.standing(session),
    })
}

fn log_refusal(peer: SocketAddr, reason: &str) {
    tracing::info!(peer.address = %peer, reason, "TLS handshake with {peer} refused: {reason}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::Refusal;

    fn failure(error: rustls::Error) -> String {
        handshake_failure(&io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn a_failure_is_logged_in_the_words_of_whoever_found_it() {
        assert!(failure(CertificateError::Revoked.into()).contains("Revoked"));
        let refused = CertificateError::from(Refusal::WeakKey);
        assert_eq!(failure(refused.into()), Refusal::WeakKey.to_string());
        let not_admitted = CertificateError::ApplicationVerificationFailure;
        assert!(failure(not_admitted.into()).contains("not among those let in"));
        let ended = io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof");
        assert_eq!(handshake_failure(&ended), "tls handshake eof");
    }
}
