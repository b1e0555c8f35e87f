//! The issuer identifier, and the URLs and paths that follow from it.

use std::fmt;

use oauth_core::metadata::split_issuer;

/// A checked issuer identifier.
///
/// [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    identifier: String,
    host: String,
    path: String,
}

impl Issuer {
    /// Checks an issuer identifier: an `https` URL without query, fragment and closing slash, whose path takes no
    /// percent-encoding.
    ///
    /// # Errors
    ///
    /// [`UnusableIssuer`] says what to write instead.
    ///
    /// RFC 8414 §2
    pub fn parse(identifier: String) -> Result<Self, UnusableIssuer> {
        let (host, path) = split_issuer(&identifier).map_err(|_| UnusableIssuer::NoHttpsUrl)?;
        if identifier.ends_with('/') {
            return Err(UnusableIssuer::ClosingSlash);
        }
        let (host, path) = (host.to_owned(), path.to_owned());
        if path.contains("//") || !path.bytes().all(is_plain) {
            return Err(UnusableIssuer::Path);
        }
        Ok(Self {
            identifier,
            host,
            path,
        })
    }

    /// The identifier, letter by letter as configured.
    pub fn as_str(&self) -> &str {
        &self.identifier
    }

    /// The URL of `path` on the issuer's host.
    pub fn url_of(&self, path: &str) -> String {
        format!("https://{}{path}", self.host)
    }

    /// Where the keys are: below the issuer's own path.
    pub fn jwks_path(&self) -> String {
        format!("{}/jwks", self.path)
    }

    /// Where the metadata is.
    ///
    /// RFC 8414 §3.1
    pub fn metadata_path(&self) -> String {
        format!("/.well-known/oauth-authorization-server{}", self.path)
    }

    /// Where clients of `OpenID` Connect Discovery look for the metadata.
    ///
    /// RFC 8414 §5
    pub fn openid_configuration_path(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.path)
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.identifier)
    }
}

/// Characters that stand for themselves in a path, whoever reads it.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~')
}

/// Why a text cannot be the issuer of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableIssuer {
    /// Not an `https` URL, or one with query, fragment or user.
    #[error("write an https URL without query and fragment, such as https://login.example.com")]
    NoHttpsUrl,
    /// It ends in a slash, which some clients would keep and some would not.
    #[error("leave out the slash at the end")]
    ClosingSlash,
    /// Its path holds what clients might encode differently.
    #[error("use only letters, digits, `-`, `.`, `_`, `~` and single slashes in the path")]
    Path,
}

#[cfg(test)]
mod tests {
    use oauth_core::metadata::metadata_url;

    use super::*;

    /// D1, trap a.
    #[test]
    fn accepts_an_issuer_with_a_path_and_derives_its_paths() {
        let issuer = Issuer::parse("https://login.example.com/oauth/v2/oauth-anonymous".to_owned()).unwrap();
        assert_eq!(
            Ok(issuer.url_of(&issuer.metadata_path())),
            metadata_url(issuer.as_str())
        );
        assert_eq!(
            issuer.openid_configuration_path(),
            "/oauth/v2/oauth-anonymous/.well-known/openid-configuration"
        );
        assert_eq!(issuer.jwks_path(), "/oauth/v2/oauth-anonymous/jwks");
        assert_eq!(issuer.url_of("/x"), "https://login.example.com/x");
    }

    #[test]
    fn accepts_an_issuer_without_a_path() {
        let issuer = Issuer::parse("https://login.example.com:8443".to_owned()).unwrap();
        assert_eq!(issuer.metadata_path(), "/.well-known/oauth-authorization-server");
        assert_eq!(issuer.jwks_path(), "/jwks");
    }

    /// D2.
    #[test]
    fn refuses_what_clients_could_not_compare_or_fetch() {
        for (text, reason) in [
            ("http://login.example.com", UnusableIssuer::NoHttpsUrl),
            ("https://login.example.com/a?b", UnusableIssuer::NoHttpsUrl),
            ("https://login.example.com/", UnusableIssuer::ClosingSlash),
            ("https://login.example.com/a%20b", UnusableIssuer::Path),
            ("https://login.example.com/{a}", UnusableIssuer::Path),
            ("https://login.example.com/a//b", UnusableIssuer::Path),
        ] {
            assert_eq!(Issuer::parse(text.to_owned()), Err(reason), "{text}");
        }
    }
}
