//! A memory of the client certificates that were read: one that comes again is not parsed again.
//!
//! It saves work and decides nothing: what is read from a certificate depends on its bytes alone, by whose digest it is
//! found. Whether it is valid and trusted is judged with every connection and every request.

use std::sync::Arc;

use oauth_core::certificate::{CertificateError, ClientCertificate};
use oauth_core::thumbprint::CertificateThumbprint;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Bounds the memory, in bytes as [`InBytes`] estimates them: seven hundred certificates of the usual size.
const MOST_REMEMBERED: u64 = 1024 * 1024;
/// What is read from a certificate takes so many times the room of its encoding, the encoding among it.
const READ_FROM_DER: usize = 3;
const FIRST_ROOM: usize = 100;

/// What was read of the certificates of late.
#[derive(Debug)]
pub(crate) struct ReadCertificates(Cache<CertificateThumbprint, Arc<ClientCertificate>, InBytes>);

impl ReadCertificates {
    /// None so far.
    pub(crate) fn new() -> Self {
        Self(Cache::with_weighter(FIRST_ROOM, MOST_REMEMBERED, InBytes))
    }

    /// The certificate with this encoding.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] where it cannot be read; that is not remembered.
    pub(crate) fn read(&self, der: &[u8]) -> Result<Arc<ClientCertificate>, CertificateError> {
        let thumbprint = CertificateThumbprint::of_der(der);
        if let Some(known) = self.0.get(&thumbprint) {
            return Ok(known);
        }
        let certificate = Arc::new(ClientCertificate::from_der(der)?);
        self.0.insert(thumbprint, Arc::clone(&certificate));
        Ok(certificate)
    }
}

#[derive(Clone, Copy, Debug)]
struct InBytes;

impl Weighter<CertificateThumbprint, Arc<ClientCertificate>> for InBytes {
    fn weight(&self, _thumbprint: &CertificateThumbprint, certificate: &Arc<ClientCertificate>) -> u64 {
        (certificate.der().len() * READ_FROM_DER) as u64
    }
}

#[cfg(test)]
mod tests {
    use pki::{DemoSet, KeyAlgorithm, Member};

    use super::*;
    use crate::clock::now;

    #[test]
    fn reads_a_certificate_once_and_another_for_itself() {
        let pki = DemoSet::create(KeyAlgorithm::EcdsaP256, now()).unwrap();
        let certificates = ReadCertificates::new();
        let read = |member| {
            let der = pki.identity(member).certificate().der();
            let certificate = certificates.read(der).unwrap();
            assert_eq!(certificate.der(), der);
            certificate
        };
        let (example, other) = (read(Member::Example), read(Member::Other));
        assert!(Arc::ptr_eq(&example, &read(Member::Example)));
        assert!(!Arc::ptr_eq(&example, &other));
    }

    #[test]
    fn refuses_what_is_no_certificate_each_time() {
        let certificates = ReadCertificates::new();
        for _ in 0..2 {
            let refused = certificates.read(b"no certificate").unwrap_err();
            assert!(matches!(refused, CertificateError::Malformed), "{refused}");
        }
    }
}
