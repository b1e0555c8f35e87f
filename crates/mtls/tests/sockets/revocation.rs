//! What revocation lists do to a handshake.

use mtls::{Alert, ClientCertificates, ClientEku, CrlPolicy, RevocationLists, Verification};
use rcgen::SerialNumber;

use crate::pki::{Authority, Leaf};
use crate::support::{Server, trust};

const REVOKED: &[u8] = &[0x11, 0x22];

fn server(authority: &Authority, lists: &[String], policy: CrlPolicy) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let files: Vec<_> = (0..lists.len())
        .map(|n| directory.path().join(format!("{n}.crl.pem")))
        .collect();
    for (file, list) in files.iter().zip(lists) {
        std::fs::write(file, list).unwrap();
    }
    let revocation = RevocationLists::load(&files, policy).unwrap();
    let verification = Verification::new(trust(authority), revocation, ClientEku::Required);
    Server::start(&ClientCertificates::Required(verification))
}

fn client(authority: &Authority, serial: &[u8]) -> Leaf {
    authority.client(|params| params.serial_number = Some(SerialNumber::from_slice(serial)))
}

/// T13.
#[tokio::test]
async fn refuses_a_revoked_certificate_and_accepts_its_sibling() {
    let authority = Authority::new("clients");
    for policy in [CrlPolicy::Require, CrlPolicy::IfPresent] {
        let server = server(&authority, &[authority.revocation_list(&[REVOKED], 2100)], policy);
        assert_eq!(
            server.refusal(Some(&client(&authority, REVOKED))).await,
            Some(Alert::CertificateRevoked)
        );
        assert!(server.ask(Some(&client(&authority, &[0x11, 0x23]))).await.is_ok());
    }
}

/// T14.
#[tokio::test]
async fn refuses_every_certificate_once_the_list_is_stale() {
    let authority = Authority::new("clients");
    for policy in [CrlPolicy::Require, CrlPolicy::IfPresent] {
        let server = server(&authority, &[authority.revocation_list(&[], 2022)], policy);
        assert_eq!(
            server.refusal(Some(&client(&authority, &[1]))).await,
            Some(Alert::UnknownCa)
        );
    }
}

/// T14.
#[tokio::test]
async fn refuses_an_unknown_status_where_a_list_is_required() {
    let authority = Authority::new("clients");
    let foreign = Authority::new("others").revocation_list(&[], 2100);
    let server = server(&authority, &[foreign], CrlPolicy::Require);
    assert_eq!(
        server.refusal(Some(&client(&authority, &[1]))).await,
        Some(Alert::UnknownCa)
    );
}

#[tokio::test]
async fn accepts_an_unknown_status_where_the_policy_is_if_present() {
    let authority = Authority::new("clients");
    let foreign = Authority::new("others").revocation_list(&[], 2100);
    let server = server(&authority, &[foreign], CrlPolicy::IfPresent);
    assert!(server.ask(Some(&client(&authority, &[1]))).await.is_ok());
}

/// A list that another authority of the same name made up proves nothing.
#[tokio::test]
async fn refuses_everyone_under_a_forged_list() {
    let authority = Authority::new("clients");
    let forged = Authority::new("clients").revocation_list(&[], 2100);
    let server = server(&authority, &[forged], CrlPolicy::Require);
    assert!(server.ask(Some(&client(&authority, &[1]))).await.is_err());
}
