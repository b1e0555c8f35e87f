//! Subject alternative names: the four types a client can be registered under.

use std::fmt;
use std::net::IpAddr;

use rcgen::{SanType, string::Ia5String};
use x509_cert::ext::pkix::name::GeneralName;

use crate::error::Error;

/// One name of the subjectAltName extension.
///
/// [RFC 5280 §4.2.1.6](https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.6)
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectAlternativeName {
    /// A host name: `tls_client_auth_san_dns`.
    Dns(String),
    /// A URI: `tls_client_auth_san_uri`.
    Uri(String),
    /// An IP address: `tls_client_auth_san_ip`.
    Ip(IpAddr),
    /// An e-mail address: `tls_client_auth_san_email`.
    Email(String),
}

impl SubjectAlternativeName {
    /// A host name; a leading `*.` is allowed.
    ///
    /// # Errors
    ///
    /// [`Error::BadAlternativeName`] for anything but letters, digits, hyphens, underscores and dots, and for an IP
    /// address, which no peer would look for among the host names.
    pub fn dns(name: &str) -> Result<Self, Error> {
        let labels = name.strip_prefix("*.").unwrap_or(name);
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        if name.len() > 253 || name.parse::<IpAddr>().is_ok() || !labels.split('.').all(is_label) {
            return Err(Error::BadAlternativeName(name.to_owned(), "host name"));
        }
        Ok(Self::Dns(name.to_owned()))
    }

    /// A URI with a scheme.
    ///
    /// # Errors
    ///
    /// [`Error::BadAlternativeName`] without a scheme, or with characters no URI has.
    pub fn uri(uri: &str) -> Result<Self, Error> {
        let scheme_is_there = uri.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
                && !rest.is_empty()
        });
        if !scheme_is_there || !uri.chars().all(|c| c.is_ascii_graphic()) {
            return Err(Error::BadAlternativeName(uri.to_owned(), "URI"));
        }
        Ok(Self::Uri(uri.to_owned()))
    }

    /// An IP address.
    ///
    /// # Errors
    ///
    /// [`Error::BadAlternativeName`] for anything else.
    pub fn ip(address: &str) -> Result<Self, Error> {
        address
            .parse()
            .map(Self::Ip)
            .map_err(|_| Error::BadAlternativeName(address.to_owned(), "IP address"))
    }

    /// An e-mail address.
    ///
    /// # Errors
    ///
    /// [`Error::BadAlternativeName`] without exactly one `@` between two printable parts.
    pub fn email(address: &str) -> Result<Self, Error> {
        let parts: Vec<_> = address.split('@').collect();
        let is_part = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic());
        if parts.len() != 2 || !parts.iter().all(is_part) {
            return Err(Error::BadAlternativeName(address.to_owned(), "e-mail address"));
        }
        Ok(Self::Email(address.to_owned()))
    }

    /// Whether a server can be found under the name. RFC 9525 §2
    pub(crate) const fn is_host(&self) -> bool {
        matches!(self, Self::Dns(_) | Self::Ip(_))
    }

    /// Takes over a name that a request asks for, checked as if it had been given by hand.
    pub(crate) fn from_requested(name: &GeneralName) -> Result<Self, Error> {
        match name {
            GeneralName::DnsName(name) => Self::dns(name.as_str()),
            GeneralName::UniformResourceIdentifier(uri) => Self::uri(uri.as_str()),
            GeneralName::Rfc822Name(address) => Self::email(address.as_str()),
            GeneralName::IpAddress(bytes) => {
                let bytes = bytes.as_bytes();
                let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
                let address = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
                address
                    .map(Self::Ip)
                    .map_err(|_| Error::UnsupportedAlternativeName)
            }
            GeneralName::OtherName(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EdiPartyName(_)
            | GeneralName::RegisteredId(_) => Err(Error::UnsupportedAlternativeName),
        }
    }

    pub(crate) fn to_san_type(&self) -> Result<SanType, Error> {
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(Ia5String::try_from(name.as_str())?),
            Self::Uri(uri) => SanType::URI(Ia5String::try_from(uri.as_str())?),
            Self::Email(address) => SanType::Rfc822Name(Ia5String::try_from(address.as_str())?),
            Self::Ip(address) => SanType::IpAddress(*address),
        })
    }
}

impl fmt::Display for SubjectAlternativeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(formatter, "DNS:{name}"),
            Self::Uri(uri) => write!(formatter, "URI:{uri}"),
            Self::Ip(address) => write!(formatter, "IP:{address}"),
            Self::Email(address) => write!(formatter, "email:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_one_of_each_type() {
        assert_eq!(
            SubjectAlternativeName::dns("*.example.com").unwrap().to_string(),
            "DNS:*.example.com"
        );
        assert_eq!(
            SubjectAlternativeName::uri("urn:example:a").unwrap().to_string(),
            "URI:urn:example:a"
        );
        assert_eq!(SubjectAlternativeName::ip("::1").unwrap().to_string(), "IP:::1");
        assert_eq!(
            SubjectAlternativeName::email("a@example.com")
                .unwrap()
                .to_string(),
            "email:a@example.com"
        );
    }

    #[test]
    fn refuses_what_only_looks_like_a_name() {
        for name in [
            "",
            "a..b",
            "a b",
            "example.com.",
            "a\0.example.com",
            "*.*.com",
            "ö.example",
        ] {
            assert!(SubjectAlternativeName::dns(name).is_err(), "{name:?}");
        }
        for uri in ["", "example.com", "1a:b", "urn:", "urn:a b", "urn:\0"] {
            assert!(SubjectAlternativeName::uri(uri).is_err(), "{uri:?}");
        }
        assert!(SubjectAlternativeName::ip("127.0.0.256").is_err());
        for address in ["", "a", "@b", "a@", "a@b@c", "a b@c"] {
            assert!(SubjectAlternativeName::email(address).is_err(), "{address:?}");
        }
    }
}
