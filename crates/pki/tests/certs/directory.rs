//! What `prepare` makes, keeps, renews and refuses.

use std::fs;
use std::path::PathBuf;

use pki::{Error, Existing, Outcome, RENEWAL_MARGIN, Report, RevocationList, Root};

use crate::support::{Certs, DAY, FILES, now};

fn root(certs: &Certs) -> Root {
    Root::from_pem(&certs.read("root.pem"), &certs.read("root.key")).unwrap()
}

fn revocation_list(certs: &Certs) -> RevocationList {
    RevocationList::from_pem_or_der(&certs.read("root.crl.pem"), &root(certs)).unwrap()
}

/// The file that is named as the trouble, and the trouble itself.
fn trouble(result: Result<Report, Error>) -> (PathBuf, Error) {
    match result {
        Err(Error::InFile { path, source }) => (path, *source),
        other => panic!("no file was named: {other:?}"),
    }
}

#[test]
fn makes_every_file_of_the_contract_and_no_other() {
    let certs = Certs::complete();
    let made: Vec<_> = certs.snapshot().into_keys().collect();
    let mut expected = FILES.map(PathBuf::from);
    expected.sort();
    assert_eq!(made, expected);
}

#[test]
fn keeps_keys_to_their_owner_and_shows_the_rest() {
    let certs = Certs::complete();
    for name in FILES {
        let expected = if name.ends_with(".pem") { 0o644 } else { 0o600 };
        assert_eq!(certs.mode(name), expected, "{name}");
    }
}

#[test]
fn changes_nothing_the_second_time() {
    let certs = Certs::complete();
    let before = certs.snapshot();
    for existing in [Existing::Keep, Existing::RenewExpired] {
        let report = certs.prepare(existing, now()).unwrap();
        assert!(
            report.entries.iter().all(|entry| entry.outcome == Outcome::Kept),
            "{report:?}"
        );
        assert_eq!(certs.snapshot(), before);
    }
}

#[test]
fn makes_only_what_is_missing() {
    let certs = Certs::complete();
    let before = certs.snapshot();
    let missing = ["api.tls.pem", "api.tls.key", "other.client.p12"];
    missing.iter().for_each(|name| certs.remove(name));
    certs.prepare(Existing::Keep, now()).unwrap();
    let after = certs.snapshot();
    for (path, contents) in before {
        let was_missing = missing.iter().any(|name| path.as_os_str() == *name);
        assert_eq!(after[&path] != contents, was_missing, "{}", path.display());
    }
}

/// A crash between key and certificate leaves the key alone: the next run goes on from there.
#[test]
fn certifies_a_key_that_was_left_alone() {
    let certs = Certs::complete();
    let (key, root_key) = (certs.read("example.client.key"), certs.read("root.key"));
    certs.remove("example.client.pem");
    certs.remove("root.pem");
    certs.prepare(Existing::Keep, now()).unwrap();
    assert_eq!(certs.read("example.client.key"), key);
    assert_eq!(certs.read("root.key"), root_key);
    for name in ["example.client.pem", "other.client.pem"] {
        assert!(root(&certs).has_issued(&certs.certificate(name)), "{name}");
    }
}

#[test]
fn remakes_everything_when_forced() {
    let certs = Certs::complete();
    let before = certs.snapshot();
    certs.prepare(Existing::Replace, now()).unwrap();
    let after = certs.snapshot();
    for (path, contents) in before {
        assert_ne!(after[&path], contents, "{}", path.display());
    }
    assert!(root(&certs).has_issued(&certs.certificate("example.client.pem")));
}

#[test]
fn names_a_certificate_without_its_key() {
    for name in ["root", "login.tls", "refused/expired.client"] {
        let certs = Certs::complete();
        certs.remove(&format!("{name}.key"));
        let before = certs.snapshot();
        let (path, error) = trouble(certs.prepare(Existing::Keep, now()));
        assert_eq!(path, certs.file(&format!("{name}.pem")));
        assert!(matches!(error, Error::KeyMissing), "{error:?}");
        assert_eq!(certs.snapshot(), before, "nothing may be written");
    }
}

#[test]
fn names_a_certificate_beside_another_ones_key() {
    let certs = Certs::complete();
    fs::copy(certs.file("other.client.key"), certs.file("example.client.key")).unwrap();
    let before = certs.snapshot();
    let (path, error) = trouble(certs.prepare(Existing::RenewExpired, now()));
    assert_eq!(path, certs.file("example.client.pem"));
    assert!(matches!(error, Error::KeyMismatch), "{error:?}");
    assert_eq!(certs.snapshot(), before, "nothing may be written");
}

#[test]
fn names_a_lost_root_instead_of_making_another() {
    let certs = Certs::complete();
    certs.remove("root.pem");
    certs.remove("root.key");
    let (path, error) = trouble(certs.prepare(Existing::RenewExpired, now()));
    assert_eq!(path, certs.file("root.key"));
    assert!(matches!(error, Error::RootMissing), "{error:?}");
    assert!(!certs.file("root.key").exists());
}

#[test]
fn names_files_that_another_root_issued() {
    let (ours, theirs) = (Certs::complete(), Certs::complete());
    for name in ["other.client.pem", "other.client.key"] {
        fs::copy(theirs.file(name), ours.file(name)).unwrap();
    }
    let (path, error) = trouble(ours.prepare(Existing::Keep, now()));
    assert_eq!(path, ours.file("other.client.pem"));
    assert!(matches!(error, Error::NotIssuedHere), "{error:?}");

    let ours = Certs::complete();
    fs::copy(theirs.file("root.crl.pem"), ours.file("root.crl.pem")).unwrap();
    let (path, error) = trouble(ours.prepare(Existing::Keep, now()));
    assert_eq!(path, ours.file("root.crl.pem"));
    assert!(matches!(error, Error::ForeignRevocationList), "{error:?}");
}

/// A fixture that our own root had issued would prove nothing.
#[test]
fn names_a_rogue_that_is_none() {
    let certs = Certs::complete();
    for extension in ["pem", "key"] {
        let (good, rogue) = (
            format!("example.client.{extension}"),
            format!("refused/rogue.client.{extension}"),
        );
        fs::copy(certs.file(&good), certs.file(&rogue)).unwrap();
    }
    let (path, error) = trouble(certs.prepare(Existing::Keep, now()));
    assert_eq!(path, certs.file("refused/rogue.client.pem"));
    assert!(matches!(error, Error::RogueIssuedHere), "{error:?}");
}

#[test]
fn reports_what_has_expired_and_leaves_it_alone() {
    let certs = Certs::complete();
    let before = certs.snapshot();
    let report = certs.prepare(Existing::Keep, now().plus(400 * DAY)).unwrap();
    let expired: Vec<_> = report.with(Outcome::Expired).collect();
    assert!(expired.contains(&certs.file("example.client.pem").as_path()));
    assert!(expired.contains(&certs.file("root.crl.pem").as_path()));
    assert!(!expired.contains(&certs.file("login.tls.pem").as_path()));
    assert_eq!(certs.snapshot(), before);
}

#[test]
fn renews_what_has_expired_under_the_same_key() {
    let certs = Certs::complete();
    let before = certs.snapshot();
    let later = now().plus(400 * DAY);
    certs.prepare(Existing::RenewExpired, later).unwrap();
    let after = certs.snapshot();
    let renewed: Vec<_> = before
        .iter()
        .filter(|(path, contents)| after[*path] != **contents)
        .map(|(path, _)| path)
        .collect();
    assert_eq!(
        renewed
            .iter()
            .map(|path| path.to_str().unwrap())
            .collect::<Vec<_>>(),
        [
            "example.client.p12",
            "example.client.pem",
            "gateway.client.pem",
            "other.client.p12",
            "other.client.pem",
            "refused/revoked.client.pem",
            "refused/rogue.client.pem",
            "refused/server-only.client.pem",
            "root.crl.pem",
        ]
    );
    assert!(certs.certificate("example.client.pem").not_after() > later);
    assert!(revocation_list(&certs).lists(&certs.certificate("refused/revoked.client.pem")));
}

#[test]
fn renews_the_root_without_disowning_anybody() {
    let certs = Certs::complete();
    let kept = certs.certificate("refused/expired.client.pem");
    let later = now().plus(3651 * DAY);
    certs.prepare(Existing::RenewExpired, later).unwrap();
    assert!(root(&certs).certificate().not_after() > later);
    assert!(root(&certs).has_issued(&kept));
    assert_eq!(
        certs.certificate("refused/expired.client.pem"),
        kept,
        "it is there to be expired"
    );
    assert!(certs.certificate("refused/not-yet-valid.client.pem").not_before() > later);
}

/// T14: an overdue list would shut the door on everybody.
#[test]
fn renews_a_revocation_list_before_it_is_overdue() {
    let certs = Certs::complete();
    let first = revocation_list(&certs);
    certs
        .prepare(Existing::RenewExpired, first.next_update().minus(RENEWAL_MARGIN))
        .unwrap();
    let second = revocation_list(&certs);
    assert!(second.next_update() > first.next_update());
    assert!(second.number() > first.number());
    assert_eq!(second.revoked(), first.revoked());
}

/// An empty list in place of a lost one would let everybody in again.
#[test]
fn names_a_lost_revocation_list_instead_of_making_another() {
    for existing in [Existing::Keep, Existing::RenewExpired] {
        let certs = Certs::complete();
        certs.remove("root.crl.pem");
        let before = certs.snapshot();
        let (path, error) = trouble(certs.prepare(existing, now()));
        assert_eq!(path, certs.file("root.crl.pem"));
        assert!(matches!(error, Error::NoRevocationList), "{error:?}");
        assert_eq!(certs.snapshot(), before, "nothing may be written");
    }
}

/// Whoever issues to others alone may have put the demo's own certificates away.
#[test]
fn names_a_lost_revocation_list_where_any_certificate_is_there() {
    for left in ["acme.client.pem", "refused/acme.client.pem"] {
        let certs = Certs::complete();
        let certificate = certs.read("example.client.pem");
        for name in FILES
            .into_iter()
            .filter(|name| !["root.pem", "root.key"].contains(name))
        {
            certs.remove(name);
        }
        fs::write(certs.file(left), certificate).unwrap();
        let (path, error) = trouble(certs.prepare(Existing::Keep, now()));
        assert_eq!(path, certs.file("root.crl.pem"));
        assert!(matches!(error, Error::NoRevocationList), "{error:?}");
    }
}

/// A crash in the very first run, before anything was issued, left nothing that could have been revoked.
#[test]
fn goes_on_from_a_root_that_has_issued_nothing() {
    let certs = Certs::complete();
    let root_certificate = certs.read("root.pem");
    for name in FILES
        .into_iter()
        .filter(|name| !["root.pem", "root.key", "login.tls.key"].contains(name))
    {
        certs.remove(name);
    }
    certs.prepare(Existing::Keep, now()).unwrap();
    assert_eq!(certs.read("root.pem"), root_certificate);
    assert!(revocation_list(&certs).lists(&certs.certificate("refused/revoked.client.pem")));
}

#[test]
fn reports_as_many_files_every_time() {
    let certs = Certs::empty();
    let first = certs.prepare(Existing::Keep, now()).unwrap();
    let second = certs.prepare(Existing::Keep, now()).unwrap();
    let later = now().plus(400 * DAY);
    let expired = certs.prepare(Existing::Keep, later).unwrap();
    let renewed = certs.prepare(Existing::RenewExpired, later).unwrap();
    let paths = |report: &Report| {
        report
            .entries
            .iter()
            .map(|entry| entry.path.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(first.with(Outcome::Made).count(), first.entries.len());
    assert_eq!(second.with(Outcome::Kept).count(), first.entries.len());
    for report in [second, expired, renewed] {
        assert_eq!(paths(&report), paths(&first));
    }
}

#[test]
fn lists_the_revoked_fixture_again_when_either_was_lost() {
    let certs = Certs::complete();
    let root = root(&certs);
    let empty = RevocationList::empty(&root, pki::Days::REVOCATION_LIST, now()).unwrap();
    fs::write(certs.file("root.crl.pem"), empty.pem().unwrap()).unwrap();
    certs.prepare(Existing::Keep, now()).unwrap();
    assert!(revocation_list(&certs).lists(&certs.certificate("refused/revoked.client.pem")));

    let previous = revocation_list(&certs);
    certs.remove("refused/revoked.client.pem");
    certs.prepare(Existing::Keep, now()).unwrap();
    let list = revocation_list(&certs);
    assert!(list.lists(&certs.certificate("refused/revoked.client.pem")));
    assert_eq!(list.revoked()[..previous.revoked().len()], *previous.revoked());
}

#[test]
fn lets_two_at_once_make_one_set() {
    let certs = Certs::empty();
    std::thread::scope(|scope| {
        let runs = [(); 2].map(|()| scope.spawn(|| certs.prepare(Existing::Keep, now())));
        for run in runs {
            run.join().unwrap().unwrap();
        }
    });
    let report = certs.prepare(Existing::Keep, now()).unwrap();
    assert!(
        report.entries.iter().all(|entry| entry.outcome == Outcome::Kept),
        "{report:?}"
    );
}
