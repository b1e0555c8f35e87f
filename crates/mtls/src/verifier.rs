//! The one client certificate verifier: rustls's own, and then what this project asks beyond it.
//!
//! The proof that the peer holds the certificate's key is rustls's to verify, always; so are the chain, its validity
//! and revocation, but for certificates that are registered or pinned one by one, and where nothing but that proof is
//! asked for. What else is added here can only refuse.

use std::sync::Arc;

use oauth_core::certificate::ClientCertificate;
use oauth_core::thumbprint::CertificateThumbprint;
use oauth_core::time::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Decode, Reader, SliceReader};

use crate::pinned::PinnedCertificates;
use crate::provider::crypto_provider;
use crate::revocation::{CrlPolicy, RevocationLists};
use crate::self_signed::SelfSignedCertificates;
use crate::server::{Chains, ClientEku, ServerConfigError, Verification};
use crate::trust::TrustAnchors;
use crate::verified_chains::{ChainDigest, VerifiedChains};

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
    anonymous: Anonymous,
    chains: ChainsUnder,
    admitted_dns_names: Option<Vec<String>>,
    self_signed: SelfSignedCertificates,
    pinned: PinnedCertificates,
    verified: VerifiedChains,
    algorithms: WebPkiSupportedAlgorithms,
}

/// What chains are verified with.
#[derive(Debug)]
enum ChainsUnder {
    Anchors {
        webpki: Arc<dyn ClientCertVerifier>,
        client_eku: ClientEku,
    },
    Nothing,
    /// They are not.
    Anything,
}

impl Verifier {
    pub(crate) fn new(verification: &Verification, anonymous: Anonymous) -> Result<Self, ServerConfigError> {
        let chains = match &verification.chains {
            Chains::Verified {
                trust,
                revocation,
                client_eku,
            } => ChainsUnder::Anchors {
                webpki: webpki_under(trust, revocation)?,
                client_eku: *client_eku,
            },
            Chains::Refused => ChainsUnder::Nothing,
            Chains::NotVerified => ChainsUnder::Anything,
        };
        Ok(Self {
            anonymous,
            chains,
            admitted_dns_names: verification.admitted_dns_names.clone(),
            self_signed: verification.self_signed.clone(),
            pinned: verification.pinned.clone(),
            verified: VerifiedChains::under(verification.revocation_next_update()),
            algorithms: crypto_provider().signature_verification_algorithms,
        })
    }

    /// The certificate, where this very one is registered. One that names another issuer is verified by its chain
    /// all the same: nothing but being self-signed excuses a certificate from that.
    fn registered_self_signed(&self, leaf: &[u8]) -> Option<ClientCertificate> {
        // Nothing that a stranger made is read before it is known.
        if self.self_signed.is_empty() || !self.self_signed.contains(&CertificateThumbprint::of_der(leaf)) {
            return None;
        }
        let certificate = ClientCertificate::from_der(leaf).ok()?;
        certificate.is_self_issued().then_some(certificate)
    }

    /// Whether this chain is let in. Nothing decides but what this verifier was made of, the chain and its dates: so the
    /// verdict may be remembered.
    fn verify_presented(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let certificate = self.verify_chain(leaf, intermediates, now)?;
        verify_key_strength(leaf)?;
        Ok(self.verify_admitted(&certificate)?)
    }

    /// Whether anything but the certificate itself vouches for it.
    fn verify_chain(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertificate, Error> {
        let read = || ClientCertificate::from_der(leaf).map_err(|_| CertificateError::BadEncoding);
        if self.pinned.contains(&CertificateThumbprint::of_der(leaf)) {
            return valid(read()?, now);
        }
        match &self.chains {
            ChainsUnder::Anchors { webpki, client_eku } => {
                webpki.verify_client_cert(leaf, intermediates, now)?;
                let certificate = read()?;
                // webpki refuses a wrong usage and lets an absent one pass.
                if *client_eku == ClientEku::Required && !certificate.has_client_auth_usage() {
                    return Err(CertificateError::InvalidPurpose.into());
                }
                Ok(certificate)
            }
            ChainsUnder::Nothing => Err(CertificateError::UnknownIssuer.into()),
            ChainsUnder::Anything => valid(read()?, now),
        }
    }

    /// Whether an authority vouches for a certificate, by which alone its names are worth something: one that is let in
    /// by itself could bear any.
    pub(crate) fn is_vouched_for(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> bool {
        match &self.chains {
            ChainsUnder::Anchors { webpki, .. } => {
                webpki.verify_client_cert(leaf, intermediates, now).is_ok()
            }
            ChainsUnder::Nothing | ChainsUnder::Anything => false,
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
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.anonymous == Anonymous::Refused
    }

    /// None where certificates of no known authority are let in: a peer that goes by the hints would not send its own.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.chains {
            ChainsUnder::Anchors { webpki, .. } if self.self_signed.is_empty() && self.pinned.is_empty() => {
                webpki.root_hint_subjects()
            }
            ChainsUnder::Anchors { .. } | ChainsUnder::Nothing | ChainsUnder::Anything => &[],
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
        // Not remembered: which are registered changes at any time.
        if let Some(certificate) = self.registered_self_signed(end_entity) {
            verify_key_strength(end_entity)?;
            self.verify_admitted(&certificate)?;
            return Ok(ClientCertVerified::assertion());
        }
        let chain = ChainDigest::of(end_entity, intermediates);
        if !self.verified.contains(&chain, timestamp(now)) {
            self.verify_presented(end_entity, intermediates, now)?;
            self.verified.add(chain, end_entity, intermediates);
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn webpki_under(
    trust: &TrustAnchors,
    revocation: &RevocationLists,
) -> Result<Arc<dyn ClientCertVerifier>, ServerConfigError> {
    // webpki accepts expired lists unless told otherwise.
    let mut builder = WebPkiClientVerifier::builder_with_provider(trust.roots(), crypto_provider())
        .with_crls(revocation.lists())
        .enforce_revocation_expiration();
    if revocation.policy() == CrlPolicy::IfPresent {
        builder = builder.allow_unknown_revocation_status();
    }
    builder
        .build()
        .map_err(|error| ServerConfigError::Verifier(error.to_string()))
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

/// What webpki would have verified where a chain is.
fn valid(certificate: ClientCertificate, now: UnixTime) -> Result<ClientCertificate, Error> {
    let now = timestamp(now);
    if now < certificate.not_before() {
        Err(CertificateError::NotValidYet.into())
    } else if now > certificate.not_after() {
        Err(CertificateError::Expired.into())
    } else {
        Ok(certificate)
    }
}

fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp::from_unix_seconds(time.as_secs())
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
