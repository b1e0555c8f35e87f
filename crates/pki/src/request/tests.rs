use oauth_core::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, OtherNameValue, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, PKCS_RSA_SHA256, SanType,
};
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage};

use super::*;
use crate::{Certificate, Days, KeyAlgorithm, Root, Usage, Validity};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "acme");
    params.subject_alt_names = vec![SanType::DnsName("acme.example.com".try_into().unwrap())];
    params
}

fn request_by(params: &CertificateParams, algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
    let key = KeyPair::generate_for(algorithm).unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

fn request(params: &CertificateParams) -> Vec<u8> {
    request_by(params, &PKCS_ECDSA_P256_SHA256)
}

fn sign(request: &CertificateRequest, usage: Usage) -> Certificate {
    let root = Root::create(KeyAlgorithm::EcdsaP256, NOW).unwrap();
    let certificate = root
        .sign_request(
            request,
            request.subject_alternative_names(),
            usage,
            Validity::starting(Days::CLIENT, NOW),
        )
        .unwrap();
    assert!(root.has_issued(&certificate));
    certificate
}

#[test]
fn takes_over_subject_names_and_key() {
    for algorithm in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ED25519,
        &PKCS_RSA_SHA256,
    ] {
        let request = CertificateRequest::from_pem_or_der(&request_by(&params(), algorithm)).unwrap();
        assert_eq!(request.subject().to_string(), "CN=acme");
        assert_eq!(
            request.subject_alternative_names(),
            [SubjectAlternativeName::dns("acme.example.com").unwrap()]
        );
        let certificate = sign(&request, Usage::Client);
        assert_eq!(certificate.subject(), *request.subject());
        assert_eq!(certificate.public_key_info().unwrap(), request.public_key_info());
    }
}

#[test]
fn accepts_both_pem_labels() {
    let der = request(&params());
    for label in PEM_LABELS {
        let pem = pem::encode(label, &der).unwrap();
        assert!(
            CertificateRequest::from_pem_or_der(pem.as_bytes()).is_ok(),
            "{label}"
        );
    }
}

/// A request is a wish: CA rights, usages and unknown extensions in it go unheard.
#[test]
fn gives_no_rights_that_were_asked_for() {
    let mut greedy = params();
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    greedy.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any];
    // What keytool asks for unasked: its own subjectKeyIdentifier.
    greedy.custom_extensions = vec![CustomExtension::from_oid_content(
        &[2, 5, 29, 14],
        vec![4, 2, 1, 2],
    )];
    let request = CertificateRequest::from_pem_or_der(&request(&greedy)).unwrap();
    let certificate = sign(&request, Usage::Client);
    assert!(!certificate.is_authority());
    let (_, usage) = certificate.tbs().get_extension::<KeyUsage>().unwrap().unwrap();
    assert!(!usage.key_cert_sign() && !usage.crl_sign());
    let (_, purposes) = certificate
        .tbs()
        .get_extension::<ExtendedKeyUsage>()
        .unwrap()
        .unwrap();
    assert_eq!(
        purposes.0.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["1.3.6.1.5.5.7.3.2"]
    );
    assert_ne!(certificate.key_identifier(), Some(vec![1, 2]));
}

/// RFC 2986 §3.
#[test]
fn refuses_a_request_that_was_tampered_with() {
    let mut der = request(&params());
    let place = der.windows(4).position(|bytes| bytes == b"acme").unwrap();
    der[place..place + 4].copy_from_slice(b"evil");
    let read = CertificateRequest::from_pem_or_der(&der);
    assert!(matches!(read, Err(Error::NoProofOfPossession)), "{read:?}");
}

/// What cannot be certified is no matter of proof.
#[test]
fn refuses_a_key_of_another_kind_as_such() {
    // The OID of P-256, changed into that of P-192.
    let mut der = request(&params());
    let p256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let place = der.windows(8).position(|bytes| bytes == p256).unwrap();
    der[place + 7] = 1;
    let read = CertificateRequest::from_pem_or_der(&der);
    assert!(matches!(read, Err(Error::UnsupportedKey)), "{read:?}");
}

#[test]
fn refuses_a_request_that_names_nobody() {
    let mut nobody = params();
    nobody.distinguished_name = DistinguishedName::new();
    assert!(
        CertificateRequest::from_pem_or_der(&request(&nobody)).is_ok(),
        "a name without a subject will do"
    );
    nobody.subject_alt_names.clear();
    assert!(matches!(
        CertificateRequest::from_pem_or_der(&request(&nobody)),
        Err(Error::NamesNobody)
    ));
}

#[test]
fn refuses_names_that_cannot_be_registered() {
    let mut other_name = params();
    let value = OtherNameValue::Utf8String("acme".to_owned());
    other_name.subject_alt_names = vec![SanType::OtherName((vec![1, 3, 6, 1], value))];
    let read = CertificateRequest::from_pem_or_der(&request(&other_name));
    assert!(matches!(read, Err(Error::UnsupportedAlternativeName)), "{read:?}");

    let mut with_nul = params();
    with_nul.subject_alt_names = vec![SanType::DnsName("acme.example\0.evil.com".try_into().unwrap())];
    let read = CertificateRequest::from_pem_or_der(&request(&with_nul));
    assert!(matches!(read, Err(Error::BadAlternativeName(..))), "{read:?}");
}

#[test]
fn refuses_what_is_no_request() {
    for file in [&b""[..], b"\x30\x00", b"-----BEGIN CERTIFICATE REQUEST-----\n"] {
        assert!(matches!(
            CertificateRequest::from_pem_or_der(file),
            Err(Error::NotARequest)
        ));
    }
}
