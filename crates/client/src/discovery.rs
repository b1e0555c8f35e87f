//! From an issuer to its token endpoint, by the issuer's own metadata.

use mtls::ConnectTo;
use oauth_core::metadata::{AuthorizationServerMetadata, metadata_url};
use reqwest::{StatusCode, Url, header};

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
    let request = transport
        .http_client
        .get(&url)
        .header(header::ACCEPT, "application/json");
    let answer = transport.send(request, &peer, LARGEST_METADATA).await?;
    if answer.status != StatusCode::OK {
        return Err(DiscoveryError::NoMetadata { url });
    }
    let Ok(metadata) = serde_json::from_slice::<AuthorizationServerMetadata>(&answer.body) else {
        return Err(DiscoveryError::NoMetadata { url });
    };
    // RFC 8414 §3.3: letter by letter.
    if metadata.issuer != issuer {
        return Err(DiscoveryError::OtherIssuer { url });
    }
    Ok(metadata.mtls_token_endpoint().to_owned())
}
