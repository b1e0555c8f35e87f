//! The servers of the APIs: who they are, how many requests they have in hand, and the connections kept to them.
//!
//! A route owns its servers, and a server its connections: dropped together, they end when the last request on them
//! does. Each worker keeps connections of its own, so that no request waits for another core.

mod connector;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod health;
mod http1;
mod lease;
mod pool;
mod upstreams;

use std::fmt;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use self::connector::Connector;
use self::health::Health;
pub(crate) use self::http1::Switched;
pub(crate) use self::lease::{AnswerBody, AnswerError, Lease, Outbound, Unanswered};
use self::pool::Pool;
pub(crate) use self::upstreams::Upstreams;
use crate::host::host_of_authority;

/// Requests that one server of a route has in hand at once. Bounds what a crowd of callers, or a server that hangs,
/// takes of the gateway's descriptors and of the server.
const MOST_REQUESTS_PER_SERVER: usize = 1_000;

/// One server of an API.
#[derive(Debug)]
pub(crate) struct Upstream {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    offers: Protocols,
    places: Arc<Semaphore>,
    health: Health,
    /// One for each worker; with more workers than cores, some share.
    pools: Box<[Pool]>,
}

/// What the gateway offers to speak where TLS lets the server choose; in the clear it is HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocols {
    Http2OrHttp1,
    Http1,
}

/// A request's place at a server, until the request is whole and the answer has gone out; clones are of the same place.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamPlace {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Upstream {
    /// Reads `http://host:port` or `https://host:port`.
    pub(crate) fn parse(text: &str, offers: Protocols) -> Result<Self, MalformedUpstream> {
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
            scheme,
            authority,
            offers,
            places: Arc::new(Semaphore::new(MOST_REQUESTS_PER_SERVER)),
            health: Health::new(),
            pools: (0..cores).map(|_| Pool::default()).collect(),
        })
    }

    /// Whether a connection to the one is as good as one to the other.
    fn is_same(&self, other: &Self) -> bool {
        (&self.scheme, &self.authority, self.offers) == (&other.scheme, &other.authority, other.offers)
    }

    /// A place for one more request; `None` where this server has its fill.
    pub(crate) fn place(&self) -> Option<UpstreamPlace> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(UpstreamPlace {
            _permit: Arc::new(permit),
        })
    }

    /// The URI of `path_and_query` on this server, which is passed on as it came.
    pub(crate) fn uri(&self, path_and_query: PathAndQuery) -> Result<Uri, http::Error> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path_and_query)
            .build()
    }

    /// The value of the `Host` field.
    pub(crate) fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// What is to be offered to it.
    pub(crate) const fn offers(&self) -> Protocols {
        self.offers
    }

    /// Whether requests reach this server, as far as was seen.
    pub(crate) const fn health(&self) -> &Health {
        &self.health
    }

    /// An open connection of this worker's with room for a request, made since `generation`.
    pub(crate) fn open_connection(self: &Arc<Self>, worker: usize, generation: u64) -> Option<Lease> {
        self.pool(worker).take(generation, self)
    }

    fn pool(&self, worker: usize) -> &Pool {
        &self.pools[worker % self.pools.len()]
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.authority)
    }
}

/// The text names no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `http://host:port` or `https://host:port`, without path, query and user")]
pub(crate) struct MalformedUpstream;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Upstream, MalformedUpstream> {
        Upstream::parse(text, Protocols::Http1)
    }

    #[test]
    fn accepts_http_and_https_upstreams_alone() {
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

    #[test]
    fn a_server_takes_so_many_requests_and_another_once_one_is_over() {
        let server = parse("http://a").unwrap();
        let mut places: Vec<_> = std::iter::from_fn(|| server.place()).collect();
        assert_eq!(places.len(), MOST_REQUESTS_PER_SERVER);
        assert!(parse("http://b").unwrap().place().is_some());
        drop(places.pop());
        assert!(server.place().is_some());
    }
}
