use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use oauth_core::jwt::{AccessTokenClaims, AccessTokenVerifier, VerificationKeys};
use tempfile::TempDir;

use super::key_set::{ANNOUNCEMENT, Ownership, RETIREMENT};
use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn policy(algorithm: SignatureAlgorithm) -> RotationPolicy {
    RotationPolicy {
        algorithm,
        further: BTreeSet::new(),
        ownership: Ownership::Sole,
        rotate_every: DAY * 30,
    }
}

fn open(directory: &Path, now: Timestamp) -> SigningKeys {
    SigningKeys::open(directory, policy(SignatureAlgorithm::ES256), now).unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A6, D8: made once for each algorithm, and read from then on.
#[test]
fn makes_keys_on_the_first_start_and_keeps_them() {
    for algorithm in SignatureAlgorithm::ALL {
        let directory = TempDir::new().unwrap();
        let keys = directory.path().join("state/keys");
        let made = SigningKeys::open(&keys, policy(algorithm), NOW).unwrap();
        let read = SigningKeys::open(&keys, policy(algorithm), NOW.plus(DAY)).unwrap();
        assert_eq!(made.jwks(), read.jwks(), "{algorithm:?}");
        assert_eq!(
            made.current(NOW).unwrap().key_id(),
            read.current(NOW).unwrap().key_id()
        );
        let published = VerificationKeys::from_jwks(&made.jwks()).unwrap();
        assert!(published.contains(made.current(NOW).unwrap().key_id()));
        assert!(!String::from_utf8_lossy(&made.jwks()).contains("\"d\""));
        assert_eq!(made.algorithms(NOW), [algorithm]);
    }
}

fn claims(now: Timestamp) -> AccessTokenClaims {
    AccessTokenClaims {
        iss: "https://login.example.com".to_owned(),
        exp: now.plus(DAY),
        aud: vec!["api.example.com".to_owned()],
        sub: "partner-client".to_owned(),
        client_id: "partner-client".to_owned(),
        iat: now,
        nbf: None,
        jti: "1".to_owned(),
        scope: "transactions".parse().unwrap(),
        cnf: None,
    }
}

fn verifies(jwt: &str, jwks: &[u8], now: Timestamp) -> bool {
    let verifier = AccessTokenVerifier {
        issuer: claims(now).iss,
        audiences: claims(now).aud,
        algorithms: SignatureAlgorithm::ALL.to_vec(),
    };
    verifier
        .verify(jwt, &VerificationKeys::from_jwks(jwks).unwrap(), now)
        .is_ok()
}

/// A6, P17: what is published verifies what is signed.
#[test]
fn signs_with_every_algorithm_what_the_published_key_verifies() {
    for algorithm in SignatureAlgorithm::ALL {
        let directory = TempDir::new().unwrap();
        let keys = SigningKeys::open(directory.path(), policy(algorithm), NOW).unwrap();
        let jwt = claims(NOW).sign(&keys.current(NOW).unwrap()).unwrap();
        assert!(verifies(&jwt, &keys.jwks(), NOW), "{algorithm:?}");
    }
}

/// A6, D8: what the old key signed verifies until it expires, and what the new one signs verifies with a JWKS cached
/// before the rotation.
#[tokio::test]
async fn a_rotation_breaks_no_signature_on_either_side_of_it() {
    let directory = TempDir::new().unwrap();
    let keys = open(directory.path(), NOW);
    let later = NOW.plus(DAY);
    let cached = keys.jwks();
    let old = claims(later).sign(&keys.current(later).unwrap()).unwrap();

    let rotation = keys.rotate(later).await.unwrap();
    assert_eq!(rotation.signs_from, later);
    assert_eq!(keys.current(later).unwrap().key_id(), rotation.key_id);
    let new = claims(later).sign(&keys.current(later).unwrap()).unwrap();
    assert!(verifies(&new, &cached, later));
    let last_moment = later.plus(DAY - Duration::from_secs(60));
    keys.maintain(last_moment).await.unwrap();
    assert!(verifies(&old, &keys.jwks(), last_moment));

    let gone = later.plus(RETIREMENT);
    keys.maintain(gone).await.unwrap();
    assert!(
        !verifies(&old, &keys.jwks(), last_moment),
        "the retired key is gone"
    );
    assert!(verifies(&new, &keys.jwks(), last_moment));
}

/// A rotation that an operator asked for survives the end of the process, and is not begun twice.
#[tokio::test]
async fn a_rotation_under_way_survives_a_restart() {
    let directory = TempDir::new().unwrap();
    let asked = open(directory.path(), NOW).rotate(NOW).await.unwrap();
    assert_eq!(asked.signs_from, NOW.plus(ANNOUNCEMENT));
    let keys = open(directory.path(), NOW);
    assert_ne!(keys.current(NOW).unwrap().key_id(), asked.key_id);
    assert_eq!(keys.rotate(NOW).await.unwrap(), asked);
    assert_eq!(keys.current(asked.signs_from).unwrap().key_id(), asked.key_id);
}

/// A6: the new algorithm is announced like every new key; until then the old one signs, and both are shown.
#[test]
fn another_algorithm_in_the_configuration_rotates_to_it() {
    let directory = TempDir::new().unwrap();
    let old = open(directory.path(), NOW)
        .current(NOW)
        .unwrap()
        .key_id()
        .to_owned();
    let changed = NOW.plus(DAY);
    let keys = SigningKeys::open(directory.path(), policy(SignatureAlgorithm::EdDSA), changed).unwrap();
    assert_eq!(keys.current(changed).unwrap().key_id(), old);
    assert_eq!(
        keys.algorithms(changed),
        [SignatureAlgorithm::ES256, SignatureAlgorithm::EdDSA]
    );
    let due = changed.plus(ANNOUNCEMENT);
    let jwt = claims(due).sign(&keys.current(due).unwrap()).unwrap();
    assert_ne!(keys.current(due).unwrap().key_id(), old);
    assert!(verifies(&jwt, &keys.jwks(), due));
    assert_eq!(keys.algorithms(due), [SignatureAlgorithm::EdDSA]);
}

#[tokio::test]
async fn lets_only_its_owner_read_the_keys_and_leaves_nothing_else_behind() {
    let directory = TempDir::new().unwrap();
    let keys = directory.path().join("keys");
    open(&keys, NOW).rotate(NOW.plus(DAY)).await.unwrap();
    let files = files(&keys);
    assert_eq!(files.len(), 3, "retired, current, next: {files:?}");
    for file in files {
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    assert_eq!(std::fs::metadata(&keys).unwrap().permissions().mode() & 0o077, 0);
}

fn refusal(directory: &Path) -> String {
    SigningKeys::open(directory, policy(SignatureAlgorithm::ES256), NOW)
        .unwrap_err()
        .to_string()
}

#[test]
fn refuses_a_damaged_key_names_the_file_and_does_not_overwrite_it() {
    let directory = TempDir::new().unwrap();
    open(directory.path(), NOW);
    let path = files(directory.path()).remove(0);
    std::fs::write(&path, "damaged").unwrap();
    let error = refusal(directory.path());
    assert!(
        error.starts_with("signing.keys: ") && error.contains(path.to_str().unwrap()),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"damaged");
}

#[test]
fn refuses_a_key_under_the_name_of_another() {
    let directory = TempDir::new().unwrap();
    open(directory.path(), NOW);
    let files = files(directory.path());
    std::fs::copy(&files[0], &files[1]).unwrap();
    assert!(refusal(directory.path()).contains("another key"));
}

#[test]
fn passes_over_files_that_are_no_keys() {
    let directory = TempDir::new().unwrap();
    for name in [
        "README",
        "ES256.pem",
        "1.next.XX512.kid.pem",
        "x.next.ES256.kid.pem",
    ] {
        std::fs::write(directory.path().join(name), "nothing").unwrap();
    }
    open(directory.path(), NOW);
}

#[tokio::test]
async fn keys_that_cannot_be_changed_go_on_signing() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("keys");
    let keys = open(&path, NOW);
    let before = keys.current(NOW.plus(DAY)).unwrap().key_id().to_owned();
    std::fs::remove_dir_all(&path).unwrap();
    assert!(keys.rotate(NOW.plus(DAY)).await.is_err());
    assert_eq!(keys.current(NOW.plus(DAY)).unwrap().key_id(), before);
}

#[test]
fn shows_no_key_when_debugged() {
    let directory = TempDir::new().unwrap();
    let keys = open(directory.path(), NOW);
    for file in files(directory.path()) {
        let pem = std::fs::read_to_string(file).unwrap();
        let line = pem.lines().nth(1).unwrap();
        assert!(!format!("{keys:?}").contains(line));
    }
}

/// J7: on the first start all that is asked for signs at once; what is asked for later is shown first.
#[tokio::test]
async fn signs_with_what_clients_ask_for_once_it_has_been_shown() {
    let directory = TempDir::new().unwrap();
    let with_rs256 = RotationPolicy {
        further: [SignatureAlgorithm::RS256].into(),
        ..policy(SignatureAlgorithm::ES256)
    };
    let keys = SigningKeys::open(directory.path(), with_rs256, NOW).unwrap();
    assert_eq!(
        keys.algorithms(NOW),
        [SignatureAlgorithm::ES256, SignatureAlgorithm::RS256]
    );
    let rs256 = keys.current_with(SignatureAlgorithm::RS256, NOW).unwrap();
    let jwt = claims(NOW).sign(&rs256).unwrap();
    assert!(verifies(&jwt, &keys.jwks(), NOW));
    assert_ne!(keys.current(NOW).unwrap().key_id(), rs256.key_id());
    assert!(keys.current_with(SignatureAlgorithm::EdDSA, NOW).is_none());

    let later = NOW.plus(DAY);
    keys.sign_also_with([SignatureAlgorithm::EdDSA].into());
    keys.maintain(later).await.unwrap();
    assert!(keys.current_with(SignatureAlgorithm::EdDSA, later).is_none());
    let due = later.plus(ANNOUNCEMENT);
    let eddsa = keys.current_with(SignatureAlgorithm::EdDSA, due).unwrap();
    assert!(verifies(&claims(due).sign(&eddsa).unwrap(), &keys.jwks(), due));
}

/// D8: what the compromised key has signed is worth nothing to whoever asks for the JWKS.
#[tokio::test]
async fn ends_a_compromised_key_at_once_and_signs_with_the_next() {
    let directory = TempDir::new().unwrap();
    let keys = open(directory.path(), NOW);
    let compromised = keys.current(NOW).unwrap();
    let jwt = claims(NOW).sign(&compromised).unwrap();
    assert!(verifies(&jwt, &keys.jwks(), NOW));
    assert_eq!(keys.retire("unheard-of", NOW).await.unwrap(), None);
    assert!(verifies(&jwt, &keys.jwks(), NOW));

    let rotation = keys.retire(compromised.key_id(), NOW).await.unwrap().unwrap();
    assert!(!verifies(&jwt, &keys.jwks(), NOW));
    assert_eq!(keys.current(NOW).unwrap().key_id(), rotation.key_id);
    assert_ne!(rotation.key_id, compromised.key_id());
    let fresh = claims(NOW).sign(&keys.current(NOW).unwrap()).unwrap();
    assert!(verifies(&fresh, &keys.jwks(), NOW));
    let again = open(directory.path(), NOW);
    assert_eq!(again.jwks(), keys.jwks(), "it does not come back with a restart");
    assert_eq!(again.current(NOW).unwrap().key_id(), rotation.key_id);
}
