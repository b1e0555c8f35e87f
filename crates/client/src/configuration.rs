//! What a client has to be told before it can call anything.

use mtls::{ConnectTo, Credentials, Timeouts, TrustAnchors};
use oauth_core::metadata::ResourceIdentifier;
use oauth_core::scope::Scope;

/// Who the client is, whom it trusts, and where its tokens come from.
#[derive(Clone, Debug)]
pub struct ClientConfiguration {
    /// Where tokens come from.
    pub token_endpoint: TokenEndpoint,
    /// The client's id at the authorization server.
    pub client_id: String,
    /// The scope to ask for; empty asks for whatever the client is registered for.
    pub scope: Scope,
    /// The client certificate: shown to the authorization server and to the API alike.
    pub credentials: Credentials,
    /// Whom the client trusts to be the authorization server and the API.
    pub trust: TrustAnchors,
    /// Where hosts are really reached, for those that have no address of their own.
    pub connect_to: Vec<ConnectTo>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenEndpoint {
    /// This URL.
    Url(String),
    /// The endpoint named in this issuer's metadata, before others its alias for mutual TLS.
    ///
    /// [RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3), RFC 8705 §5
    Issuer(String),
    /// The endpoint of the first issuer that this resource's metadata names, as for [`Self::Issuer`].
    ///
    /// [RFC 9728 §3](https://www.rfc-editor.org/rfc/rfc9728#section-3)
    Resource(ResourceIdentifier),
}
