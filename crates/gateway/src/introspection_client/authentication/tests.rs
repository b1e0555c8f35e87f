use std::collections::HashSet;

use oauth_core::jwt::SignatureAlgorithm;
use pki::{KeyAlgorithm, PrivateKey};
use tempfile::TempDir;

use super::*;
use crate::configuration::{CacheControlPolicy, ExpectedAnswer};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn load(authentication: EndpointAuthentication) -> Result<Authentication, AuthenticationError> {
    Authentication::load(&Introspection {
        endpoint: "https://login.example.com/introspect".parse().unwrap(),
        client_id: "gate:way".to_owned(),
        issuer: "https://login.example.com".to_owned(),
        authentication,
        expected: ExpectedAnswer::AccessTokenJwt,
        cache_control: CacheControlPolicy::Follow,
        timeout: Duration::from_secs(5),
        max_response: 1024,
        concurrency: 1,
    })
}

fn file(directory: &TempDir, content: &[u8]) -> PathBuf {
    let path = directory.path().join("file");
    std::fs::write(&path, content).unwrap();
    path
}

fn with_secret(content: &[u8]) -> Result<Authentication, AuthenticationError> {
    let directory = tempfile::tempdir().unwrap();
    let file = file(&directory, content);
    load(EndpointAuthentication::Secret { file })
}

/// O8.
#[test]
fn encodes_client_id_and_secret_before_it_joins_them() {
    for content in [
        &b"p:a+b %\xc3\xa4"[..],
        b"p:a+b %\xc3\xa4\n",
        b"p:a+b %\xc3\xa4\r\n",
    ] {
        let proof = with_secret(content).unwrap().proof(NOW).unwrap();
        assert_eq!(proof.parameters().count(), 0);
        let value = proof.headers()[AUTHORIZATION].clone();
        let credentials = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let credentials = STANDARD.decode(credentials).unwrap();
        assert_eq!(credentials, b"gate%3Away:p%3Aa%2Bb+%25%C3%A4");
        assert!(value.is_sensitive());
    }
}

/// X7.
#[test]
fn shows_no_secret_when_debugged() {
    let shown = format!("{:?}", with_secret(b"hunter2").unwrap());
    assert_eq!(shown, "Secret([redacted])");
}

#[test]
fn refuses_an_empty_secret_and_an_unreadable_file() {
    for content in [&b""[..], b"\n", b"\r\n"] {
        let loaded = with_secret(content);
        assert!(matches!(loaded, Err(AuthenticationError::NoSecret(_))));
    }
    let file = PathBuf::from("/nonexistent/secret");
    let unreadable = load(EndpointAuthentication::Secret { file }).unwrap_err();
    assert!(
        unreadable.to_string().contains("/nonexistent/secret"),
        "{unreadable}"
    );
}

/// K1, K3, K4, K5, K7.
#[test]
fn signs_a_fresh_and_short_lived_assertion_for_each_request() {
    let directory = tempfile::tempdir().unwrap();
    let key = file(
        &directory,
        PrivateKey::generate(KeyAlgorithm::EcdsaP256)
            .unwrap()
            .pem()
            .as_bytes(),
    );
    let algorithm = SignatureAlgorithm::ES256;
    let authentication = load(EndpointAuthentication::Assertion { key, algorithm }).unwrap();
    assert!(authentication.key_id().is_some());
    let mut ids = HashSet::new();
    for _ in 0..2 {
        let proof = authentication.proof(NOW).unwrap();
        assert!(proof.headers().is_empty());
        let parameters: Vec<_> = proof.parameters().collect();
        let [
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion),
        ] = parameters[..]
        else {
            panic!("{} parameters", parameters.len())
        };
        let claims = assertion.split('.').nth(1).unwrap();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(claims)
            .unwrap();
        let claims: ClientAssertionClaims = serde_json::from_slice(&claims).unwrap();
        assert_eq!(
            (claims.iss.as_str(), claims.sub.as_str()),
            ("gate:way", "gate:way")
        );
        assert_eq!(claims.aud, "https://login.example.com");
        assert_eq!(
            (claims.iat, claims.exp),
            (Some(NOW), NOW.plus(Duration::from_secs(60)))
        );
        assert!(ids.insert(claims.jti));
    }
}

#[test]
fn refuses_a_file_that_holds_no_key_for_the_algorithm() {
    let directory = tempfile::tempdir().unwrap();
    let pem = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    for (content, algorithm) in [
        (&b"no key"[..], SignatureAlgorithm::ES256),
        (pem.pem().as_bytes(), SignatureAlgorithm::PS256),
    ] {
        let key = file(&directory, content);
        let loaded = load(EndpointAuthentication::Assertion { key, algorithm });
        assert!(matches!(loaded, Err(AuthenticationError::Key(_, _))));
    }
}
