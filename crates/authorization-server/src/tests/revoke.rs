//! The revocation endpoint.

use axum::http::{Method, StatusCode, header};

use super::{Harness, certificate, post, request, revocation};
use crate::router::REVOCATION;

/// R1, R2, R9, R11.
#[tokio::test]
async fn revokes_its_own_token_at_once_and_no_other() {
    let harness = Harness::new();
    let partner = certificate("demo-partner");
    let (given_up, kept) = (harness.token(&partner).await, harness.token(&partner).await);
    for _ in 0..2 {
        let answer = harness
            .send(revocation(&given_up, "partner-client"), Some(&partner))
            .await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, ""));
        assert_eq!(answer.header(header::CACHE_CONTROL), Some("no-store"));
        assert!(!harness.is_active(&given_up).await);
    }
    assert!(harness.is_active(&kept).await);
}

/// R2.
#[tokio::test]
async fn has_nothing_to_do_for_an_unknown_token() {
    let harness = Harness::new();
    let partner = certificate("demo-partner");
    for token in ["unknown", "a.b.c", &"A".repeat(64)] {
        let answer = harness
            .send(revocation(token, "partner-client"), Some(&partner))
            .await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (StatusCode::OK, ""),
            "{token}"
        );
    }
}

/// R3.
#[tokio::test]
async fn ignores_the_hint() {
    let harness = Harness::new();
    let partner = certificate("demo-partner");
    let token = harness.token(&partner).await;
    let request = revocation(&token, "partner-client&token_type_hint=refresh_token");
    assert_eq!(harness.send(request, Some(&partner)).await.status, StatusCode::OK);
    assert!(!harness.is_active(&token).await);
}

/// R4.
#[tokio::test]
async fn refuses_another_clients_token_which_keeps_working() {
    let harness = Harness::new();
    let token = harness.token(&certificate("demo-partner")).await;
    let answer = harness
        .send(
            revocation(&token, "other-client"),
            Some(&certificate("other-partner")),
        )
        .await;
    assert_eq!(
        answer.refusal(),
        (400, "unauthorized_client".into(), "foreign_token")
    );
    assert!(harness.is_active(&token).await);
}

/// R5.
#[tokio::test]
async fn refuses_whoever_is_not_the_client() {
    let harness = Harness::new();
    let token = harness.token(&certificate("demo-partner")).await;
    for (certificate, reason) in [
        (None, "no_certificate"),
        (Some(certificate("other-partner")), "other_subject"),
    ] {
        let answer = harness
            .send(revocation(&token, "partner-client"), certificate.as_ref())
            .await;
        assert_eq!(answer.refusal(), (401, "invalid_client".into(), reason));
    }
    let nobody = post(REVOCATION, "token=x");
    assert_eq!(
        harness.send(nobody, None).await.refusal(),
        (401, "invalid_client".into(), "no_client_id")
    );
    assert!(harness.is_active(&token).await);
}

/// R6: the JWT that stands for a token cannot be called back.
#[tokio::test]
async fn refuses_a_jwt() {
    let harness = Harness::new();
    let partner = certificate("demo-partner");
    let token = harness.token(&partner).await;
    let jwt = harness.introspect(&token, "application/jwt").await.body;
    let answer = harness
        .send(revocation(&jwt, "partner-client"), Some(&partner))
        .await;
    assert_eq!(
        answer.refusal(),
        (400, "unsupported_token_type".into(), "unsupported_token_type")
    );
}

#[tokio::test]
async fn refuses_a_missing_token() {
    let answer = Harness::new()
        .send(
            post(REVOCATION, "client_id=partner-client"),
            Some(&certificate("demo-partner")),
        )
        .await;
    assert_eq!(
        answer.refusal(),
        (400, "invalid_request".into(), "invalid_request")
    );
}

/// R8.
#[tokio::test]
async fn refuses_every_method_but_post() {
    let answer = Harness::new().send(request(Method::GET, REVOCATION), None).await;
    assert_eq!(
        answer.refusal(),
        (405, "invalid_request".into(), "method_not_allowed")
    );
    assert_eq!(answer.header(header::ALLOW), Some("POST"));
}
