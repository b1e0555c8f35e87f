use super::*;
use crate::{KeyAlgorithm, Leaf, Validity};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn root() -> Root {
    Root::create(KeyAlgorithm::EcdsaP256, NOW).unwrap()
}

fn certificate(root: &Root) -> Certificate {
    let leaf = Leaf {
        subject: "CN=a".parse().unwrap(),
        subject_alternative_names: Vec::new(),
        validity: Validity::starting(Days::CLIENT, NOW),
    };
    root.issue_client(&leaf, KeyAlgorithm::EcdsaP256)
        .unwrap()
        .certificate()
        .clone()
}

fn empty(root: &Root) -> RevocationList {
    RevocationList::empty(root, Days::REVOCATION_LIST, NOW).unwrap()
}

/// T13.
#[test]
fn lists_what_was_revoked_and_nothing_else() {
    let root = root();
    let (bad, good) = (certificate(&root), certificate(&root));
    let list = empty(&root)
        .revoke(&bad, &root, Days::REVOCATION_LIST, NOW)
        .unwrap();
    assert!(list.lists(&bad));
    assert!(!list.lists(&good));
}

#[test]
fn reads_back_what_it_signed() {
    let root = root();
    let (first, second) = (certificate(&root), certificate(&root));
    let list = empty(&root)
        .revoke(&first, &root, Days::REVOCATION_LIST, NOW)
        .unwrap();
    let read = RevocationList::from_pem_or_der(list.pem().unwrap().as_bytes(), &root).unwrap();
    assert_eq!(
        (read.number(), read.next_update(), read.revoked()),
        (list.number(), list.next_update(), list.revoked())
    );
    let longer = read.revoke(&second, &root, Days::REVOCATION_LIST, NOW).unwrap();
    assert!(longer.lists(&first) && longer.lists(&second));
}

/// RFC 5280 §5.2.3.
#[test]
fn counts_upwards_within_a_second_and_over_a_lost_file() {
    let root = root();
    let first = empty(&root);
    let second = first.renew(&root, Days::REVOCATION_LIST, NOW).unwrap();
    assert!(second.number() > first.number());
    let later = NOW.plus(std::time::Duration::from_secs(3600));
    let after_loss = RevocationList::empty(&root, Days::REVOCATION_LIST, later).unwrap();
    assert!(after_loss.number() > second.number());
}

#[test]
fn changes_nothing_for_what_is_revoked_already() {
    let root = root();
    let bad = certificate(&root);
    let list = empty(&root)
        .revoke(&bad, &root, Days::REVOCATION_LIST, NOW)
        .unwrap();
    let again = list.revoke(&bad, &root, Days::REVOCATION_LIST, NOW).unwrap();
    assert_eq!(again.der(), list.der());
}

#[test]
fn keeps_its_entries_when_renewed() {
    let root = root();
    let bad = certificate(&root);
    let list = empty(&root)
        .revoke(&bad, &root, Days::REVOCATION_LIST, NOW)
        .unwrap();
    let later = list.next_update();
    let renewed = list.renew(&root, Days::REVOCATION_LIST, later).unwrap();
    assert_eq!(renewed.revoked(), list.revoked());
    assert_eq!(
        renewed.next_update(),
        later.plus(Days::REVOCATION_LIST.duration())
    );
}

#[test]
fn refuses_a_certificate_of_another_root() {
    let (ours, theirs) = (root(), root());
    let foreign = certificate(&theirs);
    let list = empty(&ours).revoke(&foreign, &ours, Days::REVOCATION_LIST, NOW);
    assert!(matches!(list, Err(Error::NotIssuedHere)));
}

#[test]
fn refuses_to_list_its_own_root() {
    let root = root();
    let list = empty(&root).revoke(root.certificate(), &root, Days::REVOCATION_LIST, NOW);
    assert!(matches!(list, Err(Error::RevokesAuthority)));
}

/// The name is the same, so that only the signature tells the two roots apart.
#[test]
fn refuses_a_list_of_another_root() {
    let (ours, theirs) = (root(), root());
    let read = RevocationList::from_pem_or_der(empty(&theirs).der(), &ours);
    assert!(matches!(read, Err(Error::ForeignRevocationList)));
}

#[test]
fn refuses_a_list_that_was_tampered_with() {
    let root = root();
    let bad = certificate(&root);
    let list = empty(&root)
        .revoke(&bad, &root, Days::REVOCATION_LIST, NOW)
        .unwrap();
    let mut der = list.der().to_vec();
    let place = der
        .windows(bad.serial().len())
        .position(|bytes| bytes == bad.serial())
        .unwrap();
    der[place + 1] ^= 1;
    assert!(matches!(
        RevocationList::from_pem_or_der(&der, &root),
        Err(Error::ForeignRevocationList)
    ));
}

#[test]
fn refuses_what_is_no_list() {
    let root = root();
    for file in [&b""[..], b"\x30\x00", root.certificate().der()] {
        assert!(matches!(
            RevocationList::from_pem_or_der(file, &root),
            Err(Error::NotARevocationList)
        ));
    }
}
