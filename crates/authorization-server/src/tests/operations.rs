//! What an operator does to the running server.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use oauth_core::certificate::ClientCertificate;
use serde_json::{Value, json};
use service::{Readiness, Running, Shutdown};

use super::{Harness, certificate, now, post, verifier};
use crate::operations;
use crate::router::TOKEN;

impl Harness {
    async fn operate(&self, path: &str, body: &Value) -> (StatusCode, String) {
        use http_body_util::BodyExt as _;
        use tower::ServiceExt as _;
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = operations::router(&self.server).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn other_token(&self, certificate: &ClientCertificate) -> String {
        let request = post(TOKEN, "grant_type=client_credentials&client_id=other-client");
        let answer = self.send(request, Some(certificate)).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }
}

/// I5, I16: of one client, and of no other.
#[tokio::test]
async fn revokes_all_tokens_of_a_client_and_of_no_other() {
    let harness = Harness::new();
    let (partner, other) = (certificate("demo-partner"), certificate("other-partner"));
    let tokens = [harness.token(&partner).await, harness.token(&partner).await];
    let others = harness.other_token(&other).await;
    let (status, _) = harness
        .operate("/revoke", &json!({ "client": "partner-client" }))
        .await;
    assert_eq!(status, StatusCode::OK);
    for token in &tokens {
        assert!(!harness.is_active(token).await);
    }
    assert!(harness.is_active(&others).await);
    let later = now().plus(std::time::Duration::from_secs(1));
    let token = harness.stored_token(|record| record.issued_at = later).await;
    assert!(harness.is_active(&token).await, "issued afterwards");
}

/// I5, I16: of one certificate, whatever the client, and of no other.
#[tokio::test]
async fn revokes_all_tokens_of_a_certificate_and_of_no_other() {
    let harness = Harness::new();
    let (lost, renewed) = (certificate("demo-partner"), certificate("demo-partner"));
    let (token, kept) = (harness.token(&lost).await, harness.token(&renewed).await);
    let thumbprint = lost.thumbprint().to_string();
    let (status, _) = harness
        .operate("/revoke", &json!({ "certificate": thumbprint }))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert!(!harness.is_active(&token).await);
    assert!(harness.is_active(&kept).await);
}

#[tokio::test]
async fn refuses_what_names_nobody_and_revokes_nothing() {
    let harness = Harness::new();
    let token = harness.token(&certificate("demo-partner")).await;
    for body in [
        json!({}),
        json!({ "client": 1 }),
        json!({ "client": "a", "certificate": "b" }),
        json!({ "certificate": "no thumbprint" }),
        json!({ "everybody": "" }),
    ] {
        let (status, answer) = harness.operate("/revoke", &body).await;
        assert!(status.is_client_error(), "{body}: {status} {answer}");
    }
    assert!(harness.is_active(&token).await);
}

/// Through the admin listener, as the subcommand does it.
#[tokio::test]
async fn rotates_the_keys_over_the_admin_listener() {
    let harness = Harness::new();
    let mut running = Running::new(Shutdown::new());
    let listener = mtls::bind("127.0.0.1:0".parse().unwrap(), "listen.admin").unwrap();
    let operations = operations::router(&harness.server);
    let readiness = Readiness::new(Shutdown::new());
    running.serve_admin_with(listener, readiness, operations).unwrap();
    let rotate = operations::OPERATIONS[0];
    let answer = rotate.send(running.address("admin"), "{}").await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(harness.keys().contains(answer["kid"].as_str().unwrap()));
    assert!(answer["signs_from"].as_u64().unwrap() >= now().as_unix_seconds());
    let refused = operations::OPERATIONS[2]
        .send(running.address("admin"), "{}")
        .await;
    let refusal = refused.unwrap_err().to_string();
    assert!(refusal.contains("answered 4"), "{refusal}");
}

/// D8: through the admin listener's router, as the subcommand asks for it.
#[tokio::test]
async fn ends_a_compromised_key_and_refuses_one_that_is_not_there() {
    let harness = Harness::new();
    let token = harness.token(&certificate("demo-partner")).await;
    let jwt = harness.introspect(&token, "application/jwt").await.body;
    assert!(verifier().verify(&jwt, &harness.keys(), now()).is_ok());
    let compromised = harness
        .server
        .signing_keys
        .current(now())
        .unwrap()
        .key_id()
        .to_owned();
    for (kid, expected) in [
        ("unheard-of", StatusCode::NOT_FOUND),
        (compromised.as_str(), StatusCode::OK),
        (compromised.as_str(), StatusCode::NOT_FOUND),
    ] {
        let (status, answer) = harness.operate("/retire-key", &json!({ "kid": kid })).await;
        assert_eq!(status, expected, "{answer}");
    }
    assert!(verifier().verify(&jwt, &harness.keys(), now()).is_err());
    let fresh = harness.introspect(&token, "application/jwt").await.body;
    assert!(verifier().verify(&fresh, &harness.keys(), now()).is_ok());
}
