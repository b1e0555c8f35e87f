//! The sample API, reached around the gateway: it trusts nobody and verifies again.

use demo::{actor::Answer, configuration::Settings};
use integration_tests::TestSystem;
use mtls::Alert;
use pki::Member;
use reqwest::{Method, StatusCode, header::HeaderMap};

use crate::authorization_server::introspect_as_jwt;

async fn call_directly(system: &TestSystem, caller: Member, token: &str, headers: HeaderMap) -> Answer {
    let url = format!(
        "https://localhost:{}/api/transactions",
        system.sample_api().port()
    );
    system
        .actor(Some(caller))
        .unwrap()
        .request(Method::POST, &url, Some(token), headers)
        .await
}

fn assert_invalid_token(answer: &Answer) {
    assert_eq!(
        (answer.status(), answer.error().as_deref()),
        (Some(StatusCode::UNAUTHORIZED), Some("invalid_token")),
        "{answer}"
    );
}

/// H6, X6: in the handshake already.
#[tokio::test(flavor = "multi_thread")]
async fn lets_in_nobody_but_the_gateway() {
    let system = TestSystem::start().await;
    let jwt = introspect_as_jwt(&system, &system.partner_token().await).await;
    let answer = call_directly(
        &system,
        Member::Example,
        &jwt,
        system.client_cert(Member::Example),
    )
    .await;
    assert!(matches!(answer, Answer::Refused(Alert::AccessDenied)), "{answer}");
    let answer = call_directly(
        &system,
        Member::Gateway,
        &jwt,
        system.client_cert(Member::Example),
    )
    .await;
    assert_eq!(answer.status(), Some(StatusCode::OK), "{answer}");
}

/// A13: even the gateway's word is not enough without the right certificate in it.
#[tokio::test(flavor = "multi_thread")]
async fn verifies_the_binding_again_against_the_gateways_header() {
    let system = TestSystem::start().await;
    let jwt = introspect_as_jwt(&system, &system.partner_token().await).await;
    assert_invalid_token(
        &call_directly(&system, Member::Gateway, &jwt, system.client_cert(Member::Other)).await,
    );
    assert_invalid_token(&call_directly(&system, Member::Gateway, &jwt, HeaderMap::new()).await);
}

/// A7, A8: what is no access token of ours.
#[tokio::test(flavor = "multi_thread")]
async fn believes_no_opaque_token_and_no_changed_jwt() {
    let system = TestSystem::start().await;
    let opaque = system.partner_token().await;
    let jwt = introspect_as_jwt(&system, &opaque).await;
    let mut changed = jwt.clone();
    changed.truncate(jwt.len() - 4);
    changed.push_str("AAAA");
    for token in [opaque, changed, "a.b.c".to_owned()] {
        let headers = system.client_cert(Member::Example);
        assert_invalid_token(&call_directly(&system, Member::Gateway, &token, headers).await);
    }
}

/// H6, M35, M36: with the door open to other clients, each is judged by its own certificate, and no header helps.
#[tokio::test(flavor = "multi_thread")]
async fn judges_direct_callers_by_their_own_certificate_where_it_lets_them_in() {
    let open = Settings {
        sample_api_client_certificates: "admit = \"any\"".to_owned(),
        ..Settings::default()
    };
    let system = TestSystem::start_with(open).await;
    let jwt = introspect_as_jwt(&system, &system.partner_token().await).await;
    let mine = call_directly(&system, Member::Example, &jwt, system.client_cert(Member::Other)).await;
    assert_eq!(mine.status(), Some(StatusCode::OK), "{mine}");
    assert_invalid_token(&call_directly(&system, Member::Other, &jwt, HeaderMap::new()).await);
    assert_invalid_token(
        &call_directly(&system, Member::Other, &jwt, system.client_cert(Member::Example)).await,
    );
}
