//! PEM and DER files: trust anchors, certificates with their keys, revocation lists, certificate requests.
//!
//! A list that is put in force has an end that the expiry of its file knows too.

#![no_main]

use std::sync::LazyLock;

use certbound_fuzz::NOW;
use libfuzzer_sys::fuzz_target;
use mtls::{Credentials, TrustAnchors};
use oauth_core::time::Timestamp;
use pki::{CertificateRequest, KeyAlgorithm, Root};

static TRUST: LazyLock<TrustAnchors> = LazyLock::new(|| {
    let root = Root::create(KeyAlgorithm::default(), NOW).expect("a root");
    let pem = root.certificate().pem().expect("PEM");
    TrustAnchors::from_pem(pem.as_bytes()).expect("an anchor")
});

fuzz_target!(|file: &[u8]| {
    let _no_anchors = TrustAnchors::from_pem(file);
    if let Ok(credentials) = Credentials::from_pem(file, file) {
        assert!(!credentials.leaf_der().is_empty());
        assert!(format!("{credentials:?}").contains("[redacted]"));
    }
    if let Some(lists) = mtls::fuzzing::revocation_lists(file, &TRUST) {
        let ends = mtls::fuzzing::ends_in(file).into_iter().map(Timestamp::from);
        assert_eq!(ends.min(), lists.next_update());
    }
    if let Ok(request) = CertificateRequest::from_pem_or_der(file) {
        assert!(!request.subject().is_empty() || !request.subject_alternative_names().is_empty());
    }
});
