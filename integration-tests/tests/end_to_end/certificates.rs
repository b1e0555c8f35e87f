//! Certificates that the handshake refuses, at the gateway and at the authorization server alike.

use demo::actor::Answer;
use integration_tests::TestSystem;
use mtls::Alert;
use pki::Member;
use reqwest::{StatusCode, header::HeaderMap};

fn assert_alert(answer: &Answer, expected: &[Alert]) {
    let Answer::Refused(alert) = answer else {
        panic!("a TLS alert was expected: {answer}")
    };
    assert!(expected.contains(alert), "{alert:?}");
}

async fn assert_refused_everywhere(member: Member, expected: &[Alert]) {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    let forger = system.actor(Some(member)).unwrap();
    assert_alert(&forger.request_token("partner-client").await, expected);
    assert_alert(&forger.call(Some(&token), HeaderMap::new()).await, expected);
    let over_http1 = system.http1_actor(Some(member)).unwrap();
    assert_alert(&over_http1.call(Some(&token), HeaderMap::new()).await, expected);
    let good = system.partner().call(Some(&token), HeaderMap::new()).await;
    assert_eq!(
        good.status(),
        Some(StatusCode::OK),
        "a refusal disturbs nobody else"
    );
}

/// T5, T12, M14.
#[tokio::test(flavor = "multi_thread")]
async fn another_root_of_the_same_name_is_refused() {
    assert_refused_everywhere(Member::Rogue, &[Alert::UnknownCa, Alert::DecryptError]).await;
}

/// T3.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused() {
    assert_refused_everywhere(Member::Expired, &[Alert::CertificateExpired]).await;
}

/// T4.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_yet_valid_is_refused() {
    assert_refused_everywhere(Member::NotYetValid, &[Alert::CertificateExpired]).await;
}

/// T13.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_is_refused() {
    assert_refused_everywhere(Member::Revoked, &[Alert::CertificateRevoked]).await;
}

/// T6.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_servers_only_is_refused() {
    assert_refused_everywhere(Member::ServerOnly, &[Alert::UnsupportedCertificate]).await;
}

/// T1, T15, M4: the API's host demands a certificate; the token endpoint answers as OAuth does.
#[tokio::test(flavor = "multi_thread")]
async fn no_certificate_is_refused_by_the_handshake_at_the_api_and_by_oauth_at_the_token_endpoint() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    let stranger = system.actor(None).unwrap();
    assert_alert(
        &stranger.call(Some(&token), HeaderMap::new()).await,
        &[Alert::CertificateRequired],
    );
    let asked = stranger.request_token("partner-client").await;
    assert_eq!(
        (asked.status(), asked.error().as_deref()),
        (Some(StatusCode::UNAUTHORIZED), Some("invalid_client"))
    );
}

/// M3, M5, T18, X8: a good certificate under somebody else's `client_id`.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_speaks_for_no_other_client() {
    let system = TestSystem::start().await;
    let (wrong, unknown) = (
        system.other().request_token("partner-client").await,
        system.other().request_token("unheard-of").await,
    );
    for answer in [&wrong, &unknown] {
        assert_eq!(
            (answer.status(), answer.error().as_deref()),
            (Some(StatusCode::UNAUTHORIZED), Some("invalid_client"))
        );
    }
    assert_eq!(wrong.json(), unknown.json());
    let right = system.other().request_token("other-client").await;
    assert_eq!(right.status(), Some(StatusCode::OK));
}
