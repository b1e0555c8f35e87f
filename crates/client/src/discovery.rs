//! From an issuer to its token endpoint, by the issuer's own metadata; and from a resource to its issuer, by the
//! resource's.

use mtls::ConnectTo;
use oauth_core::metadata::{
    AuthorizationServerMetadata, ProtectedResourceMetadata, ResourceIdentifier, metadata_url,
};
use reqwest::{StatusCode, Url, header};
use serde::de::DeserializeOwned;

use crate::error::DiscoveryError;
use crate::transport::{Peer, Transport};

/// Bounds the memory that a stranger in the issuer's place can take.
const LARGEST_METADATA: usize = 256 * 1024;

/// The token endpoint for clients that use mutual TLS: the alias where there is one.
///
/// RFC 8414 §3, RFC 8705 §5
pub(crate) async fn token_endpoint(
    transport: &Transport,
    issuer: &str,
    connect_to: &[ConnectTo],
) -> Result<String, DiscoveryError> {
    let malformed = || DiscoveryError::Issuer {
        issuer: issuer.to_owned(),
    };
    let url = metadata_url(issuer).map_err(|_| malformed())?;
    let peer = Peer::of(&url.parse::<Url>().map_err(|_| malformed())?, connect_to);
    let metadata = fetch::<AuthorizationServerMetadata>(transport, &url, &peer).await?;
    let Some(metadata) = metadata else {
        return Err(DiscoveryError::NoMetadata { url });
    };
    // RFC 8414 §3.3: letter by letter.
    if metadata.issuer != issuer {
        return Err(DiscoveryError::OtherIssuer { url });
    }
    Ok(metadata.mtls_token_endpoint().to_owned())
}

/// The token endpoint of the first issuer that the resource's own metadata names.
///
/// RFC 9728 §3
pub(crate) async fn token_endpoint_of_resource(
    transport: &Transport,
    resource: &ResourceIdentifier,
    connect_to: &[ConnectTo],
) -> Result<String, DiscoveryError> {
    let url = resource.metadata_url();
    let Ok(parsed) = url.parse::<Url>() else {
        return Err(DiscoveryError::NoResourceMetadata { url });
    };
    let peer = Peer::of(&parsed, connect_to);
    let metadata = fetch::<ProtectedResourceMetadata>(transport, &url, &peer).await?;
    let Some(metadata) = metadata else {
        return Err(DiscoveryError::NoResourceMetadata { url });
    };
    // RFC 9728 §3.3: letter by letter.
    if metadata.verify(resource).is_err() {
        return Err(DiscoveryError::OtherResource { url });
    }
    match metadata.authorization_servers.first() {
        Some(issuer) => token_endpoint(transport, issuer, connect_to).await,
        None => Err(DiscoveryError::NoIssuer { url }),
    }
}

/// The metadata at `url`; `None` where the answer is none.
async fn fetch<T: DeserializeOwned>(
    transport: &Transport,
    url: &str,
    peer: &Peer,
) -> Result<Option<T>, DiscoveryError> {
    let request = transport
        .http_client
        .get(url)
        .header(header::ACCEPT, "application/json");
    let answer = transport.send(request, peer, LARGEST_METADATA).await?;
    if answer.status != StatusCode::OK {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&answer.body).ok())
}
