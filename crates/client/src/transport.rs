//! One request and its answer, bounded; and what went wrong with the connection, in sentences.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use mtls::{Alert, ClientTls, ConnectTo, ServerCertificateFault, server_certificate_fault};
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode, Url};

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The connections opened with one certificate.
pub(crate) struct Transport {
    pub(crate) http_client: reqwest::Client,
    pub(crate) tls: ClientTls,
}

impl Transport {
    /// Sends a request and reads at most `limit` bytes of the answer.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        peer: &Peer,
        limit: usize,
    ) -> Result<Received, TransportError> {
        match receive(request, limit).await {
            Ok(Some(received)) => Ok(received),
            Ok(None) => Err(TransportError::TooLarge {
                peer: peer.clone(),
                limit,
            }),
            Err(error) => {
                let refusal = self.tls.refusal_behind(&error, &peer.host, &peer.address).await;
                Err(TransportError::new(peer, &error, refusal))
            }
        }
    }
}

/// The answer, or `None` where its body is larger than `limit`.
async fn receive(request: RequestBuilder, limit: usize) -> Result<Option<Received>, reqwest::Error> {
    let mut response = request.send().await?;
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Some(Received {
        status,
        headers,
        body: body.freeze(),
    }))
}

/// The URL in `text`, if it is an `https` one: to no other is a certificate shown, or a token sent.
///
/// RFC 6750 §5.3
pub fn https_url(text: &str) -> Option<Url> {
    text.parse::<Url>().ok().filter(|url| url.scheme() == "https")
}

/// The server at the other end: the host of the URL, and the address it is reached at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    host: String,
    address: String,
}

impl Peer {
    /// The server of `url`, with these mappings.
    pub(crate) fn of(url: &Url, connect_to: &[ConnectTo]) -> Self {
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or_default();
        let address = match connect_to.iter().find(|mapping| mapping.host == host) {
            Some(ConnectTo { address, .. }) if url.port().is_none() => address.to_string(),
            Some(ConnectTo { address, .. }) => SocketAddr::new(address.ip(), port).to_string(),
            None => format!("{host}:{port}"),
        };
        Self { host, address }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.host, self.address)
    }
}

/// What went wrong between the client and a server. Nothing here is worth an unchanged second try but a timeout and
/// a broken connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The server ended the connection and said why; most often it refused the client certificate.
    #[error("{peer}: {}", alert.sentence())]
    Alert {
        /// The server.
        peer: Peer,
        /// What it said.
        alert: Alert,
    },
    /// The client refused the server's certificate. RFC 6750 §5.3
    #[error("{peer}: {}; nothing was sent to it", fault.sentence())]
    ServerCertificate {
        /// The server.
        peer: Peer,
        /// What is wrong with its certificate.
        fault: ServerCertificateFault,
    },
    /// Nobody listens there.
    #[error(
        "{peer}: the connection was refused; is the server running, and is the address right (--connect-to)?"
    )]
    Refused {
        /// The server.
        peer: Peer,
    },
    /// The server's name leads nowhere.
    #[error("{peer}: the host name has no address; is it right, or does it need a mapping (--connect-to)?")]
    UnknownHost {
        /// The server.
        peer: Peer,
    },
    /// Somebody accepted the connection and closed it, as a gateway does that cannot reach the server behind it.
    #[error(
        "{peer}: the connection was closed during the TLS handshake; is the server running, also where a gateway stands \
         before it?"
    )]
    CutOff {
        /// The server.
        peer: Peer,
    },
    /// Whoever answers does not speak TLS.
    #[error("{peer}: whoever answers there does not speak TLS; is the port right?")]
    NotTls {
        /// The server.
        peer: Peer,
    },
    /// No connection, or no answer, in time.
    #[error(
        "{peer}: no answer in time; is the address right (--connect-to), and does a firewall let you through?"
    )]
    TimedOut {
        /// The server.
        peer: Peer,
    },
    /// The answer has no end.
    #[error("{peer}: the answer is larger than {limit} bytes and was not read")]
    TooLarge {
        /// The server.
        peer: Peer,
        /// What would have been read.
        limit: usize,
    },
    /// Anything else, in the words of everyone concerned.
    #[error("{peer}: {reason}")]
    Other {
        /// The server.
        peer: Peer,
        /// The words.
        reason: String,
    },
}

impl TransportError {
    fn new(peer: &Peer, error: &reqwest::Error, refusal: Option<Alert>) -> Self {
        let peer = peer.clone();
        if let Some(alert) = refusal {
            return Self::Alert { peer, alert };
        }
        if let Some(fault) = server_certificate_fault(error) {
            return Self::ServerCertificate { peer, fault };
        }
        if error.is_timeout() {
            return Self::TimedOut { peer };
        }
        if is_of_kind(error, &[io::ErrorKind::ConnectionRefused]) {
            return Self::Refused { peer };
        }
        if says(error, UNKNOWN_HOST) {
            return Self::UnknownHost { peer };
        }
        if says(error, NOT_TLS) {
            return Self::NotTls { peer };
        }
        if error.is_connect() && is_of_kind(error, &CUT_OFF) {
            return Self::CutOff { peer };
        }
        Self::Other {
            peer,
            reason: words(error),
        }
    }
}

/// How the system names a connection that ends before the handshake does.
const CUT_OFF: [io::ErrorKind; 4] = [
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::BrokenPipe,
];

fn is_of_kind(error: &reqwest::Error, kinds: &[io::ErrorKind]) -> bool {
    causes(error).any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| kinds.contains(&innermost(error).kind()))
    })
}

/// hyper-rustls wraps what the handshake says once more; an `io::Error` leaves the error it wraps out of its sources.
fn innermost(error: &io::Error) -> &io::Error {
    let wrapped = error.get_ref().and_then(|inner| inner.downcast_ref());
    wrapped.map_or(error, innermost)
}

/// hyper-util's words where a name cannot be looked up: the type behind them is not public.
const UNKNOWN_HOST: &str = "dns error";

/// rustls's words for a first byte that begins no TLS record: its types stay behind mtls.
const NOT_TLS: &str = "received corrupt message of type InvalidContentType";

/// Whether these are the words of a cause, whole, so that nothing else is taken for it.
fn says(error: &reqwest::Error, words: &str) -> bool {
    causes(error).any(|cause| cause.to_string() == words)
}

/// What every cause says, down to the first.
fn words(error: &reqwest::Error) -> String {
    causes(error)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_named_with_the_address_that_is_really_called() {
        let mappings = ["api.example.com=127.0.0.1:3000".parse().unwrap()];
        let peer = |url: &str| Peer::of(&url.parse().unwrap(), &mappings).to_string();
        assert_eq!(
            peer("https://api.example.com/a"),
            "api.example.com (127.0.0.1:3000)"
        );
        assert_eq!(
            peer("https://api.example.com:8443/a"),
            "api.example.com (127.0.0.1:8443)"
        );
        assert_eq!(
            peer("https://login.example.com/a"),
            "login.example.com (login.example.com:443)"
        );
    }

    #[test]
    fn a_peer_with_an_ipv6_address_is_named_by_one_that_can_be_called() {
        let mappings = ["api.example.com=[::1]:3000".parse().unwrap()];
        let peer = |url: &str| Peer::of(&url.parse().unwrap(), &mappings).to_string();
        assert_eq!(peer("https://api.example.com/a"), "api.example.com ([::1]:3000)");
        assert_eq!(
            peer("https://api.example.com:8443/a"),
            "api.example.com ([::1]:8443)"
        );
        assert_eq!(peer("https://[::1]:8443/a"), "[::1] ([::1]:8443)");
    }
}
