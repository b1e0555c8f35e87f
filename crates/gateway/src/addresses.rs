//! How many connections one address may have at once, so that none takes every place of the public port.
//!
//! An IPv6 address counts as its network of 64 bits: whoever has one of it has all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::lock::lock;
use crate::metrics;

/// Between two lines in the log about connections refused. Bounds the log that a flood can cause.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// The addresses that have connections, and how many.
#[derive(Debug)]
pub(crate) struct Addresses {
    limit: usize,
    connections: Mutex<HashMap<IpAddr, usize>>,
    refused: Mutex<Refused>,
}

impl Addresses {
    /// None has any yet; each may have as many as `limit`.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            connections: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// A place for one more connection from `peer`; `None` where it has its share. Then it is counted, and now and
    /// then logged.
    pub(crate) fn place(self: &Arc<Self>, peer: IpAddr) -> Option<AddressPlace> {
        let address = network(peer);
        let mut connections = lock(&self.connections);
        let taken = connections.entry(address).or_default();
        if *taken >= self.limit {
            drop(connections);
            self.refuse(peer);
            return None;
        }
        *taken += 1;
        Some(AddressPlace {
            address,
            addresses: Arc::clone(self),
        })
    }

    fn refuse(&self, peer: IpAddr) {
        metrics::connection("address_limit");
        if let Some(refused) = lock(&self.refused).count(Instant::now()) {
            let limit = self.limit;
            tracing::warn!(
                peer.address = %peer, refused, listen.connections_per_address = limit,
                "{refused} connections refused, lastly from {peer}: one address has at most {limit} at once"
            );
        }
    }
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct AddressPlace {
    address: IpAddr,
    addresses: Arc<Addresses>,
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut connections = lock(&self.addresses.connections);
        if let Some(taken) = connections.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                connections.remove(&self.address);
            }
        }
    }
}

/// What happened since the log was last told.
#[derive(Debug, Default)]
struct Refused {
    since: u64,
    told: Option<Instant>,
}

impl Refused {
    /// Counts one more; returns how many to tell the log of, if it is time to.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.since += 1;
        if self
            .told
            .is_some_and(|told| now.duration_since(told) < BETWEEN_LINES)
        {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

fn network(address: IpAddr) -> IpAddr {
    const PREFIX: u128 = u128::MAX << 64;
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & PREFIX).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_with_its_share_waits_for_a_connection_of_its_own_to_end() {
        let addresses = Addresses::new(2);
        let peer = address("192.0.2.1");
        let first = addresses.place(peer).unwrap();
        let _second = addresses.place(peer).unwrap();
        assert!(addresses.place(peer).is_none());
        assert!(addresses.place(address("192.0.2.2")).is_some());
        drop(first);
        assert!(addresses.place(peer).is_some());
    }

    #[test]
    fn spellings_and_neighbours_of_an_address_share() {
        for (one, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1"),
            ("2001:db8::1", "2001:db8::ffff:1:2:3"),
        ] {
            let addresses = Addresses::new(1);
            let _place = addresses.place(address(one)).unwrap();
            assert!(addresses.place(address(other)).is_none(), "{other}");
        }
        let addresses = Addresses::new(1);
        let _place = addresses.place(address("2001:db8::1")).unwrap();
        assert!(addresses.place(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn nothing_is_kept_of_addresses_without_connections() {
        let addresses = Addresses::new(1);
        drop(addresses.place(address("192.0.2.1")));
        assert!(lock(&addresses.connections).is_empty());
    }

    #[test]
    fn the_log_is_told_of_the_first_and_then_of_many_at_once() {
        let (mut refused, start) = (Refused::default(), Instant::now());
        assert_eq!(refused.count(start), Some(1));
        for second in 1..10 {
            assert_eq!(refused.count(start + Duration::from_secs(second)), None);
        }
        assert_eq!(refused.count(start + BETWEEN_LINES), Some(10));
    }
}
