//! Whether a revocation list comes from the authority whose name it bears.
//!
//! rustls finds out in the handshake, where the only thing left to do is to refuse everybody; here it is found out
//! before such a list is put in force.

use rustls::pki_types::{CertificateRevocationListDer, TrustAnchor};
use x509_cert::der::asn1::{AnyRef, BitString};
use x509_cert::der::{Decode, Encode, Reader, SliceReader};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::provider::crypto_provider;
use crate::trust::TrustAnchors;

/// Verifies the list's signature with the key of the trust anchor of that name. A list of an authority that is no
/// anchor passes: its certificate comes with the handshake, and so does the verification. RFC 5280 §6.3.3
pub(crate) fn verify(list: &CertificateRevocationListDer<'_>, trust: &TrustAnchors) -> Result<(), NotSigned> {
    let list = SignedList::parse(list).map_err(|_| NotSigned)?;
    let roots = trust.roots();
    let named = roots
        .roots
        .iter()
        .filter(|anchor| anchor.subject.as_ref() == list.issuer);
    let mut anchors = named.peekable();
    if anchors.peek().is_none() || anchors.any(|anchor| list.is_signed_by(anchor)) {
        Ok(())
    } else {
        Err(NotSigned)
    }
}

/// The list bears the name of an authority that has not signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotSigned;

struct SignedList<'l> {
    signed: &'l [u8],
    // Both without their outer tag and length, as rustls has them.
    issuer: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl<'l> SignedList<'l> {
    fn parse(list: &'l [u8]) -> x509_cert::der::Result<Self> {
        let parsed = x509_cert::crl::CertificateList::<x509_cert::certificate::Rfc5280>::from_der(list)?;
        let mut reader = SliceReader::new(list)?;
        let signed = reader.sequence(|fields| {
            let signed = fields.tlv_bytes()?;
            fields.tlv_bytes()?;
            fields.tlv_bytes()?;
            Ok::<_, x509_cert::der::Error>(signed)
        })?;
        Ok(Self {
            signed,
            issuer: content(&parsed.tbs_cert_list.issuer)?,
            algorithm: content(&parsed.signature_algorithm)?,
            signature: parsed.signature.raw_bytes().to_vec(),
        })
    }

    fn is_signed_by(&self, anchor: &TrustAnchor<'_>) -> bool {
        let Ok((key_algorithm, key)) = public_key(anchor.subject_public_key_info.as_ref()) else {
            return false;
        };
        crypto_provider()
            .signature_verification_algorithms
            .all
            .iter()
            .filter(|algorithm| {
                algorithm.signature_alg_id().as_ref() == self.algorithm
                    && algorithm.public_key_alg_id().as_ref() == key_algorithm
            })
            .any(|algorithm| {
                algorithm
                    .verify_signature(key.raw_bytes(), self.signed, &self.signature)
                    .is_ok()
            })
    }
}

/// Algorithm and key of a `SubjectPublicKeyInfo` without its outer tag and length.
fn public_key(info: &[u8]) -> x509_cert::der::Result<(Vec<u8>, BitString)> {
    let mut reader = SliceReader::new(info)?;
    let algorithm = AlgorithmIdentifierOwned::decode(&mut reader)?;
    Ok((content(&algorithm)?, BitString::decode(&mut reader)?))
}

fn content(element: &impl Encode) -> x509_cert::der::Result<Vec<u8>> {
    let der = element.to_der()?;
    Ok(AnyRef::from_der(&der)?.value().to_vec())
}
