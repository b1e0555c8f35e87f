//! The keys that clients publish at URLs of their own: fetched when one of them has to prove who it is.
//!
//! The URLs come from the operator's file alone, never from a request. Fails closed: a client whose keys are out of
//! reach is not authenticated, and is told to try again rather than that it is not known.

use std::collections::HashMap;
use std::time::Duration;

use jwks::{KeysUnavailable, RefetchLimits, RemoteJwks};
use mtls::{ClientTls, Timeouts, TrustAnchors};
use oauth_core::client::{ClientRegistration, ClientRegistry, PublishedKeys};
use oauth_core::client_authentication::{
    AuthenticationError, ClientCredentials, Outstanding, authenticate_by_published,
};
use oauth_core::time::Timestamp;
use service::configuration::Problems;

use crate::configuration::OutboundTlsSection;
use crate::response::Cause;

/// How soon keys are asked for again. Those at hand bound for how long a key that a client has withdrawn is still its
/// own here: they serve while newer ones are fetched, and no longer, whether that succeeds or not.
const LIMITS: RefetchLimits = RefetchLimits {
    max_age: Duration::from_secs(4 * 60),
    kept_at_most: Duration::from_secs(5 * 60),
    after_success: Duration::from_secs(10),
    after_failure: Duration::from_secs(1),
    timeout: Duration::from_secs(5),
};

/// The keys of all clients that publish theirs, by URL; clones share them.
///
/// [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2)
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientsPublishedKeys(HashMap<String, RemoteJwks<PublishedKeys>>);

impl ClientsPublishedKeys {
    /// Prepares to fetch the keys of `clients`, and fetches none yet. What stands in the way is noted in `problems`,
    /// and then these clients are not authenticated.
    pub(crate) fn load(
        clients: &ClientRegistry,
        outbound_tls: &OutboundTlsSection,
        problems: &mut Problems,
    ) -> Self {
        let uris = clients
            .iter()
            .filter_map(|client| client.authentication.jwks_uri());
        let uris: Vec<&str> = uris.map(|uri| uri.as_str()).collect();
        if outbound_tls.trust.is_empty() {
            if !uris.is_empty() {
                problems.add(
                    "outbound_tls.trust",
                    "is missing: name the certification authorities of the servers behind the clients' jwks_uri",
                );
            }
            return Self::default();
        }
        let trust = problems.take(
            "outbound_tls.trust",
            TrustAnchors::from_pem_files(&outbound_tls.trust),
        );
        let http_client = trust.and_then(|trust| {
            let http_client = ClientTls::new(trust).http_client(Timeouts::default(), &[]);
            problems.take("outbound_tls", http_client)
        });
        let Some(http_client) = http_client else {
            return Self::default();
        };
        let remote = |uri: &str| RemoteJwks::reading(http_client.clone(), uri, LIMITS);
        Self(
            uris.into_iter()
                .map(|uri| (uri.to_owned(), remote(uri)))
                .collect(),
        )
    }

    /// What the client's published keys prove, and what they leave open.
    pub(crate) async fn authenticate(
        &self,
        credentials: &ClientCredentials<'_>,
        client: &ClientRegistration,
        issuer: &str,
        now: Timestamp,
    ) -> Result<Result<Outstanding, AuthenticationError>, ClientKeysUnavailable> {
        let keys = client
            .authentication
            .jwks_uri()
            .and_then(|uri| self.0.get(uri.as_str()))
            .ok_or(ClientKeysUnavailable::NotLoaded)?;
        let question =
            |keys: &PublishedKeys| authenticate_by_published(keys, credentials, client, issuer, now);
        let answer = keys.ask(question, |error| error.is_of_unknown_key()).await;
        Ok(answer?)
    }
}

/// Why a client cannot be judged for want of its keys; never the client's fault as far as anybody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClientKeysUnavailable {
    #[error("{0}")]
    OutOfReach(#[from] KeysUnavailable),
    #[error("the client's jwks_uri is not loaded")]
    NotLoaded,
}

impl From<ClientKeysUnavailable> for Cause {
    fn from(error: ClientKeysUnavailable) -> Self {
        Self::ClientKeys(error)
    }
}
