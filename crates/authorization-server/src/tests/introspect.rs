//! The introspection endpoint, in its three representations.

use std::time::Duration;

use axum::http::{Method, Request, StatusCode, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use oauth_core::confirmation::Confirmation;
use serde_json::{Value, json};

use super::{
    Answer, DEMO, FORM, Harness, INTROSPECT_CLIENT, MORE_CLIENTS, OTHER_RESOURCE_SERVER, certificate, form,
    gateway_certificate, introspection, now, post, post_as, request, revocation, verifier,
};
use crate::registrations::Registrations;
use crate::router::{INTROSPECTION, TOKEN};

const JSON: &str = "application/json";
const JWT: &str = "application/jwt";
const SIGNED: &str = "application/token-introspection+jwt";

/// Header and claims of a JWT, whose signature is checked elsewhere.
fn unverified_parts(jwt: &str) -> [Value; 2] {
    let mut parts = jwt.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    [parts.next(), parts.next()].map(|part| serde_json::from_slice(&part.unwrap()).unwrap())
}

/// I1, I10, I11, M33, P4, P7.
#[tokio::test]
async fn describes_an_active_token_in_json() {
    let harness = Harness::new();
    let certificate = certificate("demo-partner");
    let token = harness.token(&certificate).await;
    for accept in [JSON, "*/*", "application/jwt;q=0.5, application/json"] {
        let answer = harness.introspect(&token, accept).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header(header::CONTENT_TYPE), Some(JSON));
        assert_eq!(answer.header(header::CACHE_CONTROL), Some("no-store"));
        assert_eq!(answer.header(header::VARY), Some("Accept"));
        let json = answer.json();
        assert_eq!(json["active"], true);
        assert_eq!(json["client_id"], "partner-client");
        assert_eq!(json["sub"], "partner-client");
        assert_eq!(json["scope"], "transactions");
        assert_eq!(json["token_type"], "Bearer");
        assert_eq!(json["aud"], "api.example.com");
        assert_eq!(json["iss"], "https://login.example.com/oauth/v2/oauth-anonymous");
        assert_eq!(json["exp"].as_u64().unwrap() - json["iat"].as_u64().unwrap(), 900);
        assert_eq!(json["cnf"]["x5t#S256"], certificate.thumbprint().to_string());
    }
}

/// P4.
#[tokio::test]
async fn answers_in_json_where_nothing_is_asked_for() {
    let harness = Harness::new();
    let token = harness.token(&certificate("demo-partner")).await;
    let answer = harness
        .send(introspection().body(form("token", &token)).unwrap(), None)
        .await;
    assert_eq!(answer.header(header::CONTENT_TYPE), Some(JSON));
    assert_eq!(answer.json()["active"], true);
}

/// The gateway proves itself by its certificate; introspection is on both listeners.
#[tokio::test]
async fn accepts_callers_by_certificate_and_by_secret() {
    let harness = Harness::new();
    let token = harness.token(&certificate("demo-partner")).await;
    let body = format!("client_id=gateway&token={token}");
    let by_certificate = Request::post(INTROSPECTION)
        .header(header::CONTENT_TYPE, FORM)
        .body(body.into())
        .unwrap();
    let answer = harness.send(by_certificate, Some(&gateway_certificate())).await;
    assert_eq!(answer.json()["active"], true);
    let by_secret = introspection().body(form("token", &token)).unwrap();
    assert_eq!(
        harness.send_without_mutual_tls(by_secret).await.json()["active"],
        true
    );
}

/// I3, I4, J6, O9: 401, but 400 for whoever asks for a signed answer.
#[tokio::test]
async fn refuses_callers_that_are_not_authenticated() {
    let harness = Harness::new();
    let token = harness.token(&certificate("demo-partner")).await;
    for (authorization, reason, challenge) in [
        (None, "no_client_id", None),
        (Some(format!("Bearer {token}")), "not_basic", Some("Basic")),
        (
            Some("Basic aW50cm9zcGVjdC1jbGllbnQ6d3Jvbmc=".to_owned()),
            "wrong_secret",
            Some("Basic"),
        ),
    ] {
        for (accept, status) in [(JSON, 401), (JWT, 401), (SIGNED, 400)] {
            let mut request = Request::post(INTROSPECTION)
                .header(header::CONTENT_TYPE, FORM)
                .header(header::ACCEPT, accept);
            if let Some(authorization) = &authorization {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            let answer = harness
                .send(request.body(form("token", &token)).unwrap(), None)
                .await;
            assert_eq!(answer.refusal(), (status, "invalid_client".into(), reason));
            let shown = answer
                .header(header::WWW_AUTHENTICATE)
                .and_then(|value| value.split(' ').next());
            assert_eq!(
                shown,
                challenge.filter(|_| status == 401),
                "{authorization:?} {accept}"
            );
            assert_eq!(answer.header(header::VARY), Some("Accept"));
        }
    }
}

/// J11's other half: a client that obtains tokens may not look into others'.
#[tokio::test]
async fn refuses_clients_that_are_no_resource_server() {
    let request = post(INTROSPECTION, "client_id=partner-client&token=x");
    let answer = Harness::new()
        .send(request, Some(&certificate("demo-partner")))
        .await;
    assert_eq!(
        answer.refusal(),
        (400, "unauthorized_client".into(), "unauthorized_client")
    );
}

/// I5, I6, P2, J4.
#[tokio::test]
async fn says_only_inactive_of_every_token_that_is_not_usable() {
    let harness = Harness::new();
    let partner = certificate("demo-partner");
    let revoked = harness.token(&partner).await;
    assert_eq!(
        harness
            .send(revocation(&revoked, "partner-client"), Some(&partner))
            .await
            .status,
        200
    );
    let right = harness.token(&partner).await;
    let wrong_secret = format!(
        "{}{}",
        &right[..60],
        if right.ends_with("AAAA") { "BBBB" } else { "AAAA" }
    );
    let expired = harness
        .stored_token(|record| record.expires_at = record.issued_at)
        .await;
    let foreign = harness
        .stored_token(|record| record.audience = "other.example.com".to_owned())
        .await;
    let orphaned = harness
        .stored_token(|record| record.client_id = "disabled-partner".to_owned())
        .await;
    let malformed = "x".to_owned();
    for token in [revoked, wrong_secret, expired, foreign, orphaned, malformed] {
        let answer = harness.introspect(&token, JSON).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (StatusCode::OK, r#"{"active":false}"#)
        );
        let answer = harness.introspect(&token, JWT).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (StatusCode::NO_CONTENT, "")
        );
        assert_eq!(answer.header(header::CACHE_CONTROL), Some("no-store"));
        assert_eq!(answer.header(header::VARY), Some("Accept"));
        let answer = harness.introspect(&token, SIGNED).await;
        let [_, claims] = unverified_parts(&answer.body);
        assert_eq!(
            (answer.status, &claims["token_introspection"]),
            (StatusCode::OK, &json!({"active": false}))
        );
    }
    assert!(harness.is_active(&right).await);
}

/// I6.
#[tokio::test]
async fn tells_another_resource_server_nothing() {
    let harness = Harness::new();
    let token = harness.token(&certificate("demo-partner")).await;
    let mut request = introspection().body(form("token", &token)).unwrap();
    request
        .headers_mut()
        .insert(header::AUTHORIZATION, OTHER_RESOURCE_SERVER.parse().unwrap());
    assert_eq!(harness.send(request, None).await.body, r#"{"active":false}"#);
    assert!(harness.is_active(&token).await);
}

/// I7.
#[tokio::test]
async fn finds_the_token_whatever_the_hint() {
    let harness = Harness::new();
    let token = harness.token(&certificate("demo-partner")).await;
    for hint in ["access_token", "refresh_token", "nonsense"] {
        let body = format!("token={token}&token_type_hint={hint}");
        let answer = harness
            .send(introspection().body(body.into()).unwrap(), None)
            .await;
        assert_eq!(answer.json()["active"], true, "{hint}");
    }
}

/// I8, I9.
#[tokio::test]
async fn refuses_a_missing_and_a_repeated_token() {
    let harness = Harness::new();
    for form in ["", "token=", "token=a&token=b"] {
        let answer = harness
            .send(post_as(INTROSPECT_CLIENT, INTROSPECTION, form), None)
            .await;
        assert_eq!(
            answer.refusal(),
            (400, "invalid_request".into(), "invalid_request"),
            "{form}"
        );
    }
}

/// I14, O2.
#[tokio::test]
async fn refuses_a_token_in_the_query() {
    let harness = Harness::new();
    let token = harness.token(&certificate("demo-partner")).await;
    let mut request = introspection().body(form("token", &token)).unwrap();
    *request.uri_mut() = format!("{INTROSPECTION}?token={token}").parse().unwrap();
    let answer = harness.send(request, None).await;
    assert_eq!(
        answer.refusal(),
        (400, "invalid_request".into(), "invalid_request")
    );
    assert!(!answer.body.contains(&token));
}

/// I2: on either listener.
#[tokio::test]
async fn refuses_every_method_but_post() {
    let harness = Harness::new();
    // Methods are told apart by case. RFC 9110 §9.1
    let small: Method = "post".parse().unwrap();
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS, small] {
        for answer in [
            harness.send(request(method.clone(), INTROSPECTION), None).await,
            harness
                .send_without_mutual_tls(request(method.clone(), INTROSPECTION))
                .await,
        ] {
            assert_eq!(
                answer.refusal(),
                (405, "invalid_request".into(), "method_not_allowed"),
                "{method}"
            );
            assert_eq!(answer.header(header::ALLOW), Some("POST"), "{method}");
        }
    }
}

/// The limits are those of token requests: of the same client, and from the same address.
#[tokio::test]
async fn counts_no_introspection_as_a_token_request_and_holds_none_up_with_them() {
    for limits in ["token_requests_per_client = 1", "token_requests_per_address = 1"] {
        let limited = DEMO.replacen("[store]", &format!("[limits]\n{limits}\n[store]"), 1);
        let harness = Harness::configured(&limited);
        let introspect = async || harness.introspect("x", JSON).await.status;
        // More than both limits let through at once.
        for _ in 0..40 {
            assert_eq!(introspect().await, StatusCode::OK, "{limits}");
        }
        let mut refusals = Vec::new();
        // On a slow machine a second goes by, and one more is answered.
        while refusals.last() != Some(&429) && refusals.len() < 40 {
            let request = post_as(INTROSPECT_CLIENT, TOKEN, "grant_type=client_credentials");
            refusals.push(harness.send(request, None).await.refusal().0);
            assert_eq!(introspect().await, StatusCode::OK, "{limits}");
        }
        let (last, first) = refusals.split_last().unwrap();
        assert_eq!((*last, first.iter().max()), (429, Some(&400)), "{limits}");
        assert!(first.len() >= 10, "{limits}: {refusals:?}");
    }
}

/// P6.
#[tokio::test]
async fn refuses_a_caller_who_accepts_none_of_the_representations() {
    let answer = Harness::new().introspect("x", "text/html").await;
    assert_eq!(
        answer.refusal(),
        (406, "invalid_request".into(), "not_acceptable")
    );
    assert_eq!(answer.header(header::VARY), Some("Accept"));
}

/// P1, P8, A1, A2, M33.
#[tokio::test]
async fn answers_with_the_access_token_as_a_jwt_that_the_published_keys_verify() {
    let harness = Harness::new();
    let certificate = certificate("demo-partner");
    let token = harness.token(&certificate).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = harness.introspect(&token, JWT).await;
        assert_eq!(
            (answer.status, answer.header(header::CONTENT_TYPE)),
            (StatusCode::OK, Some(JWT))
        );
        assert_eq!(answer.header(header::CACHE_CONTROL), Some("private, max-age=60"));
        assert_eq!(answer.header(header::VARY), Some("Accept"));
        let verified = verifier().verify(&answer.body, &harness.keys(), now()).unwrap();
        assert_eq!(verified.claims().cnf, Some(Confirmation::of(&certificate)));
        assert_eq!(verified.claims().client_id, "partner-client");
        ids.push(verified.claims().jti.clone());
    }
    assert_eq!(ids[0], ids[1]);
    let json = harness.introspect(&token, JSON).await.json();
    assert_eq!(json["jti"], ids[0].as_str());
}

/// I5, P1, I16: a JWT is remembered, and never what its token is worth.
#[tokio::test]
async fn answers_with_the_same_jwt_only_as_long_as_the_token_is_active() {
    let harness = Harness::new();
    let certificate = certificate("demo-partner");
    let token = harness.token(&certificate).await;
    let [first, second] = [
        harness.introspect(&token, JWT).await,
        harness.introspect(&token, JWT).await,
    ];
    assert_eq!(first.body, second.body);
    let revocation = revocation(&token, "partner-client");
    let revoked = harness.send(revocation, Some(&certificate)).await;
    assert_eq!(revoked.status, StatusCode::OK);
    let answer = harness.introspect(&token, JWT).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::NO_CONTENT, "")
    );
}

/// I12, P1: the answer is worth no longer than the token.
#[tokio::test]
async fn lets_no_answer_be_kept_beyond_expiry() {
    let harness = Harness::new();
    let token = harness
        .stored_token(|record| record.expires_at = record.issued_at.plus(Duration::from_secs(30)))
        .await;
    let answer = harness.introspect(&token, JWT).await;
    let cache_control = answer.header(header::CACHE_CONTROL).unwrap();
    let max_age: u64 = cache_control
        .strip_prefix("private, max-age=")
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=30).contains(&max_age), "{cache_control}");
}

/// J1, J2, J3, J12.
#[tokio::test]
async fn answers_with_a_signed_introspection_that_is_no_access_token() {
    let harness = Harness::new();
    let token = harness.token(&certificate("demo-partner")).await;
    let answer = harness.introspect(&token, SIGNED).await;
    assert_eq!(
        (answer.status, answer.header(header::CONTENT_TYPE)),
        (StatusCode::OK, Some(SIGNED))
    );
    assert_eq!(answer.header(header::CACHE_CONTROL), Some("no-store"));
    let [head, claims] = unverified_parts(&answer.body);
    assert_eq!(
        (&head["typ"], &head["alg"]),
        (&json!("token-introspection+jwt"), &json!("ES256"))
    );
    let members: Vec<_> = claims.as_object().unwrap().keys().collect();
    assert_eq!(members, ["aud", "iat", "iss", "token_introspection"]);
    assert_eq!(
        claims["iss"],
        "https://login.example.com/oauth/v2/oauth-anonymous"
    );
    assert_eq!(
        claims["aud"],
        json!(["api.example.com", "introspect-client"]),
        "the resource server by each of its names"
    );
    assert_eq!(
        claims["token_introspection"],
        harness.introspect(&token, JSON).await.json()
    );
    assert!(verifier().verify(&answer.body, &harness.keys(), now()).is_err());
}

/// A resource server called like its client, with these members in its registration beside.
fn api(lines: &str) -> Harness {
    Harness::configured(&format!(
        "{DEMO}{MORE_CLIENTS}\n[[clients]]\nclient_id = \"api.example.com\"\n\
         token_endpoint_auth_method = \"client_secret_basic\"\n\
         client_secret_hash = \"sha256:GVE_3J2k-3KkoF62aRdUjTyQ_5TVQZ4fI2PuqJ3-4d0\"\n\
         resource_server = \"api.example.com\"\n{lines}\n"
    ))
}

/// `api.example.com:Password1`.
const API: &str = "Basic YXBpLmV4YW1wbGUuY29tOlBhc3N3b3JkMQ==";

async fn told(harness: &Harness, token: &str, accept: &str) -> Answer {
    let request = Request::post(INTROSPECTION)
        .header(header::CONTENT_TYPE, FORM)
        .header(header::AUTHORIZATION, API)
        .header(header::ACCEPT, accept)
        .body(form("token", token))
        .unwrap();
    harness.send(request, None).await
}

/// J2, J7: each as it is registered, and others as ever.
#[tokio::test]
async fn signs_introspections_with_the_algorithm_that_the_resource_server_is_registered_with() {
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let harness = api(&format!("introspection_signed_response_alg = \"{algorithm}\""));
        let token = harness.token(&certificate("demo-partner")).await;
        let answer = told(&harness, &token, SIGNED).await;
        let [head, claims] = unverified_parts(&answer.body);
        assert_eq!(
            (&head["alg"], &claims["aud"]),
            (&json!(algorithm), &json!("api.example.com"))
        );
        let kid = head["kid"].as_str().unwrap();
        assert!(harness.keys().contains(kid));
        let [head, _] = unverified_parts(&harness.introspect(&token, SIGNED).await.body);
        assert_eq!(head["alg"], "ES256");
    }
}

/// J7: another algorithm than the registered one never; a new one not before the JWKS has shown its key.
#[tokio::test]
async fn answers_try_again_until_the_key_of_a_newly_registered_algorithm_has_been_shown() {
    let harness = api("");
    let token = harness.token(&certificate("demo-partner")).await;
    assert_eq!(told(&harness, &token, SIGNED).await.status, StatusCode::OK);
    let changed = api("introspection_signed_response_alg = \"EdDSA\"");
    harness
        .server
        .register_anew(Registrations::load(&changed.server.configuration).unwrap());
    let a_minute_later = now().plus(Duration::from_secs(60));
    harness
        .server
        .signing_keys
        .maintain(a_minute_later)
        .await
        .unwrap();
    let answer = told(&harness, &token, SIGNED).await;
    assert_eq!(
        answer.refusal(),
        (503, "temporarily_unavailable".into(), "key_not_yet_shown")
    );
    assert!(answer.header(header::RETRY_AFTER).is_some());
    assert_eq!(told(&harness, &token, JSON).await.status, StatusCode::OK);
}

/// I17, J5: in every representation.
#[tokio::test]
async fn tells_a_resource_server_of_no_more_scope_than_it_is_registered_for() {
    let harness = api("resource_server_scope = \"accounts payments\"");
    let token = harness
        .stored_token(|record| record.scope = "accounts transactions".parse().unwrap())
        .await;
    assert_eq!(told(&harness, &token, JSON).await.json()["scope"], "accounts");
    let [_, claims] = unverified_parts(&told(&harness, &token, JWT).await.body);
    assert_eq!(claims["scope"], "accounts");
    let [_, claims] = unverified_parts(&told(&harness, &token, SIGNED).await.body);
    assert_eq!(claims["token_introspection"]["scope"], "accounts");
    let everything = harness.introspect(&token, JSON).await.json();
    assert_eq!(everything["scope"], "accounts transactions", "told of all of it");
}
