//! A certificate with its private key: what a server or a client authenticates with.

use zeroize::Zeroizing;

use crate::{certificate::Certificate, error::Error, key::PrivateKey, pkcs12};

/// A certificate and its private key.
#[derive(Debug)]
pub struct Identity {
    certificate: Certificate,
    key: PrivateKey,
}

impl Identity {
    pub(crate) const fn new(certificate: Certificate, key: PrivateKey) -> Self {
        Self { certificate, key }
    }

    /// The certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The private key.
    pub const fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The certificate as PEM.
    ///
    /// # Errors
    ///
    /// [`Error::Encoding`] where it is too large for PEM.
    pub fn certificate_pem(&self) -> Result<String, Error> {
        self.certificate.pem()
    }

    /// The private key as PKCS#8 PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        self.key.pem()
    }

    /// Certificate, key and `root` in one PKCS#12 file under `password`.
    ///
    /// # Errors
    ///
    /// [`Error::Pkcs12`] where it cannot be written.
    pub fn pkcs12(&self, root: &Certificate, password: &str, iterations: u32) -> Result<Vec<u8>, Error> {
        pkcs12::write(self, root, password, iterations)
    }
}
