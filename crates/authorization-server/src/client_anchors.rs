//! The trust anchors that clients are registered with, where not every authority that the listener trusts may vouch
//! for them.

use std::collections::HashMap;
use std::path::PathBuf;

use mtls::{ChainVerifier, OtherAnchor, PresentedChain, TrustAnchors};
use oauth_core::time::Timestamp;
use service::configuration::Problems;

/// The files of one client's own trust anchors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTrust {
    /// The configuration key they stand under, for the error.
    pub key: String,
    /// Whose they are.
    pub client_id: String,
    /// PEM files of certification authorities.
    pub files: Vec<PathBuf>,
}

/// What verifies the chains of clients that have trust anchors of their own.
///
/// [RFC 8705 §7.4](https://www.rfc-editor.org/rfc/rfc8705#section-7.4)
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientAnchors(HashMap<String, ChainVerifier>);

impl ClientAnchors {
    /// Reads the files of all clients. What cannot be used is noted in `problems`, and then nobody passes for that
    /// client.
    pub(crate) fn load(clients: &[ClientTrust], problems: &mut Problems) -> Self {
        let mut verifiers = HashMap::new();
        for client in clients {
            let anchors = problems.take(&client.key, TrustAnchors::from_pem_files(&client.files));
            let verifier =
                anchors.and_then(|anchors| problems.take(&client.key, ChainVerifier::new(anchors)));
            if let Some(verifier) = verifier {
                verifiers.insert(client.client_id.clone(), verifier);
            }
        }
        Self(verifiers)
    }

    /// Whether `chain` ends in an anchor of the client's own at `now`. Fails closed: a client whose anchors are not
    /// loaded has none.
    pub(crate) fn verify(
        &self,
        client_id: &str,
        chain: &PresentedChain,
        now: Timestamp,
    ) -> Result<(), OtherAnchor> {
        self.0.get(client_id).ok_or(OtherAnchor)?.verify(chain, now)
    }
}
