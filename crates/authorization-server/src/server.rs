//! What every handler works with: the issuer, its clients, its keys and its store.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mtls::{Revocations, SelfSignedCertificates};
use oauth_core::client::ClientRegistry;

use crate::answers::Answers;
use crate::audit::Audit;
use crate::configuration::Configuration;
use crate::guesses::Guesses;
use crate::registrations::Registrations;
use crate::signing_keys::SigningKeys;
use crate::token_requests::TokenRequests;
use crate::token_store::TokenStore;

/// An authorization server, apart from its listeners.
#[derive(Debug)]
pub(crate) struct AuthorizationServer {
    pub(crate) guesses: Guesses,
    pub(crate) token_requests: TokenRequests,
    pub(crate) audit: Audit,
    pub(crate) tokens: Arc<dyn TokenStore>,
    pub(crate) signing_keys: SigningKeys,
    /// Every resource server that asks for the same is answered with the same.
    pub(crate) answers: Answers,
    /// As at the start; the clients alone may have changed since.
    pub(crate) configuration: Configuration,
    registrations: ArcSwap<Registrations>,
    self_signed: SelfSignedCertificates,
    pub(crate) revocations: Revocations,
}

impl AuthorizationServer {
    /// Puts an authorization server together from its checked parts; `registrations` are those of `configuration`, or newer.
    pub(crate) fn new(
        configuration: Configuration,
        registrations: Registrations,
        tokens: Arc<dyn TokenStore>,
        signing_keys: SigningKeys,
    ) -> Self {
        let self_signed = SelfSignedCertificates::default();
        admit(&self_signed, &registrations.clients);
        Self {
            guesses: Guesses::default(),
            token_requests: TokenRequests::new(configuration.limits),
            audit: Audit::default(),
            tokens,
            signing_keys,
            answers: Answers::default(),
            configuration,
            registrations: ArcSwap::from_pointee(registrations),
            self_signed,
            revocations: Revocations::default(),
        }
    }

    /// The registrations, as they stand now; to be asked for once for each request.
    pub(crate) fn registrations(&self) -> Arc<Registrations> {
        self.registrations.load_full()
    }

    /// The self-signed certificates of the registered clients, now and after every change, for the listener to let in.
    pub(crate) fn self_signed_certificates(&self) -> SelfSignedCertificates {
        self.self_signed.clone()
    }

    /// The revoked certificates, whose tokens are inactive: for the listener to keep up with its revocation lists.
    pub(crate) fn revocations(&self) -> Revocations {
        self.revocations.clone()
    }

    /// Puts other clients in the place of those registered: from the next request on, who is not among them, or
    /// disabled, is unknown, and their tokens are inactive.
    pub(crate) fn register_anew(&self, registrations: Registrations) {
        let registrations = Arc::new(registrations);
        self.signing_keys
            .sign_also_with(registrations.clients.introspection_algorithms());
        self.registrations.store(Arc::clone(&registrations));
        admit(&self.self_signed, &registrations.clients);
    }
}

/// Lets those through the handshake that are registered; all, where a client publishes its own. Then nobody has vouched
/// for a self-signed certificate but the client that shows it: none passes for another's, and a client that
/// authenticates by something else may have its tokens bound to one. RFC 8705 §3
fn admit(self_signed: &SelfSignedCertificates, clients: &ClientRegistry) {
    match clients.self_signed_certificates() {
        Some(listed) => self_signed.replace(listed),
        None => self_signed.admit_any(),
    }
}
