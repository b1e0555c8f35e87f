//! JWTs that callers present themselves: verified with the keys of the issuer they name, and never looked up.

use std::sync::atomic::Ordering;
use std::time::Duration;

use oauth_core::jwt::{SignatureAlgorithm, SigningKey};
use pki::{KeyAlgorithm, Member, PrivateKey};

use crate::support::{Harness, Metadata, StubIssuer, new_signing_key, reason_of};

/// M35, M36, A8, P17, Users 40: the JWT travels on as it came, and its binding is checked every time.
#[tokio::test]
async fn a_jwt_of_a_trusted_issuer_opens_the_door_to_its_holder_alone() {
    let harness = Harness::start().await;
    let jwt = harness.issuers.with(Metadata::Inserted).issue(Member::Example);
    for _ in 0..2 {
        let answered = harness.call_at("/jwt", Member::Example, &jwt).await;
        assert_eq!(answered.status, 200, "{answered:?}");
        assert_eq!(answered.forwarded("authorization"), [format!("Bearer {jwt}")]);
        let stolen = harness.call_at("/jwt", Member::Other, &jwt).await;
        assert_eq!(stolen.status, 401);
        assert!(
            stolen
                .header("www-authenticate")
                .unwrap()
                .contains("invalid_token")
        );
    }
    assert!(harness.stubs.introspections.lock().unwrap().is_empty());
    assert_eq!(
        harness
            .issuers
            .with(Metadata::Inserted)
            .fetches
            .load(Ordering::SeqCst),
        1
    );
}

/// Users 40: what a route does not take is refused before anybody is asked.
#[tokio::test]
async fn a_token_of_the_other_kind_is_refused_without_asking_anybody() {
    let harness = Harness::start().await;
    let issuer = harness.issuers.with(Metadata::Inserted);
    let jwt = issuer.issue(Member::Example);
    harness.stubs.issue("opaque", Member::Example);
    for (path, token) in [("/api", jwt.as_str()), ("/jwt", "opaque")] {
        let answered = harness.call_at(path, Member::Example, token).await;
        assert_eq!(answered.status, 401, "{path}");
        assert_eq!(reason_of(&answered), "token_kind_refused", "{path}");
    }
    assert!(harness.stubs.introspections.lock().unwrap().is_empty());
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 0);
    assert_eq!(harness.call_at("/both", Member::Example, &jwt).await.status, 200);
    assert_eq!(
        harness.call_at("/both", Member::Example, "opaque").await.status,
        200
    );
}

/// A8, A7, J12, X2: each refused for its own reason, none looked up instead.
#[tokio::test]
async fn a_jwt_that_does_not_verify_is_refused_for_its_own_reason() {
    let harness = Harness::start().await;
    let issuer = harness.issuers.with(Metadata::Inserted);
    let good = issuer.claims(Member::Example);
    let signed = |change: fn(&mut oauth_core::jwt::AccessTokenClaims), key: &SigningKey| {
        let mut claims = good.clone();
        change(&mut claims);
        claims.sign(key).unwrap()
    };
    let key = &issuer.key;
    let jwt = signed(|_| {}, key);
    let signature = jwt.rsplit_once('.').unwrap().1;
    let elsewhere = signed(|claims| claims.scope = "transactions admin".parse().unwrap(), key);
    let spliced = format!("{}.{signature}", elsewhere.rsplit_once('.').unwrap().0);
    let introspection = oauth_core::jwt::IntrospectionClaims {
        iss: &good.iss,
        aud: vec!["api.example.com"],
        iat: good.iat,
        token_introspection: &oauth_core::introspection::IntrospectionResponse::INACTIVE,
    };
    for (jwt, reason) in [
        (spliced, "jwt_signature_wrong"),
        (signed(|claims| claims.iss.push('/'), key), "jwt_issuer_unknown"),
        (signed(|_| {}, &new_signing_key()), "jwt_key_unknown"),
        (introspection.sign(key).unwrap(), "jwt_type_refused"),
        (
            signed(|claims| claims.aud = vec!["other".to_owned()], key),
            "audience_mismatch",
        ),
        (
            signed(
                |claims| claims.exp = claims.iat.minus(Duration::from_secs(60)),
                key,
            ),
            "token_expired",
        ),
        (
            signed(
                |claims| claims.nbf = Some(claims.iat.plus(Duration::from_secs(60))),
                key,
            ),
            "token_not_yet_valid",
        ),
        (
            jwt.replacen(jwt.split('.').next().unwrap(), "eyJhbGciOiJub25lIn0", 1),
            "jwt_malformed",
        ),
    ] {
        let answered = harness.call_at("/both", Member::Example, &jwt).await;
        assert_eq!(answered.status, 401, "{reason}");
        assert_eq!(answered.json()["error"], "invalid_token");
        assert_eq!(reason_of(&answered), reason);
    }
    assert!(harness.stubs.introspections.lock().unwrap().is_empty());
    assert_eq!(harness.call_at("/both", Member::Example, &jwt).await.status, 200);
}

/// A8: an issuer's keys are good for its own tokens alone.
#[tokio::test]
async fn one_issuer_cannot_speak_for_another() {
    let harness = Harness::start().await;
    let (one, other) = (
        harness.issuers.with(Metadata::Inserted),
        harness.issuers.with(Metadata::Appended),
    );
    let forged = one.claims(Member::Example).sign(&other.key).unwrap();
    assert_eq!(
        harness.call_at("/jwt", Member::Example, &forged).await.status,
        401
    );
    for issuer in [one, other] {
        let jwt = issuer.issue(Member::Example);
        assert_eq!(harness.call_at("/jwt", Member::Example, &jwt).await.status, 200);
    }
}

/// D1, D2, P10: an issuer whose keys cannot be found is no fault of the caller's.
#[tokio::test]
async fn without_metadata_of_the_issuer_itself_nobody_can_tell() {
    let harness = Harness::start().await;
    for metadata in [Metadata::Foreign, Metadata::Absent] {
        let issuer = harness.issuers.with(metadata);
        let answered = harness
            .call_at("/jwt", Member::Example, &issuer.issue(Member::Example))
            .await;
        assert_eq!(answered.status, 503, "{metadata:?}");
        assert!(answered.header("retry-after").is_some());
        assert_eq!(issuer.fetches.load(Ordering::SeqCst), 0, "{metadata:?}");
    }
}

/// A8: rotation is followed when a token names a key not seen before, and made-up key ids do not reach the issuer each
/// time.
#[tokio::test]
async fn follows_the_issuers_keys_within_limits() {
    let harness = Harness::start().await;
    let issuer = harness.issuers.with(Metadata::Inserted);
    let by = |issuer: &StubIssuer, key: &SigningKey| issuer.claims(Member::Example).sign(key).unwrap();
    let next = new_signing_key();
    issuer.publish(&[&issuer.key, &next]);
    assert_eq!(
        harness
            .call_at("/jwt", Member::Example, &by(issuer, &next))
            .await
            .status,
        200
    );
    for _ in 0..5 {
        let made_up = by(issuer, &new_signing_key());
        assert_eq!(
            harness.call_at("/jwt", Member::Example, &made_up).await.status,
            401
        );
    }
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 1, "too soon to ask again");
}

/// A6, F12.
#[tokio::test]
async fn takes_rsa_and_ed25519_keys_too() {
    let harness = Harness::start().await;
    let issuer = harness.issuers.with(Metadata::Appended);
    let rsa = PrivateKey::generate(KeyAlgorithm::Rsa2048).unwrap().pem();
    // The seed of RFC 8037 Appendix A.1, as PKCS#8.
    let ed25519 = format!(
        "-----BEGIN {0}-----\n{1}\n-----END {0}-----\n",
        "PRIVATE KEY", "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"
    );
    let keys = [
        (rsa.as_bytes(), SignatureAlgorithm::RS256),
        (ed25519.as_bytes(), SignatureAlgorithm::EdDSA),
    ]
    .map(|(pem, algorithm)| SigningKey::from_pkcs8_pem(pem, algorithm).unwrap());
    issuer.publish(&[&keys[0], &keys[1]]);
    for key in &keys {
        let jwt = issuer.claims(Member::Example).sign(key).unwrap();
        assert_eq!(harness.call_at("/jwt", Member::Example, &jwt).await.status, 200);
        assert_eq!(harness.call_at("/jwt", Member::Other, &jwt).await.status, 401);
    }
}

/// P16, Users 39: whole up to the limit, and not at all above.
#[tokio::test]
async fn takes_a_large_jwt_whole_and_none_above_the_limit() {
    let harness = Harness::start().await;
    let issuer = harness.issuers.with(Metadata::Inserted);
    let of_size = |size: usize| {
        let mut claims = issuer.claims(Member::Example);
        claims.sub = "s".repeat(size);
        claims.sign(&issuer.key).unwrap()
    };
    let (large, too_large) = (of_size(11_500), of_size(12_500));
    assert!(
        large.len() <= 16 * 1024 && too_large.len() > 16 * 1024,
        "{} {}",
        large.len(),
        too_large.len()
    );
    let answered = harness.call_at("/jwt", Member::Example, &large).await;
    assert_eq!(answered.forwarded("authorization"), [format!("Bearer {large}")]);
    let answered = harness.call_at("/jwt", Member::Example, &too_large).await;
    assert_eq!(answered.status, 401);
    assert_eq!(reason_of(&answered), "token_too_long");
}
