//! Metadata: of authorization servers, for clients that look for their endpoints, and of protected resources, for clients
//! that look for those who issue their tokens.

use serde::{Deserialize, Serialize};

mod protected_resource;

pub use protected_resource::{
    MalformedResource, OtherResource, ProtectedResourceMetadata, ResourceIdentifier,
};

/// The metadata document. Members that a reader does not know are ignored; arrays without elements are left out.
///
/// [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2), RFC 8705 §3.3 and §5
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationServerMetadata {
    /// The issuer identifier, compared letter by letter.
    pub issuer: String,
    /// Where tokens are obtained.
    pub token_endpoint: String,
    /// Where the keys are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Where tokens are introspected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    /// Where tokens are revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// Required, though there is no authorization endpoint: `["none"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response_types_supported: Vec<String>,
    /// The grants offered; the RFC's default would promise others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant_types_supported: Vec<String>,
    /// How clients authenticate at the token endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// What may sign a client's assertion there; named where `private_key_jwt` is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// How clients authenticate at the introspection endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub introspection_endpoint_auth_methods_supported: Vec<String>,
    /// What may sign a client's assertion there; named where `private_key_jwt` is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub introspection_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// How clients authenticate at the revocation endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocation_endpoint_auth_methods_supported: Vec<String>,
    /// What may sign a client's assertion there; named where `private_key_jwt` is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocation_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// What may sign an introspection answer. RFC 9701 §7
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub introspection_signing_alg_values_supported: Vec<String>,
    /// Scope tokens a client can ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// Whether certificate-bound tokens are issued. RFC 8705 §3.3
    #[serde(default)]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// The endpoints for clients that use mutual TLS. RFC 8705 §5
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtls_endpoint_aliases: Option<MtlsEndpointAliases>,
}

/// Endpoints for clients that use mutual TLS; one that is absent is the same as without.
///
/// RFC 8705 §5
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MtlsEndpointAliases {
    /// Where tokens are obtained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// Where tokens are introspected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    /// Where tokens are revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
}

impl AuthorizationServerMetadata {
    /// The token endpoint for a client that presents a certificate.
    ///
    /// RFC 8705 §5
    pub fn mtls_token_endpoint(&self) -> &str {
        let alias = self
            .mtls_endpoint_aliases
            .as_ref()
            .and_then(|aliases| aliases.token_endpoint.as_deref());
        alias.unwrap_or(&self.token_endpoint)
    }
}

/// Where the metadata of `issuer` is: the well-known path goes between its host and its path.
///
/// # Errors
///
/// [`MalformedIssuer`] where `issuer` is no `https` URL without query and fragment.
///
/// [RFC 8414 §3.1](https://www.rfc-editor.org/rfc/rfc8414#section-3.1)
pub fn metadata_url(issuer: &str) -> Result<String, MalformedIssuer> {
    let (host, path) = split_issuer(issuer)?;
    Ok(format!(
        "https://{host}/.well-known/oauth-authorization-server{path}"
    ))
}

/// Where OIDC providers have the metadata of `issuer`: behind its path.
///
/// # Errors
///
/// [`MalformedIssuer`] where `issuer` is no `https` URL without query and fragment.
///
/// RFC 8414 §5
pub fn openid_configuration_url(issuer: &str) -> Result<String, MalformedIssuer> {
    let (host, path) = split_issuer(issuer)?;
    Ok(format!("https://{host}{path}/.well-known/openid-configuration"))
}

/// Splits an issuer identifier into its host, with port, and its path, which is empty or starts with `/`.
///
/// # Errors
///
/// [`MalformedIssuer`] where `issuer` is no `https` URL without query and fragment.
///
/// RFC 8414 §2
pub fn split_issuer(issuer: &str) -> Result<(&str, &str), MalformedIssuer> {
    let rest = issuer.strip_prefix("https://").ok_or(MalformedIssuer)?;
    if rest.contains(['?', '#', '@']) || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(MalformedIssuer);
    }
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if host.is_empty() {
        Err(MalformedIssuer)
    } else {
        Ok((host, path.trim_end_matches('/')))
    }
}

/// The text is no issuer identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an issuer is an https URL without query and fragment")]
pub struct MalformedIssuer;

#[cfg(test)]
mod tests {
    use super::*;

    /// D1, trap a.
    #[test]
    fn puts_the_well_known_path_between_host_and_path() {
        assert_eq!(
            metadata_url("https://login.example.com/oauth/v2/oauth-anonymous").unwrap(),
            "https://login.example.com/.well-known/oauth-authorization-server/oauth/v2/oauth-anonymous"
        );
        assert_eq!(
            metadata_url("https://login.example.com").unwrap(),
            "https://login.example.com/.well-known/oauth-authorization-server"
        );
    }

    /// D1.
    #[test]
    fn puts_the_path_of_openid_providers_behind_the_issuers_own() {
        assert_eq!(
            openid_configuration_url("https://login.example.com/tenant/").unwrap(),
            "https://login.example.com/tenant/.well-known/openid-configuration"
        );
        assert_eq!(
            openid_configuration_url("https://login.example.com:8443").unwrap(),
            "https://login.example.com:8443/.well-known/openid-configuration"
        );
    }

    /// D2.
    #[test]
    fn refuses_issuers_without_tls_or_with_query_or_fragment() {
        for issuer in [
            "http://h/p",
            "https://h/p?q",
            "https://h/p#f",
            "https:///p",
            "h/p",
            "https://u@h/",
        ] {
            assert_eq!(metadata_url(issuer), Err(MalformedIssuer), "{issuer}");
        }
    }

    /// M52, M53, D12.
    #[test]
    fn prefers_the_alias_and_falls_back_to_the_top_level() {
        let with_alias = r#"{"issuer":"https://h","token_endpoint":"https://h/token","unheard_of":[],
            "mtls_endpoint_aliases":{"token_endpoint":"https://mtls.h/token","unheard_of":"x"}}"#;
        let without =
            r#"{"issuer":"https://h","token_endpoint":"https://h/token","mtls_endpoint_aliases":{}}"#;
        let read = |json| serde_json::from_str::<AuthorizationServerMetadata>(json).unwrap();
        assert_eq!(read(with_alias).mtls_token_endpoint(), "https://mtls.h/token");
        assert_eq!(read(without).mtls_token_endpoint(), "https://h/token");
    }
}
