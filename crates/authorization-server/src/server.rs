//! What every handler works with: the issuer, its clients, its keys and its store.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use oauth_core::client::ClientRegistry;
use oauth_core::time::Timestamp;

use crate::client_anchors::ClientAnchors;
use crate::configuration::Configuration;
use crate::guesses::Guesses;
use crate::issuer::Issuer;
use crate::metadata;
use crate::replay_memory::{OwnReplayMemory, ReplayMemory};
use crate::signing_keys::SigningKeys;
use crate::token_store::TokenStore;

/// An authorization server, apart from its listeners.
#[derive(Debug)]
pub struct AuthorizationServer {
    pub(crate) issuer: Issuer,
    pub(crate) clients: ClientRegistry,
    pub(crate) client_anchors: ClientAnchors,
    pub(crate) replay_memory: Arc<dyn ReplayMemory>,
    pub(crate) guesses: Guesses,
    pub(crate) tokens: Arc<dyn TokenStore>,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) lifetime: Duration,
    pub(crate) revocation_window: Duration,
    pub(crate) metadata: Bytes,
}

impl AuthorizationServer {
    /// Puts an authorization server together from its checked parts.
    ///
    /// # Errors
    ///
    /// When the metadata cannot be written as JSON, which no checked configuration can cause.
    pub fn new(
        configuration: &Configuration,
        tokens: Arc<dyn TokenStore>,
        signing_keys: SigningKeys,
    ) -> Result<Self, serde_json::Error> {
        let metadata = metadata::document(configuration)?;
        Ok(Self {
            issuer: configuration.issuer.clone(),
            clients: configuration.clients.clone(),
            client_anchors: ClientAnchors::default(),
            replay_memory: Arc::new(OwnReplayMemory::new(Timestamp::from(SystemTime::now()))),
            guesses: Guesses::default(),
            tokens,
            signing_keys,
            lifetime: configuration.tokens.lifetime,
            revocation_window: configuration.tokens.revocation_window,
            metadata: metadata.into(),
        })
    }
    /// The same with the trust anchors of the clients that have their own; without, no such client passes.
    #[must_use]
    pub fn with_client_anchors(mut self, client_anchors: ClientAnchors) -> Self {
        self.client_anchors = client_anchors;
        self
    }
}
