//! The servers of one API, and in which order a request tries them.

use std::iter::Chain;
use std::slice::Iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Server, Servers, Upstream};

/// The servers of one API; each request starts with the next of them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    upstreams: Vec<Upstream>,
    next: AtomicUsize,
}

impl Upstreams {
    pub(crate) const fn new(upstreams: Vec<Upstream>) -> Self {
        Self {
            upstreams,
            next: AtomicUsize::new(0),
        }
    }

    /// Every server once, in the order in which this request is to try them: those that could not be reached of late
    /// come last, and are tried all the same where no other is left.
    pub(crate) fn in_turn(&self) -> InTurn<'_> {
        let first = match self.upstreams.len() {
            0 | 1 => 0,
            count => self.next.fetch_add(1, Ordering::Relaxed) % count,
        };
        let (before, from) = self.upstreams.split_at(first);
        InTurn {
            upstreams: from.iter().chain(before),
            resting: Vec::new(),
        }
    }

    /// Its servers, each with its connections and its health.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.upstreams.iter().map(Upstream::server)
    }

    /// Shares its servers with whoever else does: of those that are the same, one is left. Servers that may speak HTTP/2
    /// stay its own: where requests share a connection, what one does can hold up or break off the others, and those
    /// are another API's.
    pub(crate) fn share(&mut self, servers: &mut Servers) {
        for upstream in &mut self.upstreams {
            if !upstream.server.may_speak_http2() {
                upstream.server = servers.shared(&upstream.server);
            }
        }
    }

    /// Takes over from `former`, which shares with the same, each server that stays, and the places there, so that the
    /// requests in hand count.
    pub(crate) fn inherit(&mut self, former: &Self) {
        for upstream in &mut self.upstreams {
            let is_same = |former: &&Upstream| former.server.target() == upstream.server.target();
            if let Some(same) = former.upstreams.iter().find(is_same) {
                *upstream = same.clone();
            }
        }
    }
}

/// The order in which one request tries the servers.
#[derive(Debug)]
pub(crate) struct InTurn<'a> {
    upstreams: Chain<Iter<'a, Upstream>, Iter<'a, Upstream>>,
    resting: Vec<&'a Upstream>,
}

impl<'a> Iterator for InTurn<'a> {
    type Item = &'a Upstream;

    fn next(&mut self) -> Option<Self::Item> {
        for upstream in self.upstreams.by_ref() {
            // Last, since it may use up the server's one try, and who has no place there finds nothing out.
            if upstream.has_place() && upstream.server.health().try_admit() {
                return Some(upstream);
            }
            self.resting.push(upstream);
        }
        self.resting.pop()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::super::Protocols;
    use super::*;

    fn of<const N: usize>(servers: [&str; N]) -> Upstreams {
        let upstreams = servers.map(|text| Upstream::parse(text, Protocols::Http1).unwrap());
        Upstreams::new(upstreams.to_vec())
    }

    fn two() -> Upstreams {
        of(["http://a", "http://b"])
    }

    fn two_that_share() -> [Upstreams; 2] {
        let mut servers = Servers::default();
        [two(), two()].map(|mut upstreams| {
            upstreams.share(&mut servers);
            upstreams
        })
    }

    fn order(upstreams: &Upstreams) -> Vec<String> {
        upstreams
            .in_turn()
            .map(|upstream| upstream.server.to_string())
            .collect()
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
        let first = Arc::clone(upstreams.in_turn().next().unwrap().server());
        first.health().out_of_reach();
        for _ in 0..4 {
            assert_eq!(order(&upstreams), ["http://b", "http://a"]);
        }
        first.health().reached();
        let starts: Vec<_> = (0..2).map(|_| order(&upstreams).remove(0)).collect();
        assert!(starts.contains(&"http://a".to_owned()), "{starts:?}");
    }

    #[test]
    fn who_shares_a_server_leaves_it_alone_while_it_is_out_of_reach_for_the_other() {
        let [one, other] = two_that_share();
        one.upstreams[0].server.health().out_of_reach();
        for _ in 0..2 {
            assert_eq!(order(&other), ["http://b", "http://a"]);
        }
    }

    #[test]
    fn who_shares_a_server_takes_no_place_of_the_others() {
        let [one, other] = two_that_share();
        let _taken: Vec<_> = std::iter::from_fn(|| one.upstreams[0].place()).collect();
        assert!(one.upstreams[0].place().is_none());
        assert!(other.upstreams[0].place().is_some());
    }

    #[test]
    fn a_server_that_may_speak_http2_is_shared_with_nobody_and_kept_by_whoever_has_it() {
        let mut servers = Servers::default();
        for (text, offers, is_shared) in [
            ("https://a", Protocols::Http2OrHttp1, false),
            ("https://a", Protocols::Http1, true),
            ("http://a", Protocols::Http2OrHttp1, true),
        ] {
            let mut alike = || {
                let mut upstreams = Upstreams::new(vec![Upstream::parse(text, offers).unwrap()]);
                upstreams.share(&mut servers);
                upstreams
            };
            let (one, other, mut latter) = (alike(), alike(), alike());
            let is_same = |one: &Upstreams, other: &Upstreams| {
                Arc::ptr_eq(one.upstreams[0].server(), other.upstreams[0].server())
            };
            assert_eq!(is_same(&one, &other), is_shared, "{text} {offers:?}");
            latter.inherit(&one);
            assert!(is_same(&one, &latter), "{text} {offers:?}");
        }
    }

    /// One request finds out whether a server is back, and that has to be one that can be sent to it.
    #[tokio::test(start_paused = true)]
    async fn who_has_no_place_at_a_server_leaves_it_to_others_to_find_out_whether_it_is_back() {
        let [full, other] = two_that_share();
        let server = Arc::clone(full.upstreams[0].server());
        let _taken: Vec<_> = std::iter::from_fn(|| full.upstreams[0].place()).collect();
        for (asking, is_left) in [(&full, true), (&other, false)] {
            server.health().out_of_reach();
            advance(Duration::from_secs(60)).await;
            assert_eq!(order(asking).len(), 2);
            assert_eq!(server.health().try_admit(), is_left);
        }
    }

    #[test]
    fn the_requests_in_hand_count_at_a_server_that_stays_and_at_no_other() {
        let former = two();
        let _taken: Vec<_> = std::iter::from_fn(|| former.upstreams[0].place()).collect();
        let mut latter = of(["http://c", "http://b", "http://a"]);
        latter.share(&mut former.servers().collect());
        latter.inherit(&former);
        let has_room = |upstream: &Upstream| upstream.place().is_some();
        assert_eq!(
            latter.upstreams.iter().map(has_room).collect::<Vec<_>>(),
            [true, true, false]
        );
    }

    #[test]
    fn servers_that_are_all_out_of_reach_are_tried_all_the_same() {
        let upstreams = two();
        for upstream in upstreams.in_turn() {
            upstream.server.health().out_of_reach();
        }
        assert_eq!(order(&upstreams).len(), 2);
    }
}
