//! `HOST=ADDRESS:PORT`: where a host is really reached, without an entry in a hosts file.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// A host and the address its connections go to; certificates are still verified against the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTo {
    /// The host as URLs name it, in lower case.
    pub host: String,
    /// Where its connections go. A port that the URL itself names goes before this one.
    pub address: SocketAddr,
}

impl FromStr for ConnectTo {
    type Err = ConnectToError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, address) = text.split_once('=').ok_or(ConnectToError::NoEqualsSign)?;
        let is_host_character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if host.is_empty() || !host.chars().all(is_host_character) {
            return Err(ConnectToError::NoHost);
        }
        let address = address.parse().map_err(|_| ConnectToError::NoAddress)?;
        Ok(Self {
            host: host.to_ascii_lowercase(),
            address,
        })
    }
}

impl fmt::Display for ConnectTo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.host, self.address)
    }
}

/// What is wrong with a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectToError {
    /// There is no `=`.
    #[error("expected HOST=ADDRESS:PORT, such as api.example.com=127.0.0.1:3000")]
    NoEqualsSign,
    /// What stands before `=` is no host name.
    #[error("the part before `=` is not a host name; expected HOST=ADDRESS:PORT")]
    NoHost,
    /// What stands after `=` is no IP address with a port.
    #[error("the part after `=` is not an IP address with a port, such as 127.0.0.1:3000 or [::1]:3000")]
    NoAddress,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_a_host_with_an_address_and_a_port() {
        let mapping: ConnectTo = "API.example.com=127.0.0.1:3000".parse().unwrap();
        assert_eq!(mapping.to_string(), "api.example.com=127.0.0.1:3000");
        let mapping: ConnectTo = "api.example.com=[::1]:3000".parse().unwrap();
        assert!(mapping.address.is_ipv6());
    }

    #[test]
    fn refuses_what_lacks_a_part() {
        let parse = |text: &str| text.parse::<ConnectTo>().unwrap_err();
        assert_eq!(parse("api.example.com"), ConnectToError::NoEqualsSign);
        assert_eq!(parse("=127.0.0.1:3000"), ConnectToError::NoHost);
        assert_eq!(
            parse("https://api.example.com=127.0.0.1:3000"),
            ConnectToError::NoHost
        );
        assert_eq!(parse("api.example.com=127.0.0.1"), ConnectToError::NoAddress);
        assert_eq!(parse("api.example.com=localhost:3000"), ConnectToError::NoAddress);
    }
}
