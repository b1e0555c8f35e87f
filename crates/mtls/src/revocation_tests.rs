use std::time::Duration;

use super::*;
use crate::pki::Authority;

fn file_with(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("root.crl.pem");
    std::fs::write(&path, content).unwrap();
    (directory, path)
}

#[test]
fn accepts_a_list_in_pem_and_in_der_and_knows_when_it_expires() {
    let pem = Authority::new("root").revocation_list(&[], 2100);
    let der = CertificateRevocationListDer::from_pem_slice(pem.as_bytes())
        .unwrap()
        .to_vec();
    for content in [pem.as_bytes(), &der] {
        let (_directory, path) = file_with(content);
        let lists = RevocationLists::load(&[path], CrlPolicy::Require).unwrap();
        assert_eq!(lists.lists().count(), 1);
        let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
        assert_eq!(lists.next_update(), Some(Timestamp::from(expiry)));
    }
}

/// T13: by issuer and serial number, so that another authority's certificate of that number is another one.
#[test]
fn knows_which_certificates_are_revoked() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let numbered = |authority: &Authority| {
        let leaf = authority.client(|params| params.serial_number = Some(vec![0x81, 7].into()));
        let der = rustls::pki_types::CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
        oauth_core::certificate::ClientCertificate::from_der(&der).unwrap()
    };
    let (_directory, path) = file_with(authority.revocation_list(&[&[0x81, 7]], 2100).as_bytes());
    let lists = RevocationLists::load(&[path], CrlPolicy::Require).unwrap();
    let revoking = |certificate: oauth_core::certificate::ClientCertificate| {
        let mut revoked = RevokedCertificates::default();
        revoked.add(Timestamp::from_unix_seconds(1_609_459_200), [certificate.id()]);
        revoked
    };
    assert_eq!(*lists.revoked(), revoking(numbered(&authority)));
    assert_ne!(*lists.revoked(), revoking(numbered(&other)));
}

#[test]
fn the_first_list_to_expire_counts() {
    let authority = Authority::new("root");
    let (_one, early) = file_with(authority.revocation_list(&[], 2050).as_bytes());
    let (_other, late) = file_with(authority.revocation_list(&[], 2100).as_bytes());
    let both = RevocationLists::load(&[late, early.clone()], CrlPolicy::Require).unwrap();
    let first = RevocationLists::load(&[early], CrlPolicy::Require).unwrap();
    assert_eq!(both.next_update(), first.next_update());
}

/// T14.
#[test]
fn refuses_an_absent_list_where_one_is_required() {
    let error = RevocationLists::load(&["absent.crl.pem".into()], CrlPolicy::Require).unwrap_err();
    assert!(matches!(error, RevocationError::Unreadable(_)), "{error}");
    let error = RevocationLists::load(&[], CrlPolicy::Require).unwrap_err();
    assert!(matches!(error, RevocationError::NoneNamed), "{error}");
}

#[test]
fn accepts_an_absent_list_where_the_policy_is_if_present() {
    let lists = RevocationLists::load(&["absent.crl.pem".into()], CrlPolicy::IfPresent).unwrap();
    assert_eq!((lists.lists().count(), lists.next_update()), (0, None));
    assert!(RevocationLists::load(&[], CrlPolicy::IfPresent).is_ok());
}

#[test]
fn refuses_a_damaged_list_under_either_policy() {
    for policy in [CrlPolicy::Require, CrlPolicy::IfPresent] {
        let (_directory, path) = file_with(b"nothing of the kind");
        let error = RevocationLists::load(&[path], policy).unwrap_err().to_string();
        assert!(
            error.contains("root.crl.pem: holds no revocation list"),
            "{error}"
        );
        let (_directory, path) = file_with(&[0x30, 0x03, 0x01, 0x01, 0xff]);
        let error = RevocationLists::load(&[path], policy).unwrap_err().to_string();
        assert!(
            error.contains("root.crl.pem: holds a damaged revocation list"),
            "{error}"
        );
    }
}
