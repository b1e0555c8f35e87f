//! The self-signed certificates that a listener lets in: a list that may change while it listens.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use oauth_core::thumbprint::CertificateThumbprint;

/// Certificates that no authority vouches for, each registered by its thumbprint; clones share the list.
///
/// [RFC 8705 §2.2](https://www.rfc-editor.org/rfc/rfc8705#section-2.2)
#[derive(Clone, Debug, Default)]
pub struct SelfSignedCertificates(Arc<ArcSwap<HashSet<[u8; 32]>>>);

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
        self.0.store(Arc::new(thumbprints.collect()));
    }

    pub(crate) fn contains(&self, thumbprint: &CertificateThumbprint) -> bool {
        self.0.load().contains(thumbprint.as_bytes())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.load().is_empty()
    }
}
