use std::time::Duration;

use rcgen::{PKCS_RSA_SHA256, PublicKeyData, SanType, SignatureAlgorithm, date_time_ymd};
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
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    verifier(authority).verify_client_cert(&der(leaf), &vec![der(&authority.pem); intermediates], now)
}

#[track_caller]
fn assert_refused(result: Result<ClientCertVerified, Error>, refusal: Refusal) {
    let Err(Error::InvalidCertificate(CertificateError::Other(OtherError(reason)))) = result else {
        panic!("expected {refusal:?}, not {result:?}");
    };
    assert_eq!(reason.downcast_ref::<Refusal>(), Some(&refusal));
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

const NOW: u64 = 1_800_000_000;
const YEAR: u64 = 365 * 24 * 60 * 60;

/// A verifier that enforces this list of the authority's.
fn verifier_with_list(authority: &Authority, list: &str) -> Verifier {
    let trust = TrustAnchors::from_pem(authority.pem.as_bytes()).unwrap();
    let mut revocation = RevocationLists::empty(CrlPolicy::Require);
    revocation.add(list.as_bytes()).unwrap();
    let verification = Verification::new(trust, revocation, ClientEku::Required);
    Verifier::new(&verification, Anonymous::Refused).unwrap()
}

/// What a handshake with this chain comes to, and whether the chain was remembered before it.
fn meet(
    verifier: &Verifier,
    leaf: &str,
    intermediates: &[&str],
    now: u64,
) -> (Result<ClientCertVerified, Error>, bool) {
    let (leaf, intermediates) = (
        der(leaf),
        intermediates.iter().map(|pem| der(pem)).collect::<Vec<_>>(),
    );
    let chain = ChainDigest::of(&leaf, &intermediates);
    let remembered = verifier
        .verified
        .contains(&chain, Timestamp::from_unix_seconds(now));
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    (
        verifier.verify_client_cert(&leaf, &intermediates, now),
        remembered,
    )
}

/// T21: a date in the chain ends what is remembered of it.
#[test]
fn a_chain_is_remembered_while_every_certificate_in_it_is_valid() {
    let root = Authority::new("root");
    let verifier = verifier_with_list(&root, &root.revocation_list(&[], 2100));
    let short = root.client(|params| {
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2028, 1, 1));
    });
    let short = short.certificate.as_str();
    let long = root.client(|_| ()).certificate;
    for (leaf, above) in [(short, vec![]), (long.as_str(), vec![short])] {
        assert!(matches!(meet(&verifier, leaf, &above, NOW), (Ok(_), false)));
        assert!(matches!(meet(&verifier, leaf, &above, NOW + 1), (Ok(_), true)));
        assert!(!meet(&verifier, leaf, &above, NOW + 2 * YEAR).1);
        assert!(!meet(&verifier, leaf, &above, NOW - 3 * YEAR).1);
    }
    let expired = meet(&verifier, short, &[], NOW + 2 * YEAR).0.unwrap_err();
    assert!(format!("{expired:?}").contains("Expired"), "{expired:?}");
    let not_yet = meet(&verifier, short, &[], NOW - 3 * YEAR).0.unwrap_err();
    assert!(format!("{not_yet:?}").contains("NotValidYet"), "{not_yet:?}");
}

/// T14: a revocation list that has expired lets nobody in, whom it let in before included.
#[test]
fn no_chain_is_remembered_beyond_a_revocation_list() {
    let root = Authority::new("root");
    let verifier = verifier_with_list(&root, &root.revocation_list(&[], 2028));
    let leaf = root.client(|_| ()).certificate;
    assert!(meet(&verifier, &leaf, &[], NOW).0.is_ok());
    assert!(matches!(meet(&verifier, &leaf, &[], NOW), (Ok(_), true)));
    assert!(matches!(meet(&verifier, &leaf, &[], NOW + YEAR), (Err(_), false)));
}

/// T13: the certificate is what is remembered, not its key.
#[test]
fn another_certificate_for_the_key_of_a_remembered_one_is_verified_by_itself() {
    let root = Authority::new("root");
    let verifier = verifier_with_list(&root, &root.revocation_list(&[&[7]], 2100));
    let key = rcgen::KeyPair::generate().unwrap();
    let [good, revoked] = [6, 7].map(|serial| {
        let mut params = params("client");
        params.serial_number = Some(vec![serial].into());
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        root.sign(&params, &key)
    });
    for _ in 0..2 {
        assert!(meet(&verifier, &good, &[], NOW).0.is_ok());
        assert!(matches!(meet(&verifier, &revoked, &[], NOW), (Err(_), false)));
    }
}

/// T5: without what led to the authority, the same certificate leads nowhere.
#[test]
fn another_chain_of_a_remembered_certificate_is_verified_by_itself() {
    let (root, other) = (Authority::new("root"), Authority::new("other"));
    let verifier = verifier(&root);
    let leaf = root.client(|_| ()).certificate;
    assert!(meet(&verifier, &leaf, &[&other.pem], NOW).0.is_ok());
    assert!(matches!(
        meet(&verifier, &leaf, &[&other.pem], NOW),
        (Ok(_), true)
    ));
    assert!(matches!(meet(&verifier, &leaf, &[], NOW), (Ok(_), false)));
    let foreign = other.client(|_| ()).certificate;
    for _ in 0..2 {
        assert!(matches!(meet(&verifier, &foreign, &[], NOW), (Err(_), false)));
        assert!(matches!(
            meet(&verifier, &foreign, &[&other.pem], NOW),
            (Err(_), false)
        ));
    }
}

/// T17: which self-signed certificates are registered changes while the listener stands.
#[test]
fn a_self_signed_certificate_is_not_remembered() {
    let root = Authority::new("root");
    let trust = TrustAnchors::from_pem(root.pem.as_bytes()).unwrap();
    let own = crate::pki::Leaf::self_signed(|_| ()).certificate;
    let registered = SelfSignedCertificates::new([CertificateThumbprint::of_der(&der(&own))]);
    let revocation = RevocationLists::load(&[], CrlPolicy::IfPresent).unwrap();
    let verification = Verification::new(trust, revocation, ClientEku::Required);
    let verification = verification.admit_self_signed(registered.clone());
    let verifier = Verifier::new(&verification, Anonymous::Allowed).unwrap();
    for _ in 0..2 {
        assert!(matches!(meet(&verifier, &own, &[], NOW), (Ok(_), false)));
    }
    registered.replace([]);
    assert!(meet(&verifier, &own, &[], NOW).0.is_err());
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

/// T25, F14.
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
