//! The answers of RFC 6750: status, challenge, body.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::routing::get;
use resource_server::Caller;
use tower::ServiceExt;
use uuid::Uuid;

use crate::api::{Answer, Api, forwarded, request};

fn error_of(answer: &Answer) -> String {
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    body["error"].as_str().unwrap_or_default().to_owned()
}

/// B1, B2.
#[tokio::test]
async fn asks_for_a_token_and_names_no_error_where_none_is_sent() {
    let api = Api::start().await;
    let answer = api
        .call(Some(&api.partner), Request::get("/").body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.challenge(), "Bearer realm=\"api.example.com\"");
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["error"], "unauthorized");
    assert_eq!(
        body["error_description"],
        "send an access token in an Authorization header of scheme Bearer"
    );
}

/// B3, B4, B13.
#[tokio::test]
async fn answers_two_tokens_with_invalid_request() {
    let api = Api::start().await;
    let mut two = request("a");
    two.headers_mut()
        .append(header::AUTHORIZATION, "Bearer b".parse().unwrap());
    let answer = api.call(Some(&api.partner), two).await;
    assert_eq!(
        (answer.status, error_of(&answer).as_str()),
        (StatusCode::BAD_REQUEST, "invalid_request")
    );
    assert_eq!(answer.challenge().matches("error=").count(), 1);
}

/// B8, F11.
#[tokio::test]
async fn refuses_a_token_in_the_query_even_beside_one_in_the_header() {
    let api = Api::start().await;
    let token = api.token(|_| {});
    for query in [
        format!("access_token={token}"),
        format!("a=b&%61ccess_token={token}"),
    ] {
        let uri = format!("/?{query}");
        let alone = Request::get(&uri).body(Body::empty()).unwrap();
        let mut beside = forwarded(&token, &api.partner);
        *beside.uri_mut() = uri.parse().unwrap();
        for request in [alone, beside] {
            let answer = api.call(Some(&api.gateway), request).await;
            assert_eq!(
                (answer.status, error_of(&answer).as_str()),
                (StatusCode::BAD_REQUEST, "invalid_request")
            );
            assert!(!answer.body.contains(&token));
        }
    }
    let mut harmless = forwarded(&token, &api.partner);
    *harmless.uri_mut() = "/?page=2".parse().unwrap();
    assert_eq!(
        api.call(Some(&api.gateway), harmless).await.status,
        StatusCode::OK
    );
}

/// B6.
#[tokio::test]
async fn answers_a_token_of_another_scope_with_insufficient_scope() {
    let api = Api::start().await;
    let token = api.token(|claims| claims.scope = "other".parse().unwrap());
    let answer = api
        .call(Some(&api.gateway), forwarded(&token, &api.partner))
        .await;
    assert_eq!(
        (answer.status, error_of(&answer).as_str()),
        (StatusCode::FORBIDDEN, "insufficient_scope")
    );
    assert!(
        answer.challenge().ends_with("scope=\"transactions\""),
        "{answer:?}"
    );
}

#[tokio::test]
async fn answers_503_and_blames_nobody_while_the_keys_are_unavailable() {
    let api = Api::without_issuer();
    let answer = api
        .call(Some(&api.gateway), forwarded(&api.token(|_| {}), &api.partner))
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(error_of(&answer), "temporarily_unavailable");
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    assert!(!answer.headers.contains_key(header::WWW_AUTHENTICATE));
}

/// B13.
#[tokio::test]
async fn names_the_request_in_every_refusal_and_forbids_to_store_it() {
    let api = Api::start().await;
    for brought in [Some("call-17"), Some("a b"), None] {
        let mut refused = request("nonsense");
        if let Some(brought) = brought {
            refused
                .headers_mut()
                .insert("x-request-id", brought.parse().unwrap());
        }
        let answer = api.call(Some(&api.partner), refused).await;
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["error"], "invalid_token");
        assert!(body["error_description"].is_string());
        let named = body["request_id"].as_str().unwrap();
        if brought == Some("call-17") {
            assert_eq!(named, "call-17");
        } else {
            assert_eq!(Uuid::parse_str(named).unwrap().get_version_num(), 7);
        }
        assert_eq!(answer.headers["x-request-id"], named);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    }
}

/// Fails closed where the API's author forgot the layer.
#[tokio::test]
async fn runs_no_handler_that_asks_for_a_caller_without_the_layer() {
    let router = Router::new().route("/", get(|caller: Caller| async { caller.client_id }));
    let response = router.oneshot(request("anything")).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
