//! Ranges of addresses, by which a peer is told from others; never all addresses there are.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;

/// The addresses with a common prefix, such as `10.0.0.0/24`, or a single one, such as `10.0.0.7`.
///
/// [RFC 4632 §3.1](https://www.rfc-editor.org/rfc/rfc4632#section-3.1)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Whether `address` is one of them; an IPv4 address is one in every spelling.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether these together are all addresses of either version: then they tell nobody from anybody.
    pub fn are_everybody(networks: &[Self]) -> bool {
        let networks: Vec<IpNet> = networks.iter().map(|network| network.0).collect();
        IpNet::aggregate(&networks)
            .iter()
            .any(|network| network.prefix_len() == 0)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let network = match text.parse::<IpNet>() {
            Ok(network) => network,
            Err(_) => IpNet::from(text.parse::<IpAddr>().map_err(|_| NetworkError::Malformed)?),
        };
        if network.prefix_len() == 0 {
            return Err(NetworkError::Everybody);
        }
        let is_mapped = matches!(network.addr(), IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
        if is_mapped {
            return Err(NetworkError::Mapped);
        }
        if network.addr() != network.network() {
            return Err(NetworkError::NotThePrefix(network.trunc()));
        }
        Ok(Self(network))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The networks of the proxies that are believed about where connections come from; clones share them.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[Network]>);

impl TrustedProxies {
    /// Reads a list of networks.
    ///
    /// # Errors
    ///
    /// An empty list, one that is everybody, and the first entry that is no network.
    pub fn parse(networks: &[String]) -> Result<Self, TrustedProxiesError> {
        let parsed = |text: &String| {
            text.parse().map_err(|reason| TrustedProxiesError::Network {
                text: text.clone(),
                reason,
            })
        };
        let networks = networks.iter().map(parsed).collect::<Result<Vec<_>, _>>()?;
        if networks.is_empty() {
            return Err(TrustedProxiesError::Nobody);
        }
        if Network::are_everybody(&networks) {
            return Err(TrustedProxiesError::Everybody);
        }
        Ok(Self(networks.into()))
    }

    /// Whether a peer at `address` is one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// Why a list names no proxies that could be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedProxiesError {
    /// The list is empty.
    #[error("names nobody; name the networks of the proxies")]
    Nobody,
    /// The list holds all addresses.
    #[error("are all addresses together, and anybody could claim any address")]
    Everybody,
    /// An entry is no network.
    #[error("{text:?} {reason}")]
    Network {
        /// The entry.
        text: String,
        /// What is wrong with it; already part of the message.
        reason: NetworkError,
    },
}

/// Why a text names no range of addresses that could be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Neither a prefix nor an address.
    #[error("must be a network such as \"10.0.0.0/24\" or \"2001:db8::/64\", or an address")]
    Malformed,
    /// All addresses.
    #[error("would trust everybody; name the addresses of the load balancers")]
    Everybody,
    /// An IPv4 address in an IPv6 spelling.
    #[error("must be written as IPv4")]
    Mapped,
    /// An address with a prefix length: perhaps the one is meant, perhaps the other.
    #[error("is an address inside of {0}; write that, or the address alone")]
    NotThePrefix(IpNet),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn contains_the_addresses_of_its_prefix_in_every_spelling() {
        let private = network("10.0.0.0/24");
        for (address, expected) in [
            ("10.0.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("10.0.1.1", false),
            ("::a00:1", false),
        ] {
            assert_eq!(private.contains(address.parse().unwrap()), expected, "{address}");
        }
        assert!(network("2001:db8::/64").contains("2001:db8::1".parse().unwrap()));
        assert!(network("::1").contains("::1".parse().unwrap()));
        assert!(!network("127.0.0.1").contains("127.0.0.2".parse().unwrap()));
    }

    /// W3.
    #[test]
    fn refuses_everybody() {
        for text in ["0.0.0.0/0", "::/0", "10.0.0.1/0"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Everybody), "{text}");
        }
        assert!(Network::are_everybody(&[
            network("0.0.0.0/1"),
            network("128.0.0.0/1")
        ]));
        assert!(Network::are_everybody(&[network("8000::/1"), network("::/1")]));
        assert!(!Network::are_everybody(&[
            network("0.0.0.0/1"),
            network("8000::/1")
        ]));
        assert!(!Network::are_everybody(&[]));
    }

    /// T40.
    #[test]
    fn proxies_are_neither_nobody_nor_everybody() {
        let parse = |networks: &[&str]| {
            let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
            TrustedProxies::parse(&networks)
        };
        let proxies = parse(&["10.0.0.0/24", "::1"]).unwrap();
        for (address, expected) in [("10.0.0.7", true), ("::1", true), ("10.0.1.7", false)] {
            assert_eq!(proxies.contain(address.parse().unwrap()), expected, "{address}");
        }
        assert!(!TrustedProxies::default().contain("::1".parse().unwrap()));
        assert_eq!(parse(&[]).unwrap_err(), TrustedProxiesError::Nobody);
        assert_eq!(
            parse(&["0.0.0.0/1", "128.0.0.0/1"]).unwrap_err(),
            TrustedProxiesError::Everybody
        );
        let error = parse(&["10.0.0.0/24", "proxy"]).unwrap_err().to_string();
        assert!(error.starts_with("\"proxy\" must be a network"), "{error}");
    }

    #[test]
    fn refuses_what_could_be_meant_in_two_ways() {
        assert_eq!(
            "10.0.0.7/24".parse::<Network>().unwrap_err().to_string(),
            "is an address inside of 10.0.0.0/24; write that, or the address alone"
        );
        assert_eq!(
            "::ffff:10.0.0.0/120".parse::<Network>(),
            Err(NetworkError::Mapped)
        );
        for text in ["", "10.0.0", "10.0.0.0/33", "balancer", "10.0.0.0/24 "] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Malformed), "{text}");
        }
    }
}
