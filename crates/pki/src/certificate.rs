//! A certificate as it is kept here: its DER, and the parsed form for the questions the PKI asks.

use std::fmt;

use oauth_core::time::Timestamp;
use x509_cert::{
    TbsCertificate,
    der::{Decode as _, Encode as _},
    ext::pkix::{BasicConstraints, KeyUsage, SubjectKeyIdentifier},
};

use crate::{error::Error, pem, subject::Subject};

pub(crate) const PEM_LABEL: &str = "CERTIFICATE";

/// An X.509 certificate.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
}

impl Certificate {
    /// Reads a certificate from DER.
    ///
    /// # Errors
    ///
    /// [`Error::NotACertificate`] where the bytes are not exactly one certificate.
    pub fn from_der(der: Vec<u8>) -> Result<Self, Error> {
        let parsed = x509_cert::Certificate::from_der(&der).map_err(|_| Error::NotACertificate)?;
        Ok(Self { der, parsed })
    }

    /// Reads the first certificate of a PEM file, or the one that a DER file is.
    ///
    /// # Errors
    ///
    /// [`Error::NotACertificate`] where there is none.
    pub fn from_pem_or_der(file: &[u8]) -> Result<Self, Error> {
        Self::from_der(pem::der_of(file, &[PEM_LABEL]).ok_or(Error::NotACertificate)?)
    }

    /// The certificate as DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as PEM.
    ///
    /// # Errors
    ///
    /// [`Error::Encoding`] where it is too large for PEM.
    pub fn pem(&self) -> Result<String, Error> {
        pem::encode(PEM_LABEL, &self.der)
    }

    /// The serial number's bytes, big-endian, without leading zeros.
    pub fn serial(&self) -> &[u8] {
        significant(self.tbs().serial_number().as_bytes())
    }

    /// The first second of validity.
    pub fn not_before(&self) -> Timestamp {
        Timestamp::from(self.tbs().validity().not_before.to_system_time())
    }

    /// The last second of validity.
    pub fn not_after(&self) -> Timestamp {
        Timestamp::from(self.tbs().validity().not_after.to_system_time())
    }

    /// The subject's distinguished name.
    pub fn subject(&self) -> Subject {
        Subject::from_name(self.tbs().subject().clone())
    }

    pub(crate) fn tbs(&self) -> &TbsCertificate {
        self.parsed.tbs_certificate()
    }

    pub(crate) const fn parsed(&self) -> &x509_cert::Certificate {
        &self.parsed
    }

    /// The DER of the `SubjectPublicKeyInfo`.
    pub(crate) fn public_key_info(&self) -> Result<Vec<u8>, Error> {
        Ok(self.tbs().subject_public_key_info().to_der()?)
    }

    /// The subjectKeyIdentifier, where the certificate has one.
    pub(crate) fn key_identifier(&self) -> Option<Vec<u8>> {
        let (_, identifier) = self.tbs().get_extension::<SubjectKeyIdentifier>().ok()??;
        Some(identifier.0.as_bytes().to_vec())
    }

    /// Whether the certificate calls itself an authority's, whatever it may sign.
    ///
    /// RFC 5280 §4.2.1.9
    pub(crate) fn is_ca(&self) -> bool {
        let constraints = self.tbs().get_extension::<BasicConstraints>().ok().flatten();
        constraints.is_some_and(|(_, constraints)| constraints.ca)
    }

    /// Whether the certificate may sign both certificates and revocation lists.
    ///
    /// RFC 5280 §4.2.1.3, §4.2.1.9
    pub(crate) fn is_authority(&self) -> bool {
        let usage = self.tbs().get_extension::<KeyUsage>().ok().flatten();
        self.is_ca() && usage.is_some_and(|(_, usage)| usage.key_cert_sign() && usage.crl_sign())
    }
}

/// Equal when the bytes are.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Certificate({})", self.subject())
    }
}

/// DER puts a zero in front of a number whose top bit is set; serials are compared without it.
pub(crate) fn significant(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    &serial[zeros..]
}
