use std::time::Duration;

use rcgen::{PKCS_RSA_SHA256, PublicKeyData, SanType, SignatureAlgorithm};
use rustls::pki_types::pem::PemObject;

use super::*;
use crate::pki::{Authority, params};
use crate::revocation::RevocationLists;
use crate::trust::TrustAnchors;

fn verifier(authority: &Authority) -> Verifier {
    let trust = TrustAnchors::from_pem(authority.pem.as_bytes()).unwrap();
    let revocation = RevocationLists::load(&[], CrlPolicy::IfPresent).unwrap();
    let verification = Verification::new(trust, revocation, ClientEku::RequiredIfPresent);
    Verifier::new(&verification, Anonymous::Refused).unwrap()
}

fn verify(authority: &Authority, leaf: &str, intermediates: usize) -> Result<ClientCertVerified, Error> {
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
    verifier(authority).verify_client_cert(&der(leaf), &vec![der(&authority.pem); intermediates], now)
}

#[track_caller]
fn assert_refused(result: Result<ClientCertVerified, Error>, refusal: Refusal) {
    let Err(Error::InvalidCertificate(CertificateError::Other(OtherError(reason)))) = result else {
        panic!("expected {refusal:?}, not {result:?}");
    };
    assert_eq!(reason.downcast_ref::<Refusal>(), Some(&refusal));
}

/// T26.
#[test]
fn accepts_a_chain_of_ten() {
    let authority = Authority::new("root");
    let leaf = authority.client(|_| ()).certificate;
    verify(&authority, &leaf, LONGEST_CHAIN - 1).unwrap();
}

/// T26.
#[test]
fn refuses_a_chain_of_eleven() {
    let authority = Authority::new("root");
    let leaf = authority.client(|_| ()).certificate;
    assert_refused(verify(&authority, &leaf, LONGEST_CHAIN), Refusal::ChainTooLong);
}

/// T26.
#[test]
fn refuses_a_certificate_larger_than_16_kib() {
    let authority = Authority::new("root");
    let names = |count: usize| {
        (0..count)
            .map(|n| SanType::DnsName(format!("{n:063}").try_into().unwrap()))
            .collect()
    };
    let large = authority
        .client(|params| params.subject_alt_names = names(200))
        .certificate;
    verify(&authority, &large, 0).unwrap();
    let too_large = authority
        .client(|params| params.subject_alt_names = names(280))
        .certificate;
    assert_refused(verify(&authority, &too_large, 0), Refusal::CertificateTooLarge);
}

/// A public key of so many bits; nobody holds its private half.
struct RsaKey(Vec<u8>);

impl RsaKey {
    fn of_bits(bits: usize) -> Self {
        let modulus = [&[0][..], &vec![0xa5; bits / 8]].concat();
        let fields = [tlv(0x02, &modulus), tlv(0x02, &[1, 0, 1])].concat();
        Self(tlv(0x30, &fields))
    }
}

/// DER of one element: tag, shortest form of the length, value.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(value.len()).unwrap().to_be_bytes();
    let length = match value.len() {
        0..0x80 => vec![low],
        0x80..0x100 => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag][..], &length, value].concat()
}

impl PublicKeyData for RsaKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

/// T27.
#[test]
fn accepts_an_rsa_key_of_2048_bits() {
    let authority = Authority::new("root");
    let leaf = authority.sign(&params("client"), &RsaKey::of_bits(2048));
    verify(&authority, &leaf, 0).unwrap();
}

/// T27.
#[test]
fn refuses_an_rsa_key_of_1024_bits() {
    let authority = Authority::new("root");
    let leaf = authority.sign(&params("client"), &RsaKey::of_bits(1024));
    assert_refused(verify(&authority, &leaf, 0), Refusal::WeakKey);
}

/// T25.
#[test]
fn advertises_the_trusted_authorities_alone() {
    let verifier = verifier(&Authority::new("root"));
    assert_eq!(verifier.root_hint_subjects().len(), 1);
    let hint = String::from_utf8_lossy(verifier.root_hint_subjects()[0].as_ref()).into_owned();
    assert!(hint.contains("root"), "{hint}");
}

/// T27: nothing weaker than SHA-256 is among what a peer may sign with.
#[test]
fn offers_no_sha1_signature_scheme() {
    let schemes = verifier(&Authority::new("root")).supported_verify_schemes();
    assert!(schemes.contains(&SignatureScheme::ECDSA_NISTP256_SHA256));
    assert!(!schemes.contains(&SignatureScheme::RSA_PKCS1_SHA1));
    assert!(!schemes.contains(&SignatureScheme::ECDSA_SHA1_Legacy));
}

/// T25: a hint would keep the holder of a self-signed certificate from sending it.
#[test]
fn advertises_no_authority_where_self_signed_certificates_are_let_in() {
    let authority = Authority::new("root");
    let trust = TrustAnchors::from_pem(authority.pem.as_bytes()).unwrap();
    let revocation = RevocationLists::load(&[], CrlPolicy::IfPresent).unwrap();
    let verification = Verification::new(trust, revocation, ClientEku::Required).admit_self_signed(
        SelfSignedCertificates::new([CertificateThumbprint::of_der(b"certificate")]),
    );
    let verifier = Verifier::new(&verification, Anonymous::Allowed).unwrap();
    assert!(verifier.root_hint_subjects().is_empty());
}
