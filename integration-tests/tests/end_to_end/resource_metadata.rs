//! From a refused request to a token, by nothing but what the system says of itself.

use demo::{
    actor::{Actor, TRANSACTIONS},
    configuration::Settings,
};
use integration_tests::{TestSystem, log};
use oauth_core::metadata::{
    AuthorizationServerMetadata, OtherResource, ProtectedResourceMetadata, ResourceIdentifier, metadata_url,
};
use reqwest::{Method, StatusCode, header::HeaderMap};

async fn get(actor: &Actor, url: &str) -> String {
    let answer = actor.request(Method::GET, url, None, HeaderMap::new()).await;
    assert_eq!(answer.status(), Some(StatusCode::OK), "{answer}");
    answer.json().unwrap().to_string()
}

async fn where_certificates_are_optional() -> TestSystem {
    TestSystem::start_with(Settings {
        gateway_client_certificates: "client_certificate = \"optional\"".to_owned(),
        ..Settings::default()
    })
    .await
}

/// S1, S2, S4, S6, D1: without a certificate up to the token, which needs one.
#[tokio::test(flavor = "multi_thread")]
async fn leads_a_stranger_from_the_apis_refusal_to_the_token_endpoint() {
    let system = where_certificates_are_optional().await;
    let stranger = system.actor(None).unwrap();
    let refused = stranger.call(None, HeaderMap::new()).await;
    assert_eq!(refused.status(), Some(StatusCode::UNAUTHORIZED), "{refused}");
    let challenge = refused.header("www-authenticate").unwrap();
    let (_, url) = challenge.split_once("resource_metadata=\"").unwrap();

    let document = get(&stranger, url.trim_end_matches('"')).await;
    let document: ProtectedResourceMetadata = serde_json::from_str(&document).unwrap();
    let api: ResourceIdentifier = "https://api.example.com".parse().unwrap();
    assert_eq!(document.verify(&api), Ok(()));
    let other: ResourceIdentifier = TRANSACTIONS.parse().unwrap();
    assert_eq!(document.verify(&other), Err(OtherResource));
    assert_eq!(document.scopes_supported, ["transactions"]);
    assert!(document.tls_client_certificate_bound_access_tokens);

    let issuer = &document.authorization_servers[0];
    let document = get(&stranger, &metadata_url(issuer).unwrap()).await;
    let document: AuthorizationServerMetadata = serde_json::from_str(&document).unwrap();
    assert_eq!(&document.issuer, issuer);
    assert_eq!(document.mtls_token_endpoint(), demo::actor::TOKEN_ENDPOINT);

    let token = system.partner_token().await;
    let answer = system.partner().call(Some(&token), HeaderMap::new()).await;
    assert_eq!(answer.status(), Some(StatusCode::OK), "{answer}");
}

/// S1.
#[tokio::test(flavor = "multi_thread")]
async fn refuses_to_be_told_what_the_resource_is() {
    let system = where_certificates_are_optional().await;
    let stranger = system.actor(None).unwrap();
    let url = "https://api.example.com/.well-known/oauth-protected-resource";
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = stranger.request(method, url, None, HeaderMap::new()).await;
        assert_eq!(answer.status(), Some(StatusCode::METHOD_NOT_ALLOWED), "{answer}");
        let request_id = answer.header("x-request-id").unwrap();
        assert_eq!(
            log::field_of_request(request_id, "reason").await,
            "method_refused"
        );
    }
    get(&stranger, url).await;
}
