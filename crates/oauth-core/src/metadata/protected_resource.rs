//! Protected resource metadata: what a resource server says of itself, and where it says it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Goes between the host and the path of a resource's identifier.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The metadata document. Members that a reader does not know are ignored; arrays without elements are left out.
///
/// `signed_metadata` is neither written nor looked at, as RFC 9728 §2.2 allows: the document comes over TLS from the
/// resource's own host.
///
/// [RFC 9728 §2](https://www.rfc-editor.org/rfc/rfc9728#section-2)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedResourceMetadata {
    /// The resource's identifier, compared letter by letter.
    pub resource: String,
    /// The issuers of the tokens that are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_servers: Vec<String>,
    /// Scope tokens that requests may need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// Where in a request a token may stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bearer_methods_supported: Vec<String>,
    /// Whether every token must be bound to a client certificate. RFC 8705 §3
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls_client_certificate_bound_access_tokens: bool,
}

impl ProtectedResourceMetadata {
    /// Of a resource that takes tokens in the `Authorization` header, bound to a certificate or not.
    pub fn of(resource: &ResourceIdentifier) -> Self {
        Self {
            resource: resource.as_str().to_owned(),
            authorization_servers: Vec::new(),
            scopes_supported: Vec::new(),
            bearer_methods_supported: vec!["header".to_owned()],
            tls_client_certificate_bound_access_tokens: false,
        }
    }

    /// Whether the document speaks for `resource`, into whose identifier the well-known path was put to find it.
    ///
    /// # Errors
    ///
    /// [`OtherResource`]: nothing of the document is to be used.
    ///
    /// [RFC 9728 §3.3](https://www.rfc-editor.org/rfc/rfc9728#section-3.3)
    pub fn verify(&self, resource: &ResourceIdentifier) -> Result<(), OtherResource> {
        if self.resource == resource.as_str() {
            Ok(())
        } else {
            Err(OtherResource)
        }
    }
}

/// The identifier of a protected resource: an `https` URL without fragment.
///
/// [RFC 9728 §1.2](https://www.rfc-editor.org/rfc/rfc9728#section-1.2)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceIdentifier {
    text: String,
    authority_end: usize,
}

const SCHEME: &str = "https://";

impl ResourceIdentifier {
    /// The identifier, letter by letter.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host, with its port where one is named.
    pub fn authority(&self) -> &str {
        self.text
            .get(SCHEME.len()..self.authority_end)
            .unwrap_or_default()
    }

    /// Where the metadata is on that host, a query included: the well-known path goes before the identifier's own,
    /// and a slash that is the whole path is dropped.
    ///
    /// [RFC 9728 §3.1](https://www.rfc-editor.org/rfc/rfc9728#section-3.1)
    pub fn metadata_path(&self) -> String {
        let rest = self.text.get(self.authority_end..).unwrap_or_default();
        let rest = match rest.strip_prefix('/') {
            Some(query) if query.is_empty() || query.starts_with('?') => query,
            _ => rest,
        };
        format!("{WELL_KNOWN}{rest}")
    }

    /// Where the metadata is.
    ///
    /// RFC 9728 §3.1
    pub fn metadata_url(&self) -> String {
        format!("{SCHEME}{}{}", self.authority(), self.metadata_path())
    }
}

impl FromStr for ResourceIdentifier {
    type Err = MalformedResource;

    fn from_str(text: &str) -> Result<Self, MalformedResource> {
        let rest = text.strip_prefix(SCHEME).ok_or(MalformedResource)?;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'\\');
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.is_empty() || authority.contains('@') || !rest.bytes().all(is_plain) {
            return Err(MalformedResource);
        }
        Ok(Self {
            authority_end: SCHEME.len().saturating_add(authority.len()),
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for ResourceIdentifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The text is no resource identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a resource is an https URL without fragment, such as https://api.example.com")]
pub struct MalformedResource;

/// The metadata is that of another resource than the one it was looked up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metadata names another resource than the one it was looked up for")]
pub struct OtherResource;

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(text: &str) -> ResourceIdentifier {
        text.parse().unwrap()
    }

    /// S1.
    #[test]
    fn puts_the_well_known_path_between_host_and_path() {
        let well_known = "/.well-known/oauth-protected-resource";
        for (text, authority, path) in [
            ("https://api.example.com", "api.example.com", ""),
            ("https://api.example.com/", "api.example.com", ""),
            ("https://api.example.com/v1/a", "api.example.com", "/v1/a"),
            ("https://api.example.com:8443/v1", "api.example.com:8443", "/v1"),
            ("https://api.example.com/v1/", "api.example.com", "/v1/"),
            ("https://api.example.com?a=/b", "api.example.com", "?a=/b"),
            ("https://api.example.com/?a", "api.example.com", "?a"),
        ] {
            let resource = resource(text);
            assert_eq!(resource.authority(), authority);
            assert_eq!(resource.metadata_path(), format!("{well_known}{path}"));
            assert_eq!(
                resource.metadata_url(),
                format!("https://{authority}{well_known}{path}")
            );
            assert_eq!(resource.to_string(), text);
        }
    }

    /// S1.
    #[test]
    fn refuses_resources_without_tls_or_with_a_fragment() {
        for text in [
            "http://h/p",
            "https://h/p#f",
            "https:///p",
            "https://?p",
            "https://u@h/",
            "h/p",
            "",
            "https://h/\"",
            "https://h/ ",
        ] {
            assert_eq!(
                text.parse::<ResourceIdentifier>(),
                Err(MalformedResource),
                "{text}"
            );
        }
    }

    /// S2.
    #[test]
    fn speaks_for_the_identical_resource_alone() {
        let document = ProtectedResourceMetadata::of(&resource("https://api.example.com/v1"));
        assert_eq!(document.verify(&resource("https://api.example.com/v1")), Ok(()));
        for other in [
            "https://api.example.com",
            "https://api.example.com/v1/",
            "https://api.example.com/V1",
            "https://API.example.com/v1",
            "https://other.example.com/v1",
        ] {
            assert_eq!(document.verify(&resource(other)), Err(OtherResource), "{other}");
        }
    }

    /// S3, S5.
    #[test]
    fn leaves_out_members_without_elements() {
        let mut document = ProtectedResourceMetadata::of(&resource("https://h"));
        assert_eq!(
            serde_json::to_string(&document).unwrap(),
            r#"{"resource":"https://h","bearer_methods_supported":["header"]}"#
        );
        document.scopes_supported = vec!["transactions".into()];
        document.authorization_servers = vec!["https://login".into()];
        document.tls_client_certificate_bound_access_tokens = true;
        let json = serde_json::to_value(&document).unwrap();
        assert_eq!(json["scopes_supported"], serde_json::json!(["transactions"]));
        assert_eq!(json["tls_client_certificate_bound_access_tokens"], true);
    }

    /// S3, S7: what is not known is passed over, a signed copy included.
    #[test]
    fn reads_documents_of_other_makers() {
        let text = r#"{"resource":"https://h","signed_metadata":"a.b.c","unheard_of":{}}"#;
        let document: ProtectedResourceMetadata = serde_json::from_str(text).unwrap();
        assert_eq!(document.verify(&resource("https://h")), Ok(()));
        assert!(!document.tls_client_certificate_bound_access_tokens);
        assert!(serde_json::from_str::<ProtectedResourceMetadata>("{}").is_err());
    }
}
