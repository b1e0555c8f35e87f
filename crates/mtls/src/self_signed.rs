//! The self-signed certificates that a listener lets in: a list that may change while it listens.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use oauth_core::thumbprint::CertificateThumbprint;

/// Certificates that no authority vouches for: each registered by its thumbprint, or any at all. Clones share the list.
///
/// [RFC 8705 §2.2](https://www.rfc-editor.org/rfc/rfc8705#section-2.2)
#[derive(Clone, Debug, Default)]
pub struct SelfSignedCertificates(Arc<ArcSwap<Admitted>>);

#[derive(Debug)]
enum Admitted {
    Listed(HashSet<[u8; 32]>),
    Any,
}

impl Default for Admitted {
    fn default() -> Self {
        Self::Listed(HashSet::new())
    }
}

impl SelfSignedCertificates {
    /// These certificates.
    pub fn new(thumbprints: impl IntoIterator<Item = CertificateThumbprint>) -> Self {
        let certificates = Self::default();
        certificates.replace(thumbprints);
        certificates
    }

    /// From the next handshake on, these certificates and no others.
    pub fn replace(&self, thumbprints: impl IntoIterator<Item = CertificateThumbprint>) {
        let thumbprints = thumbprints.into_iter().map(|thumbprint| *thumbprint.as_bytes());
        self.0.store(Arc::new(Admitted::Listed(thumbprints.collect())));
    }

    /// From the next handshake on, any self-signed certificate of a peer that holds its key: where nobody can list
    /// them beforehand, and every request is refused whose certificate turns out to be nobody's.
    pub fn admit_any(&self) {
        self.0.store(Arc::new(Admitted::Any));
    }

    pub(crate) fn contains(&self, thumbprint: &CertificateThumbprint) -> bool {
        match &**self.0.load() {
            Admitted::Listed(thumbprints) => thumbprints.contains(thumbprint.as_bytes()),
            Admitted::Any => true,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(&**self.0.load(), Admitted::Listed(thumbprints) if thumbprints.is_empty())
    }
}
