//! What every handler works with: the issuer, its clients, its keys and its store.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use oauth_core::client::ClientRegistry;

use crate::configuration::Configuration;
use crate::issuer::Issuer;
use crate::signing_keys::SigningKeys;
use crate::token_store::TokenStore;

/// An authorization server, apart from its listeners.
#[derive(Debug)]
pub struct AuthorizationServer {
    pub(crate) issuer: Issuer,
    pub(crate) tokens: Arc<dyn TokenStore>,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) lifetime: Duration,
    pub(crate) revocation_window: Duration,
    /// As at the start; the clients alone may have changed since.
    pub(crate) configuration: Configuration,
    clients: ArcSwap<ClientRegistry>,
}

impl AuthorizationServer {
    /// Puts an authorization server together from its checked parts.
    pub fn new(
        configuration: &Configuration,
        tokens: Arc<dyn TokenStore>,
        signing_keys: SigningKeys,
    ) -> Self {
        Self {
            issuer: configuration.issuer.clone(),
            tokens,
            signing_keys,
            lifetime: configuration.tokens.lifetime,
            revocation_window: configuration.tokens.revocation_window,
            clients: ArcSwap::from_pointee(configuration.clients.clone()),
            configuration: configuration.clone(),
        }
    }

    /// The registered clients, as they stand now; to be asked for once for each request.
    pub fn clients(&self) -> Arc<ClientRegistry> {
        self.clients.load_full()
    }

    /// Puts other clients in the place of those registered: from the next request on, who is not among them, or
    /// disabled, is unknown, and their tokens are inactive.
    pub fn register_anew(&self, clients: ClientRegistry) {
        self.clients.store(Arc::new(clients));
    }
}
