//! The servers of one API, and in which order a request tries them.

use std::iter::Chain;
use std::slice::Iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Upstream;

/// The servers of one API; each request starts with the next of them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    servers: Vec<Arc<Upstream>>,
    next: AtomicUsize,
}

impl Upstreams {
    pub(crate) const fn new(servers: Vec<Arc<Upstream>>) -> Self {
        Self {
            servers,
            next: AtomicUsize::new(0),
        }
    }

    /// Every server once, in the order in which this request is to try them: those that could not be reached of late
    /// come last, and are tried all the same where no other is left.
    pub(crate) fn in_turn(&self) -> InTurn<'_> {
        let first = match self.servers.len() {
            0 | 1 => 0,
            count => self.next.fetch_add(1, Ordering::Relaxed) % count,
        };
        let (before, from) = self.servers.split_at(first);
        InTurn {
            servers: from.iter().chain(before),
            resting: Vec::new(),
        }
    }

    /// Takes over from `former` each server that stays, with its connections and the requests it has in hand.
    pub(crate) fn inherit(&mut self, former: &Self) {
        for server in &mut self.servers {
            if let Some(same) = former.servers.iter().find(|former| former.is_same(server)) {
                *server = Arc::clone(same);
            }
        }
    }
}

/// The order in which one request tries the servers.
#[derive(Debug)]
pub(crate) struct InTurn<'a> {
    servers: Chain<Iter<'a, Arc<Upstream>>, Iter<'a, Arc<Upstream>>>,
    resting: Vec<&'a Arc<Upstream>>,
}

impl<'a> Iterator for InTurn<'a> {
    type Item = &'a Arc<Upstream>;

    fn next(&mut self) -> Option<Self::Item> {
        for server in self.servers.by_ref() {
            if server.health().admits_request() {
                return Some(server);
            }
            self.resting.push(server);
        }
        self.resting.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Protocols;
    use super::*;

    fn two() -> Upstreams {
        let servers = ["http://a", "http://b"].map(|text| Upstream::parse(text, Protocols::Http1).unwrap());
        Upstreams::new(servers.map(Arc::new).to_vec())
    }

    fn order(upstreams: &Upstreams) -> Vec<String> {
        upstreams.in_turn().map(ToString::to_string).collect()
    }

    #[test]
    fn each_request_starts_with_the_next_server_and_could_try_all() {
        let upstreams = two();
        assert_eq!(order(&upstreams), ["http://a", "http://b"]);
        assert_eq!(order(&upstreams), ["http://b", "http://a"]);
        assert_eq!(order(&upstreams), ["http://a", "http://b"]);
    }

    #[test]
    fn a_server_out_of_reach_comes_last_until_it_is_reached_again() {
        let upstreams = two();
        let first = Arc::clone(upstreams.in_turn().next().unwrap());
        first.health().out_of_reach();
        for _ in 0..4 {
            assert_eq!(order(&upstreams), ["http://b", "http://a"]);
        }
        first.health().reached();
        let starts: Vec<_> = (0..2).map(|_| order(&upstreams).remove(0)).collect();
        assert!(starts.contains(&"http://a".to_owned()), "{starts:?}");
    }

    #[test]
    fn a_server_that_stays_is_taken_over_and_another_is_new() {
        let of =
            |server: &str, offers| Upstreams::new(vec![Arc::new(Upstream::parse(server, offers).unwrap())]);
        let former = two();
        for (server, offers, stays) in [
            ("http://a", Protocols::Http1, true),
            ("http://a", Protocols::Http2OrHttp1, false),
            ("http://c", Protocols::Http1, false),
        ] {
            let mut latter = of(server, offers);
            latter.inherit(&former);
            let is_former = Arc::ptr_eq(&latter.servers[0], &former.servers[0]);
            assert_eq!(is_former, stays, "{server} {offers:?}");
        }
    }

    #[test]
    fn servers_that_are_all_out_of_reach_are_tried_all_the_same() {
        let upstreams = two();
        for server in upstreams.in_turn() {
            server.health().out_of_reach();
        }
        assert_eq!(order(&upstreams).len(), 2);
    }
}
