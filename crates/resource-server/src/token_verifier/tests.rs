use std::time::{Duration, SystemTime};

use super::*;
use crate::testing::TestIssuer;

const AUDIENCE: &str = "api.example.com";

fn verifier(issuer: &TestIssuer) -> TokenVerifier {
    TokenVerifier::new(issuer.keys(), issuer.verifier(AUDIENCE))
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// A8.
#[tokio::test]
async fn verifies_a_token_that_comes_again_once() {
    let issuer = TestIssuer::new("https://login.example.com");
    let (verifier, token) = (verifier(&issuer), issuer.token(AUDIENCE).sign().unwrap());
    let first = verifier.verify(&token, now()).await.unwrap();
    let again = verifier.verify(&token, now()).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "verified anew");
}

/// A8, J5.
#[tokio::test]
async fn refuses_a_token_whose_time_is_over_though_it_was_verified() {
    let issuer = TestIssuer::new("https://login.example.com");
    let (verifier, token) = (verifier(&issuer), issuer.token(AUDIENCE).sign().unwrap());
    verifier.verify(&token, now()).await.unwrap();
    let later = now().plus(Duration::from_secs(120));
    let refused = verifier.verify(&token, later).await.unwrap_err();
    assert!(
        matches!(refused, Rejection::Token(VerificationError::Expired)),
        "{refused:?}"
    );
}

/// A8: keys that were fetched again may lack the one that signed.
#[tokio::test]
async fn believes_no_token_for_having_been_verified_with_other_keys() {
    let issuer = TestIssuer::new("https://login.example.com");
    let (verifier, token) = (verifier(&issuer), issuer.token(AUDIENCE).sign().unwrap());
    verifier.verify(&token, now()).await.unwrap();
    let digest = TokenDigest::of(&token);
    assert!(
        verifier
            .remembered(&digest, &issuer.verification_keys())
            .is_some()
    );
    let others = TestIssuer::new("https://login.example.com").verification_keys();
    assert!(verifier.remembered(&digest, &others).is_none());
}

/// A8: a signature that was changed is another token.
#[tokio::test]
async fn refuses_a_token_that_resembles_one_that_was_verified() {
    let issuer = TestIssuer::new("https://login.example.com");
    let (verifier, token) = (verifier(&issuer), issuer.token(AUDIENCE).sign().unwrap());
    verifier.verify(&token, now()).await.unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    let other = TestIssuer::new("https://login.example.com");
    let foreign = other.token(AUDIENCE).sign().unwrap();
    let (_, signature) = foreign.rsplit_once('.').unwrap();
    let refused = verifier.verify(&format!("{signed}.{signature}"), now()).await;
    assert!(
        matches!(refused, Err(Rejection::Token(VerificationError::Signature))),
        "{refused:?}"
    );
}
