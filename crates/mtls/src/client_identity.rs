//! The certificate a client shows, as its files stand now.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use crate::credentials::CredentialsError;
use crate::server::TlsSection;

/// A certificate and key that follow their files; clones share them.
///
/// Connections opened from a reload on show the new certificate; those that are open keep the one they showed, until
/// either end closes them.
#[derive(Clone)]
pub struct ClientIdentity(Arc<Identity>);

struct Identity {
    current: ArcSwap<CertifiedKey>,
    generation: AtomicU64,
    files: TlsSection,
}

impl ClientIdentity {
    /// Reads the files; [`Self::reload`] reads them again.
    ///
    /// # Errors
    ///
    /// As [`Credentials::from_pem_files`](crate::Credentials::from_pem_files).
    pub fn load(files: TlsSection) -> Result<Self, CredentialsError> {
        let current = ArcSwap::new(files.credentials()?.certified_key());
        Ok(Self(Arc::new(Identity {
            current,
            generation: AtomicU64::new(0),
            files,
        })))
    }

    /// Reads the files again.
    ///
    /// # Errors
    ///
    /// As [`Self::load`]; then the certificate stays the one it was.
    pub fn reload(&self) -> Result<(), CredentialsError> {
        self.0.current.store(self.0.files.credentials()?.certified_key());
        self.0.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// How often the files were read again: a connection opened under an earlier number shows an earlier certificate.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Both files, to be watched.
    pub fn paths(&self) -> Vec<PathBuf> {
        vec![self.0.files.certificate.clone(), self.0.files.key.clone()]
    }

    pub(crate) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(self.clone())
    }
}

impl ResolvesClientCert for ClientIdentity {
    fn resolve(&self, _root_hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let current = self.0.current.load_full();
        current.key.choose_scheme(schemes).is_some().then_some(current)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientIdentity")
            .field("files", &self.0.files)
            .finish_non_exhaustive()
    }
}
