//! The servers of the APIs: who they are, how many requests each route has in hand with them, and the connections kept
//! to them.
//!
//! A server, with its connections and what is known of its health, belongs to all routes that name it, or to one where
//! HTTP/2 is offered to it; dropped with the last of them, it ends its connections, each when the last request on it
//! does. Places belong to one route, so that an API that hangs takes none of another's. Each worker keeps connections of
//! its own, so that no request waits for another core.

mod connector;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod health;
mod http1;
mod lease;
mod pool;
mod server;
mod servers;
mod upstreams;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderName;

pub(crate) use self::connector::Connector;
pub(crate) use self::http1::Switched;
pub(crate) use self::lease::{AnswerBody, AnswerError, Lease, Outbound, Unanswered};
pub(crate) use self::pool::OpenStream;
pub(crate) use self::server::{MalformedUpstream, Protocols, Server};
pub(crate) use self::servers::Servers;
pub(crate) use self::upstreams::Upstreams;

/// Requests that one route has in hand with one server at once. Bounds what a crowd of callers, or an API that hangs,
/// takes of the gateway's descriptors and of the server.
const MOST_REQUESTS_PER_SERVER: usize = 1_000;

/// One server of an API, and the places the route has there; clones have the same.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    server: Arc<Server>,
    places: Arc<Places>,
}

/// How many more requests the route may have in hand there. Nobody waits for a place, so that they are counted and no
/// more.
#[derive(Debug)]
struct Places {
    free: AtomicUsize,
}

/// A field that the gateway says itself, and both parts of its value, the first of which may be empty. They are sent
/// with a request and are not among its fields: each request has the same few, and putting them into a map costs more
/// than writing them.
pub(crate) type OwnField<'a> = (&'a HeaderName, [&'a [u8]; 2]);

/// A request's place at a server, until the request is whole and the answer has gone out; clones are of the same place.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamPlace {
    _taken: Arc<TakenPlace>,
}

/// A place that is free again once this is dropped.
#[derive(Debug)]
struct TakenPlace(Arc<Places>);

impl Drop for TakenPlace {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::Relaxed);
    }
}

impl Upstream {
    /// Reads `http://host:port` or `https://host:port`. The server is one of its own until it is shared.
    pub(crate) fn parse(text: &str, offers: Protocols) -> Result<Self, MalformedUpstream> {
        Ok(Self {
            server: Arc::new(Server::parse(text, offers)?),
            places: Arc::new(Places {
                free: AtomicUsize::new(MOST_REQUESTS_PER_SERVER),
            }),
        })
    }

    /// The server.
    pub(crate) const fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Whether there is a place for one more request of the route's.
    fn has_place(&self) -> bool {
        self.places.free.load(Ordering::Relaxed) > 0
    }

    /// A place for one more request of the route's; `None` where it has its fill of this server.
    pub(crate) fn place(&self) -> Option<UpstreamPlace> {
        let one_less = |free: usize| free.checked_sub(1);
        let free = &self.places.free;
        free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .ok()?;
        Some(UpstreamPlace {
            _taken: Arc::new(TakenPlace(Arc::clone(&self.places))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_takes_so_many_requests_and_another_once_one_is_over() {
        let parse = |text| Upstream::parse(text, Protocols::Http1).unwrap();
        let upstream = parse("http://a");
        let mut places: Vec<_> = std::iter::from_fn(|| upstream.place()).collect();
        assert_eq!(places.len(), MOST_REQUESTS_PER_SERVER);
        assert!(parse("http://b").place().is_some());
        drop(places.pop());
        assert!(upstream.place().is_some());
    }
}
