//! Host names: as the configuration writes them, as a handshake names them, and as requests repeat them.
//!
//! Letter case and port never count; a trailing dot is another name.

use std::fmt;
use std::net::IpAddr;

use http::uri::Authority;

/// A DNS name in lower case, without trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostName(String);

impl HostName {
    /// Reads a host name.
    ///
    /// # Errors
    ///
    /// [`MalformedHostName`] for an address, a trailing dot, a wildcard, or a character that no host name has.
    ///
    /// [RFC 6066 §3](https://www.rfc-editor.org/rfc/rfc6066#section-3)
    pub(crate) fn parse(text: &str) -> Result<Self, MalformedHostName> {
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if text.parse::<IpAddr>().is_ok() || !text.split('.').all(is_label) {
            return Err(MalformedHostName);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The text is not a DNS host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a host name such as api.example.com")]
pub(crate) struct MalformedHostName;

/// The host of a `Host` field or an `:authority`, as written, without its port.
///
/// `None` where it is no authority, or carries user information. RFC 9110 §4.2.4, §7.2
pub(crate) fn host_of_authority(authority: &[u8]) -> Option<&str> {
    let text = str::from_utf8(authority).ok()?;
    if text.contains('@') {
        return None;
    }
    let host_length = Authority::try_from(text).ok()?.host().len();
    let (host, port) = text.split_at_checked(host_length)?;
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.len() <= 5;
    let port_is_sound = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    (!host.is_empty() && port_is_sound).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T34.
    #[test]
    fn accepts_a_name_in_any_case() {
        assert_eq!(
            HostName::parse("API.Example.com").unwrap().as_str(),
            "api.example.com"
        );
        assert_eq!(HostName::parse("localhost").unwrap().as_str(), "localhost");
    }

    /// T34.
    #[test]
    fn refuses_addresses_trailing_dots_and_wildcards() {
        for text in [
            "",
            ".",
            "api.example.com.",
            "a..b",
            "127.0.0.1",
            "::1",
            "*.example.com",
            "a b",
            "a:443",
            "ä.de",
        ] {
            assert_eq!(HostName::parse(text), Err(MalformedHostName), "{text}");
        }
    }

    /// T39.
    #[test]
    fn finds_the_host_beside_any_port() {
        for authority in [
            "api.example.com",
            "api.example.com:443",
            "api.example.com:3000",
            "api.example.com:",
        ] {
            assert_eq!(
                host_of_authority(authority.as_bytes()),
                Some("api.example.com"),
                "{authority}"
            );
        }
        assert_eq!(host_of_authority(b"[::1]:443"), Some("[::1]"));
    }

    /// T39.
    #[test]
    fn finds_no_host_in_what_is_no_authority() {
        for authority in [
            "",
            ":443",
            "user@api.example.com",
            "api.example.com:x",
            "a b",
            "a/b",
            "a:1:2",
            "api.example.com:443000",
        ] {
            assert_eq!(host_of_authority(authority.as_bytes()), None, "{authority}");
        }
        assert_eq!(host_of_authority(b"\xff"), None);
    }
}
