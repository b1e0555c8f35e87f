//! An authorization server that says no, says nothing, or says something that cannot be believed.

use std::time::Duration;

use pki::Member;

use crate::support::{Answer, AuthorizationServer, Harness, Variation, new_signing_key};

/// I13, P4: what the authorization server is asked, and how.
#[tokio::test]
async fn asks_in_a_form_for_the_token_as_a_jwt() {
    let harness = Harness::start().await;
    let answered = harness.call(Member::Example, "a+b/c~d==").await;
    assert_eq!(answered.status, 401);
    let introspections = harness.stubs.introspections.lock().unwrap();
    let [(headers, body)] = introspections.as_slice() else {
        panic!("{introspections:?}")
    };
    assert_eq!(body, "token=a%2Bb%2Fc%7Ed%3D%3D&client_id=gateway");
    assert_eq!(headers["accept"], "application/jwt");
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    assert!(!headers.contains_key("authorization"));
}

/// P2, P15.
#[tokio::test]
async fn an_inactive_token_is_refused_and_for_a_while_not_asked_for_again() {
    let harness = Harness::start().await;
    for _ in 0..3 {
        let answered = harness.call(Member::Example, "garbage").await;
        assert_eq!(answered.status, 401);
        assert!(
            answered
                .header("www-authenticate")
                .unwrap()
                .contains(r#"error="invalid_token""#)
        );
    }
    assert_eq!(harness.stubs.introspections_of("garbage"), 1);
}

/// P10, J13.
#[tokio::test]
async fn faults_of_the_authorization_server_are_never_the_callers() {
    let harness = Harness::start_with(Variation {
        timeout: "2s",
        ..Variation::default()
    })
    .await;
    let jwt = harness.stubs.issue("issued", Member::Example);
    for (answer, status) in [
        (Answer::Status(401), 502),
        (Answer::Status(403), 502),
        (Answer::Status(404), 502),
        (Answer::Status(500), 502),
        (Answer::Status(503), 503),
        (
            Answer::Typed("application/json", r#"{"active":true}"#.to_owned()),
            502,
        ),
        (Answer::Typed("application/token-introspection+jwt", jwt), 502),
        (Answer::Typed("application/jwt", String::new()), 502),
        (Answer::Silence, 504),
    ] {
        harness.stubs.answer("opaque", answer.clone());
        let answered = harness.call(Member::Example, "opaque").await;
        assert_eq!(answered.status, status, "{answer:?}");
        assert_eq!(answered.header("www-authenticate"), None);
        assert_eq!(
            answered.header("retry-after").is_some(),
            status == 503,
            "{answer:?}"
        );
    }
    harness.stubs.issue("opaque", Member::Example);
    assert_eq!(
        harness.call(Member::Example, "opaque").await.status,
        200,
        "failures are not remembered"
    );
}

/// P17.
#[tokio::test]
async fn believes_no_jwt_that_does_not_verify() {
    let harness = Harness::start().await;
    let stubs = &harness.stubs;
    let good = stubs.claims(Some(Member::Example));
    let mut other_issuer = good.clone();
    other_issuer.iss.push('/');
    let mut other_audience = good.clone();
    other_audience.aud = vec!["other.example.com".to_owned()];
    let mut expired = good.clone();
    expired.exp = good.iat.minus(Duration::from_secs(60));
    let by_another_key = good.sign(&new_signing_key()).unwrap();
    let signed = |claims: &oauth_core::jwt::AccessTokenClaims| claims.sign(&stubs.signing_key).unwrap();
    for jwt in [
        signed(&other_issuer),
        signed(&other_audience),
        signed(&expired),
        by_another_key,
    ] {
        stubs.answer("opaque", Answer::Jwt(jwt));
        assert_eq!(harness.call(Member::Example, "opaque").await.status, 502);
    }
    stubs.answer("opaque", Answer::Jwt(signed(&good)));
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
}

/// P16: up to the limit, here 4096 bytes, whole; above it not at all.
#[tokio::test]
async fn forwards_a_jwt_whole_up_to_the_limit_and_none_above() {
    let harness = Harness::start().await;
    let of_size = |size: usize| {
        let mut claims = harness.stubs.claims(Some(Member::Example));
        claims.sub = "s".repeat(size);
        claims.sign(&harness.stubs.signing_key).unwrap()
    };
    let (largest, larger) = (of_size(2_500), of_size(3_500));
    assert!(
        largest.len() <= 4096 && larger.len() > 4096,
        "{} {}",
        largest.len(),
        larger.len()
    );
    harness.stubs.answer("largest", Answer::Jwt(largest.clone()));
    harness.stubs.answer("larger", Answer::Jwt(larger));
    let answered = harness.call(Member::Example, "largest").await;
    assert_eq!(answered.forwarded("authorization"), [format!("Bearer {largest}")]);
    assert_eq!(harness.call(Member::Example, "larger").await.status, 502);
}

/// I16: with `max_age = "0s"` nothing is remembered.
#[tokio::test]
async fn asks_each_time_where_nothing_may_be_remembered() {
    let harness = Harness::start_with(Variation {
        max_age: "0s",
        ..Variation::default()
    })
    .await;
    harness.stubs.issue("opaque", Member::Example);
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
    harness.stubs.answer("opaque", Answer::Inactive);
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 401);
}

/// P10.
#[tokio::test]
async fn starts_without_an_authorization_server_and_answers_503() {
    let harness = Harness::start_with(Variation {
        authorization_server: AuthorizationServer::Down,
        ..Variation::default()
    })
    .await;
    let answered = harness.call(Member::Example, "opaque").await;
    assert_eq!(answered.status, 503);
    assert!(answered.header("retry-after").is_some());
    assert_eq!(answered.json()["error"], "temporarily_unavailable");
}

/// I15: an impostor is as good as nobody; the twin is every test in which the server is the right one.
#[tokio::test]
async fn asks_no_server_that_is_not_the_authorization_server() {
    for authorization_server in [
        AuthorizationServer::OfAnotherName,
        AuthorizationServer::OfAnotherRoot,
    ] {
        let harness = Harness::start_with(Variation {
            authorization_server,
            ..Variation::default()
        })
        .await;
        harness.stubs.issue("opaque", Member::Example);
        let answered = harness.call(Member::Example, "opaque").await;
        assert_eq!(answered.status, 503, "{authorization_server:?}");
        assert!(answered.header("retry-after").is_some());
        assert_eq!(answered.json()["error"], "temporarily_unavailable");
        let introspections = harness.stubs.introspections.lock().unwrap();
        assert!(introspections.is_empty(), "{authorization_server:?}");
    }
}
