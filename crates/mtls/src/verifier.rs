//! The one client certificate verifier: rustls's own, and then what this project asks beyond it.
//!
//! The proof that the peer holds the certificate's key is rustls's to verify, always; so are the chain, its validity
//! and revocation, but for self-signed certificates that are registered one by one. What else is added here can only
//! refuse.

use std::sync::Arc;

use oauth_core::certificate::ClientCertificate;
use oauth_core::thumbprint::CertificateThumbprint;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Decode, Reader, SliceReader};

use crate::provider::crypto_provider;
use crate::revocation::CrlPolicy;
use crate::self_signed::SelfSignedCertificates;
use crate::server::{ClientEku, ServerConfigError, Verification};

/// Bounds the work of building a path through certificates a stranger chose.
const LONGEST_CHAIN: usize = 10;
/// Bounds what is parsed and kept for every connection.
const LARGEST_LEAF: usize = 16 * 1024;
/// Keys below this are within reach of factoring. RFC 9325 §4.5.
const SHORTEST_RSA_MODULUS_BYTES: usize = 2048 / 8;

/// Whether a handshake without a client certificate may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anonymous {
    Allowed,
    Refused,
}

#[derive(Debug)]
pub(crate) struct Verifier {
    webpki: Arc<dyn ClientCertVerifier>,
    client_eku: ClientEku,
    admitted_dns_names: Option<Vec<String>>,
    self_signed: SelfSignedCertificates,
}

impl Verifier {
    pub(crate) fn new(verification: &Verification, anonymous: Anonymous) -> Result<Self, ServerConfigError> {
        let roots = verification.trust.roots();
        // webpki accepts expired lists unless told otherwise.
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, crypto_provider())
            .with_crls(verification.revocation.lists())
            .enforce_revocation_expiration();
        if verification.revocation.policy() == CrlPolicy::IfPresent {
            builder = builder.allow_unknown_revocation_status();
        }
        if anonymous == Anonymous::Allowed {
            builder = builder.allow_unauthenticated();
        }
        let webpki = builder
            .build()
            .map_err(|error| ServerConfigError::Verifier(error.to_string()))?;
        let admitted_dns_names = verification.admitted_dns_names.clone();
        Ok(Self {
            webpki,
            client_eku: verification.client_eku,
            admitted_dns_names,
            self_signed: verification.self_signed.clone(),
        })
    }

    /// The certificate, where this very one is registered. One that names another issuer is verified by its chain
    /// all the same: nothing but being self-signed excuses a certificate from that.
    fn registered_self_signed(&self, leaf: &[u8]) -> Option<ClientCertificate> {
        // Nothing that a stranger made is read before it is known.
        if !self.self_signed.contains(&CertificateThumbprint::of_der(leaf)) {
            return None;
        }
        let certificate = ClientCertificate::from_der(leaf).ok()?;
        certificate.is_self_issued().then_some(certificate)
    }

    fn verify_usage(&self, certificate: &ClientCertificate) -> Result<(), CertificateError> {
        // webpki refuses a wrong usage and lets an absent one pass.
        match self.client_eku {
            ClientEku::Required if !certificate.has_client_auth_usage() => {
                Err(CertificateError::InvalidPurpose)
            }
            ClientEku::Required | ClientEku::RequiredIfPresent => Ok(()),
        }
    }

    fn verify_admitted(&self, certificate: &ClientCertificate) -> Result<(), CertificateError> {
        let Some(admitted) = &self.admitted_dns_names else {
            return Ok(());
        };
        let names = certificate.subject_alternative_names().dns_names();
        if names
            .iter()
            .any(|name| admitted.iter().any(|other| other.eq_ignore_ascii_case(name)))
        {
            return Ok(());
        }
        Err(CertificateError::ApplicationVerificationFailure)
    }
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        self.webpki.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.webpki.client_auth_mandatory()
    }

    /// None where self-signed certificates are let in: a peer that goes by the hints would not send its own.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        if self.self_signed.is_empty() {
            self.webpki.root_hint_subjects()
        } else {
            &[]
        }
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        verify_bounds(end_entity, intermediates)?;
        // First: webpki would call a self-signed certificate an authority's, for what OpenSSL makes by default is one.
        if let Some(certificate) = self.registered_self_signed(end_entity) {
            verify_key_strength(end_entity)?;
            self.verify_admitted(&certificate)?;
            return Ok(ClientCertVerified::assertion());
        }
        let verified = self.webpki.verify_client_cert(end_entity, intermediates, now)?;
        verify_key_strength(end_entity)?;
        let certificate =
            ClientCertificate::from_der(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        self.verify_usage(&certificate)?;
        self.verify_admitted(&certificate)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// What is refused beyond rustls's own reasons and has no certificate error of its own there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the certificate chain is longer than {LONGEST_CHAIN}")]
    ChainTooLong,
    #[error("the certificate is larger than {LARGEST_LEAF} bytes")]
    CertificateTooLarge,
    #[error("the RSA key is shorter than 2048 bits")]
    WeakKey,
}

impl From<Refusal> for CertificateError {
    fn from(refusal: Refusal) -> Self {
        Self::Other(OtherError(Arc::new(refusal)))
    }
}

fn verify_bounds(leaf: &[u8], intermediates: &[CertificateDer<'_>]) -> Result<(), CertificateError> {
    if intermediates.len() >= LONGEST_CHAIN {
        return Err(Refusal::ChainTooLong.into());
    }
    if leaf.len() > LARGEST_LEAF {
        return Err(Refusal::CertificateTooLarge.into());
    }
    Ok(())
}

fn verify_key_strength(leaf: &[u8]) -> Result<(), CertificateError> {
    const RSA_ENCRYPTION: &str = "1.2.840.113549.1.1.1";
    let certificate = x509_cert::Certificate::from_der(leaf).map_err(|_| CertificateError::BadEncoding)?;
    let key = certificate.tbs_certificate().subject_public_key_info();
    if key.algorithm.oid.to_string() != RSA_ENCRYPTION {
        return Ok(());
    }
    let modulus_bytes =
        rsa_modulus_bytes(key.subject_public_key.raw_bytes()).map_err(|_| CertificateError::BadEncoding)?;
    if modulus_bytes < SHORTEST_RSA_MODULUS_BYTES {
        Err(Refusal::WeakKey.into())
    } else {
        Ok(())
    }
}

fn rsa_modulus_bytes(public_key: &[u8]) -> x509_cert::der::Result<usize> {
    let mut reader = SliceReader::new(public_key)?;
    reader.sequence(|fields| {
        let modulus = UintRef::decode(fields)?;
        let _exponent = UintRef::decode(fields)?;
        Ok(modulus.as_bytes().len())
    })
}

#[cfg(test)]
#[path = "verifier_tests.rs"]
mod tests;
