//! A certificate chain together with its private key, typed and proven to belong together.
//!
//! Reads PEM, and PKCS#12 with the feature of that name. Never prints a key.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::file::{self, UnreadableFile};
use crate::pem;
use crate::provider::crypto_provider;

/// A certificate chain, leaf first, and the private key of its leaf.
#[derive(Clone)]
pub struct Credentials(Arc<CertifiedKey>);

impl Credentials {
    /// Reads a PEM certificate chain (leaf first) and its PEM private key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// A key file that others than its owner may read is used, and warned about in the log.
    ///
    /// # Errors
    ///
    /// Names the file and the remedy when a file is absent, holds no certificate or key, or the key belongs to
    /// another certificate.
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, CredentialsError> {
        let chain = chain_from_pem(&file::read(certificate)?).map_err(|error| error.in_file(certificate))?;
        let key_pem = file::read(key)?;
        warn_if_readable_by_others(key);
        key_from_pem(&key_pem)
            .and_then(|private_key| Self::new(chain, private_key))
            .map_err(|error| error.in_file(key))
    }

    /// Parses a PEM certificate chain (leaf first) and its PEM private key.
    ///
    /// # Errors
    ///
    /// When either holds nothing of its kind, or the key belongs to another certificate.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, CredentialsError> {
        Self::new(chain_from_pem(certificate)?, key_from_pem(key)?)
    }

    /// Opens a PKCS#12 archive that holds one private key with its certificate chain.
    ///
    /// # Errors
    ///
    /// When the password is wrong, the archive is damaged or of an outdated encryption, or it holds no key.
    #[cfg(feature = "pkcs12")]
    pub fn from_pkcs12(archive: &[u8], password: &str) -> Result<Self, CredentialsError> {
        use p12_keystore::{KeyStore, Pkcs12ImportPolicy};

        let store = KeyStore::from_pkcs12(archive, password, Pkcs12ImportPolicy::Strict)
            .map_err(|error| CredentialsError::Pkcs12(error.to_string()))?;
        let (_, entry) = store.private_key_chain().ok_or(CredentialsError::NoPrivateKey)?;
        let chain = entry
            .certs()
            .iter()
            .map(|certificate| CertificateDer::from(certificate.as_der().to_vec()))
            .collect();
        let key = PrivateKeyDer::try_from(entry.key().as_der().to_vec())
            .map_err(|reason| CredentialsError::UnusableKey(reason.into()))?;
        Self::new(chain, key)
    }

    /// The leaf certificate, DER.
    pub fn leaf_der(&self) -> &[u8] {
        // `new` refuses an empty chain.
        self.0.cert.first().map_or(&[], |leaf| leaf.as_ref())
    }

    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }

    pub(crate) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.0)))
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CredentialsError> {
        if chain.is_empty() {
            return Err(CredentialsError::NoCertificate);
        }
        match CertifiedKey::from_der(chain, key, &crypto_provider()) {
            Ok(certified) => Ok(Self(Arc::new(certified))),
            Err(rustls::Error::InconsistentKeys(_)) => Err(CredentialsError::KeyOfAnotherCertificate),
            Err(error) => Err(CredentialsError::UnusableKey(error.to_string())),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("certificates", &self.0.cert.len())
            .field("key", &"[redacted]")
            .finish()
    }
}

/// Why a certificate and its key could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The file is absent or unreadable.
    #[error(transparent)]
    Unreadable(#[from] UnreadableFile),
    /// There is no certificate in what was given.
    #[error("holds no certificate; a PEM block `CERTIFICATE` is expected, the leaf first")]
    NoCertificate,
    /// A PEM block is damaged.
    #[error("is not valid PEM: {0}")]
    DamagedPem(String),
    /// There is no unencrypted private key in what was given.
    #[error("holds no private key; an unencrypted PEM block `PRIVATE KEY` (PKCS#8) is expected")]
    NoPrivateKey,
    /// The key is of a kind or size that cannot sign here, or its certificate cannot be parsed.
    #[error("the key and certificate cannot be used: {0}")]
    UnusableKey(String),
    /// The key is sound but the certificate was issued for another one.
    #[error("the private key does not belong to the certificate given with it")]
    KeyOfAnotherCertificate,
    /// The PKCS#12 archive did not open.
    #[error("the PKCS#12 archive does not open; is the password right? ({0})")]
    Pkcs12(String),
    /// One of the above, in a named file.
    #[error("{}: {reason}", path.display())]
    InFile {
        /// The file as it was named.
        path: PathBuf,
        /// What is wrong with it; already part of the message.
        reason: Box<Self>,
    },
}

impl CredentialsError {
    fn in_file(self, path: &Path) -> Self {
        Self::InFile {
            path: path.to_path_buf(),
            reason: Box::new(self),
        }
    }
}

fn chain_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    pem::certificates(pem, CredentialsError::DamagedPem)?.ok_or(CredentialsError::NoCertificate)
}

fn key_from_pem(pem: &[u8]) -> Result<PrivateKeyDer<'static>, CredentialsError> {
    use rustls::pki_types::pem::Error;
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(Error::NoItemsFound) => Err(CredentialsError::NoPrivateKey),
        // The parser's own message may quote what it read, and this is a key.
        Err(_) => Err(CredentialsError::DamagedPem(
            "the key's PEM block is damaged".into(),
        )),
    }
}

#[cfg(unix)]
fn warn_if_readable_by_others(key: &Path) {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS: u32 = 0o077;
    let Ok(metadata) = std::fs::metadata(key) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        let path = key.display();
        tracing::warn!(key.path = %path, "private key {path} is open to others (mode {mode:o}); run `chmod 600 {path}`");
    }
}

#[cfg(not(unix))]
fn warn_if_readable_by_others(_key: &Path) {}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
