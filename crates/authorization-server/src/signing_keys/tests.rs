use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use oauth_core::jwt::{AccessTokenClaims, AccessTokenVerifier, VerificationKeys};
use oauth_core::time::Timestamp;
use tempfile::TempDir;

use super::*;

/// A6, D8: one key for each algorithm, made once and read from then on.
#[test]
fn makes_a_key_on_the_first_start_and_keeps_it() {
    let directory = TempDir::new().unwrap();
    let keys = directory.path().join("state/keys");
    for algorithm in SignatureAlgorithm::ALL {
        let made = SigningKeys::load_or_create(&keys, algorithm).unwrap();
        let read = SigningKeys::load_or_create(&keys, algorithm).unwrap();
        assert_eq!(made.jwks(), read.jwks(), "{algorithm:?}");
        let published = VerificationKeys::from_jwks(made.jwks()).unwrap();
        assert!(published.contains(made.current().key_id()));
        assert!(!String::from_utf8_lossy(made.jwks()).contains("\"d\""));
    }
}

/// A6, P17: what is published verifies what is signed.
#[test]
fn signs_with_every_algorithm_what_the_published_key_verifies() {
    let directory = TempDir::new().unwrap();
    let now = Timestamp::from_unix_seconds(1_800_000_000);
    let claims = AccessTokenClaims {
        iss: "https://login.example.com".to_owned(),
        exp: now.plus(Duration::from_secs(60)),
        aud: vec!["api.example.com".to_owned()],
        sub: "partner-client".to_owned(),
        client_id: "partner-client".to_owned(),
        iat: now,
        nbf: None,
        jti: "1".to_owned(),
        scope: "transactions".parse().unwrap(),
        cnf: None,
    };
    for algorithm in SignatureAlgorithm::ALL {
        let keys = SigningKeys::load_or_create(directory.path(), algorithm).unwrap();
        let published = VerificationKeys::from_jwks(keys.jwks()).unwrap();
        let verifier = AccessTokenVerifier {
            issuer: claims.iss.clone(),
            audiences: claims.aud.clone(),
            algorithms: vec![algorithm],
        };
        let jwt = claims.sign(keys.current()).unwrap();
        assert_eq!(
            verifier.verify(&jwt, &published, now).unwrap().claims(),
            &claims,
            "{algorithm:?}"
        );
    }
}

#[test]
fn lets_only_its_owner_read_the_key_and_leaves_nothing_else_behind() {
    let directory = TempDir::new().unwrap();
    let keys = directory.path().join("keys");
    SigningKeys::load_or_create(&keys, SignatureAlgorithm::ES256).unwrap();
    let files: Vec<_> = std::fs::read_dir(&keys)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files, [keys.join("ES256.pem")]);
    assert_eq!(
        std::fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(std::fs::metadata(&keys).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn refuses_a_damaged_key_names_the_file_and_does_not_overwrite_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ES256.pem");
    std::fs::write(&path, "damaged").unwrap();
    let error = SigningKeys::load_or_create(directory.path(), SignatureAlgorithm::ES256)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("signing.keys: ") && error.contains("ES256.pem"),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"damaged");
}

#[test]
fn refuses_the_key_of_another_algorithm() {
    let directory = TempDir::new().unwrap();
    SigningKeys::load_or_create(directory.path(), SignatureAlgorithm::EdDSA).unwrap();
    std::fs::rename(
        directory.path().join("EdDSA.pem"),
        directory.path().join("ES256.pem"),
    )
    .unwrap();
    assert!(SigningKeys::load_or_create(directory.path(), SignatureAlgorithm::ES256).is_err());
}

#[test]
fn keeps_the_key_that_another_process_made_first() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ES256.pem");
    std::fs::write(&path, "theirs").unwrap();
    write_new(&path, directory.path(), b"ours").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
}

#[test]
fn shows_no_key_when_debugged() {
    let directory = TempDir::new().unwrap();
    let keys = SigningKeys::load_or_create(directory.path(), SignatureAlgorithm::ES256).unwrap();
    let pem = std::fs::read_to_string(directory.path().join("ES256.pem")).unwrap();
    let line = pem.lines().nth(1).unwrap();
    assert!(!format!("{keys:?}").contains(line));
}
