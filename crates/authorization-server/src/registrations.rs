//! The registered clients, with what their registrations name beside themselves: changed as one.

use std::sync::Arc;

use oauth_core::client::ClientRegistry;
use service::configuration::{ConfigurationError, Problems};

use crate::client_anchors::ClientAnchors;
use crate::configuration::Configuration;
use crate::published_keys::ClientsPublishedKeys;

/// Who may ask, and under which trust anchors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registrations {
    /// The clients.
    pub clients: Arc<ClientRegistry>,
    /// The trust anchors of those that have their own.
    pub client_anchors: ClientAnchors,
    /// The keys of those that publish theirs.
    pub published_keys: ClientsPublishedKeys,
}

impl Registrations {
    /// The registrations of `configuration`, with the files read that they name.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`] names every client with a file that cannot be used.
    pub(crate) fn load(configuration: &Configuration) -> Result<Self, ConfigurationError> {
        let mut problems = Problems::new();
        let client_anchors = ClientAnchors::load(&configuration.client_trust, &mut problems);
        let published_keys =
            ClientsPublishedKeys::load(&configuration.clients, &configuration.outbound_tls, &mut problems);
        problems.into_result(Self {
            clients: Arc::new(configuration.clients.clone()),
            client_anchors,
            published_keys,
        })
    }
}
