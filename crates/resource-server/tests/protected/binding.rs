//! Whose certificate counts, and whether the token is bound to it.

use std::time::Duration;

use axum::http::StatusCode;
use oauth_core::confirmation::BindingPolicy;
use resource_server::CertificateSource;

use crate::api::{Api, GATEWAY, certificate, forwarded, request};

/// M35, A13, H6.
#[tokio::test]
async fn accepts_the_certificate_that_a_trusted_gateway_names() {
    let api = Api::start().await;
    let answer = api
        .call(Some(&api.gateway), forwarded(&api.token(|_| {}), &api.partner))
        .await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::OK, "partner-client")
    );
    assert_eq!(answer.headers["cache-control"], "no-store");
}

/// M36, A13.
#[tokio::test]
async fn refuses_another_certificate_that_a_trusted_gateway_names() {
    let api = Api::start().await;
    let answer = api
        .call(Some(&api.gateway), forwarded(&api.token(|_| {}), &api.other))
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(
        answer.challenge().contains("error=\"invalid_token\""),
        "{answer:?}"
    );
}

/// M37.
#[tokio::test]
async fn refuses_a_gateway_that_names_no_certificate() {
    let api = Api::start().await;
    let answer = api.call(Some(&api.gateway), request(&api.token(|_| {}))).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(
        answer.challenge().contains("error=\"invalid_token\""),
        "{answer:?}"
    );
}

/// H10.
#[tokio::test]
async fn refuses_a_malformed_and_a_repeated_client_cert_header_of_the_gateway() {
    let api = Api::start().await;
    let token = api.token(|_| {});
    let mut twice = forwarded(&token, &api.partner);
    let value = twice.headers()["client-cert"].clone();
    twice.headers_mut().append("client-cert", value);
    let mut pem = request(&token);
    pem.headers_mut()
        .insert("client-cert", "-----BEGIN CERTIFICATE-----".parse().unwrap());
    for malformed in [twice, pem] {
        let answer = api.call(Some(&api.gateway), malformed).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.body.contains("\"invalid_request\""), "{answer:?}");
    }
}

/// H6.
#[tokio::test]
async fn believes_no_client_cert_header_of_any_other_peer() {
    let api = Api::start().await;
    let stolen = forwarded(&api.token(|_| {}), &api.partner);
    let answer = api.call(Some(&api.other), stolen).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

/// M35, H6.
#[tokio::test]
async fn judges_any_other_peer_by_its_own_certificate() {
    let api = Api::start().await;
    let mut own = request(&api.token(|_| {}));
    own.headers_mut()
        .insert("client-cert", "nonsense".parse().unwrap());
    let answer = api.call(Some(&api.partner), own).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::OK, "partner-client")
    );
}

/// H6: without trusted gateways not even a gateway is believed.
#[tokio::test]
async fn believes_nobody_where_the_source_is_the_connection() {
    let mut api = Api::start().await;
    api.resource_server = api.resource_server.certificates(CertificateSource::Connection);
    let answer = api
        .call(Some(&api.gateway), forwarded(&api.token(|_| {}), &api.partner))
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

/// M37.
#[tokio::test]
async fn refuses_a_bound_token_without_any_certificate() {
    let api = Api::start().await;
    let answer = api.call(None, forwarded(&api.token(|_| {}), &api.partner)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

/// M38.
#[tokio::test]
async fn refuses_an_unbound_token_unless_the_policy_lets_it_pass() {
    let mut api = Api::start().await;
    let unbound = api.token(|claims| claims.cnf = None);
    let answer = api
        .call(Some(&api.gateway), forwarded(&unbound, &api.partner))
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);

    api.resource_server = api.resource_server.binding(BindingPolicy::IfBound);
    let answer = api
        .call(Some(&api.gateway), forwarded(&unbound, &api.partner))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn refuses_a_connection_that_has_outlived_its_certificate() {
    let api = Api::start().await;
    let token = api.token(|_| {});
    let (long, short) = (Duration::from_secs(3600), Duration::from_secs(60));
    let answer = api
        .call(Some(&certificate(GATEWAY, long)), forwarded(&token, &api.partner))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = api
        .call(
            Some(&certificate(GATEWAY, short)),
            forwarded(&token, &api.partner),
        )
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}
