//! The certification authorities a peer's certificate may come from.
//!
//! Never empty and never the system's store: trust is what the configuration names, and nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::file::{self, UnreadableFile};
use crate::pem;

/// One or more trusted certification authorities. RFC 5280 §6.1.1.
#[derive(Clone, Debug)]
pub struct TrustAnchors(Arc<RootCertStore>);

impl TrustAnchors {
    /// Reads every certificate of every PEM file.
    ///
    /// # Errors
    ///
    /// Fails closed: an empty list, an absent file, a file without a certificate or with one that cannot be an
    /// anchor is an error that names it, never a smaller store.
    pub fn from_pem_files(files: &[PathBuf]) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for path in files {
            add(&mut roots, certificates_in(path)?).map_err(|error| error.in_file(path))?;
        }
        Self::new(roots)
    }

    /// Parses every certificate of one PEM text.
    ///
    /// # Errors
    ///
    /// When it holds no certificate, or one that cannot be an anchor.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        add(&mut roots, certificates_of(pem)?)?;
        Self::new(roots)
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.0)
    }

    fn new(roots: RootCertStore) -> Result<Self, TrustError> {
        if roots.is_empty() {
            return Err(TrustError::NoFile);
        }
        Ok(Self(Arc::new(roots)))
    }
}

/// Why trust anchors could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The list of files is empty.
    #[error("no certification authority is named; list at least one PEM file")]
    NoFile,
    /// A file is absent or unreadable.
    #[error(transparent)]
    Unreadable(#[from] UnreadableFile),
    /// There is no certificate in what was given.
    #[error("holds no certificate; a PEM block `CERTIFICATE` is expected")]
    NoCertificate,
    /// A PEM block is damaged.
    #[error("is not valid PEM: {0}")]
    DamagedPem(String),
    /// A certificate cannot be parsed as a trust anchor.
    #[error("holds a certificate that cannot be a trust anchor: {0}")]
    UnusableCertificate(String),
    /// One of the above, in a named file.
    #[error("{}: {reason}", path.display())]
    InFile {
        /// The file as it was named.
        path: PathBuf,
        /// What is wrong with it; already part of the message.
        reason: Box<Self>,
    },
}

impl TrustError {
    fn in_file(self, path: &Path) -> Self {
        Self::InFile {
            path: path.to_path_buf(),
            reason: Box::new(self),
        }
    }
}

fn add(roots: &mut RootCertStore, certificates: Vec<CertificateDer<'static>>) -> Result<(), TrustError> {
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| TrustError::UnusableCertificate(error.to_string()))?;
    }
    Ok(())
}

/// Every certificate of a PEM file, of which there is at least one.
pub(crate) fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    certificates_of(&file::read(path)?).map_err(|error| error.in_file(path))
}

fn certificates_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    pem::certificates(pem, TrustError::DamagedPem)?.ok_or(TrustError::NoCertificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority_pem() -> String {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
            .self_signed(&rcgen::KeyPair::generate().unwrap())
            .unwrap()
            .pem()
    }

    #[test]
    fn accepts_every_certificate_of_every_file() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("one.pem"), directory.path().join("two.pem"));
        std::fs::write(&one, authority_pem()).unwrap();
        std::fs::write(&two, authority_pem() + &authority_pem()).unwrap();
        assert_eq!(
            TrustAnchors::from_pem_files(&[one, two]).unwrap().roots().len(),
            3
        );
    }

    #[test]
    fn refuses_an_empty_list() {
        assert!(matches!(
            TrustAnchors::from_pem_files(&[]),
            Err(TrustError::NoFile)
        ));
    }

    #[test]
    fn refuses_a_list_in_which_one_file_holds_no_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let (one, empty) = (
            directory.path().join("one.pem"),
            directory.path().join("empty.pem"),
        );
        std::fs::write(&one, authority_pem()).unwrap();
        std::fs::write(&empty, "nothing\n").unwrap();
        let error = TrustAnchors::from_pem_files(&[one, empty]).unwrap_err();
        assert!(
            matches!(&error, TrustError::InFile { reason, .. } if matches!(**reason, TrustError::NoCertificate))
        );
        assert!(error.to_string().contains("empty.pem"), "{error}");
    }

    #[test]
    fn names_the_absent_file_and_the_remedy() {
        let message = TrustAnchors::from_pem_files(&["absent/root.pem".into()])
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("absent/root.pem") && message.contains("pki -- init"),
            "{message}"
        );
    }
}
