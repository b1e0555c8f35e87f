//! A server: who it is, whether it is there, and the connections kept to it.

use std::fmt;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

use super::health::Health;
use super::lease::Lease;
use super::pool::Pool;
use crate::host::host_of_authority;

/// A server, for all routes that name it.
#[derive(Debug)]
pub(crate) struct Server {
    target: Target,
    host: HeaderValue,
    health: Health,
    /// One for each worker; with more workers than cores, some share.
    pub(super) pools: Box<[Pool]>,
}

/// All that goes into a connection, but for what is the same for every server: the client certificate and the trust.
/// Where it is equal, a connection to the one server is as good as one to the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Target {
    scheme: Scheme,
    authority: Authority,
    offers: Protocols,
}

/// What the gateway offers to speak where TLS lets the server choose; in the clear it is HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocols {
    Http2OrHttp1,
    Http1,
}

impl Server {
    /// Reads `http://host:port` or `https://host:port`.
    pub(super) fn parse(text: &str, offers: Protocols) -> Result<Self, MalformedUpstream> {
        let parts = text.parse::<Uri>().map_err(|_| MalformedUpstream)?.into_parts();
        let path = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
        let (Some(scheme), Some(authority), "/") = (parts.scheme, parts.authority, path) else {
            return Err(MalformedUpstream);
        };
        let is_web = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        if !is_web || host_of_authority(authority.as_str().as_bytes()).is_none() {
            return Err(MalformedUpstream);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| MalformedUpstream)?,
            target: Target {
                scheme,
                authority,
                offers,
            },
            health: Health::new(),
            pools: (0..cores).map(|_| Pool::default()).collect(),
        })
    }

    /// What tells it from other servers.
    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// The URI of `path_and_query` on this server, which is passed on as it came.
    pub(crate) fn uri(&self, path_and_query: PathAndQuery) -> Result<Uri, http::Error> {
        Uri::builder()
            .scheme(self.target.scheme.clone())
            .authority(self.target.authority.clone())
            .path_and_query(path_and_query)
            .build()
    }

    /// The value of the `Host` field.
    pub(crate) fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// Whether connections to it may carry several requests at once.
    pub(super) fn may_speak_http2(&self) -> bool {
        self.target.scheme == Scheme::HTTPS && self.target.offers == Protocols::Http2OrHttp1
    }

    /// What is to be offered to it.
    pub(crate) const fn offers(&self) -> Protocols {
        self.target.offers
    }

    /// Whether requests reach this server, as far as was seen.
    pub(crate) const fn health(&self) -> &Health {
        &self.health
    }

    /// An open connection of this worker's with room for a request, made since `generation`.
    pub(crate) fn open_connection(self: &Arc<Self>, worker: usize, generation: u64) -> Option<Lease> {
        self.pool(worker).take(generation, self)
    }

    pub(super) fn pool(&self, worker: usize) -> &Pool {
        &self.pools[worker % self.pools.len()]
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.target.scheme, self.target.authority)
    }
}

/// The text names no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `http://host:port` or `https://host:port`, without path, query and user")]
pub(crate) struct MalformedUpstream;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_http_and_https_servers_alone() {
        let parse = |text| Server::parse(text, Protocols::Http1);
        for text in [
            "https://localhost:3001",
            "http://127.0.0.1:8080",
            "https://api-internal.example.com/",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in [
            "localhost:3001",
            "ftp://a",
            "https://a/x",
            "https://a?x",
            "https://u@a",
            "/x",
            "",
            "https://a:b",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
