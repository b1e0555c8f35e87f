//! A client's certificate, as a handshake or a header brings it.
//!
//! What is kept of it is what came; its subject as text, registered, names it; its other names are found where they
//! stand. No chain of it is trusted, since nobody signed it.

#![no_main]

use std::sync::LazyLock;

use certbound_fuzz::NOW;
use libfuzzer_sys::fuzz_target;
use mtls::{ChainVerifier, PresentedChain, TrustAnchors};
use oauth_core::certificate::ClientCertificate;
use oauth_core::client::CertificateSubject;
use oauth_core::client_cert_header;
use oauth_core::confirmation::{BindingPolicy, Confirmation, verify_binding};
use oauth_core::distinguished_name::{DistinguishedName, DistinguishedNameError};
use oauth_core::thumbprint::CertificateThumbprint;
use pki::{KeyAlgorithm, Root};

static ANCHOR: LazyLock<ChainVerifier> = LazyLock::new(|| {
    let root = Root::create(KeyAlgorithm::default(), NOW).expect("a root");
    let pem = root.certificate().pem().expect("PEM");
    ChainVerifier::new(TrustAnchors::from_pem(pem.as_bytes()).expect("an anchor")).expect("a verifier")
});

fuzz_target!(|der: &[u8]| {
    let chain = PresentedChain::from_der([der.to_vec()]);
    assert!(ANCHOR.verify(&chain, NOW).is_err(), "nobody signed it");
    let Ok(certificate) = ClientCertificate::from_der(der) else {
        return;
    };
    assert_eq!(certificate.der(), der);
    verify_thumbprint(&certificate);
    verify_header(der);
    verify_subject(certificate.subject());
    verify_other_names(&certificate);
    assert_eq!(
        certificate.is_valid_at(NOW),
        certificate.not_before() <= NOW && NOW <= certificate.not_after()
    );
});

fn verify_thumbprint(certificate: &ClientCertificate) {
    let thumbprint = certificate.thumbprint();
    assert_eq!(
        CertificateThumbprint::parse(&thumbprint.to_string()),
        Ok(*thumbprint)
    );
    let own = Confirmation::of(certificate);
    assert!(verify_binding(Some(&own), Some(thumbprint), BindingPolicy::Required).is_ok());
}

fn verify_header(der: &[u8]) {
    assert_eq!(
        client_cert_header::decode(&client_cert_header::encode(der)).as_deref(),
        Ok(der)
    );
}

/// A registration always has a value in every part; a certificate may leave a whole part empty, and matches none.
fn verify_subject(subject: &DistinguishedName) {
    let written = subject.to_string();
    match DistinguishedName::parse(&written) {
        Ok(registered) => assert!(registered.matches(subject), "{written:?}"),
        Err(DistinguishedNameError::Empty | DistinguishedNameError::MissingEquals) => {
            let is_empty = |part: &str| part.is_empty();
            assert!(written.split(',').any(is_empty), "{written:?}");
        }
        Err(error) => panic!("{written:?}: {error}"),
    }
}

fn verify_other_names(certificate: &ClientCertificate) {
    let names = certificate.subject_alternative_names();
    let dns = names.dns_names().iter().cloned().map(CertificateSubject::DnsName);
    let uris = names.uris().iter().cloned().map(CertificateSubject::Uri);
    let addresses = names
        .ip_addresses()
        .iter()
        .copied()
        .map(CertificateSubject::IpAddress);
    for name in dns.chain(uris).chain(addresses) {
        assert!(name.matches(certificate), "{name:?}");
    }
    // A name of one type is none of another.
    for name in names.dns_names() {
        let as_uri = CertificateSubject::Uri(name.clone());
        assert_eq!(as_uri.matches(certificate), names.uris().contains(name), "{name}");
    }
}
