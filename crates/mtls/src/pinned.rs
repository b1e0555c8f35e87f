//! Certificates that are let in one by one, whoever issued them.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use oauth_core::thumbprint::CertificateThumbprint;

use crate::trust::{TrustError, certificates_in};

/// Certificates each of which is trusted by itself: no authority is asked, and no revocation list. Whoever is to be
/// let in no more is taken from the list.
#[derive(Clone, Debug, Default)]
pub struct PinnedCertificates(Arc<HashSet<[u8; 32]>>);

impl PinnedCertificates {
    /// Reads every certificate of every PEM file.
    ///
    /// # Errors
    ///
    /// An absent file, or one without a certificate, is an error that names it.
    pub fn from_pem_files(files: &[PathBuf]) -> Result<Self, TrustError> {
        let mut thumbprints = HashSet::new();
        for path in files {
            for certificate in certificates_in(path)? {
                thumbprints.insert(*CertificateThumbprint::of_der(&certificate).as_bytes());
            }
        }
        Ok(Self(Arc::new(thumbprints)))
    }

    pub(crate) fn contains(&self, thumbprint: &CertificateThumbprint) -> bool {
        self.0.contains(thumbprint.as_bytes())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
