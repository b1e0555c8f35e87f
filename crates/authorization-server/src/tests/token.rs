//! The token endpoint.

use std::time::{Duration, SystemTime};

use axum::http::{Method, StatusCode, header};
use oauth_core::access_token::AccessToken;
use oauth_core::certificate::ClientCertificate;
use oauth_core::confirmation::Confirmation;
use oauth_core::time::Timestamp;

use super::{DEMO, Harness, certificate, certificate_until, gateway_certificate, post, post_as, request};
use crate::router::TOKEN;

const REQUEST: &str = "grant_type=client_credentials&client_id=partner-client";
/// `secret%3Apartner:Password1`: name and secret are form-encoded before base64.
const SECRET_PARTNER: &str = "Basic c2VjcmV0JTNBcGFydG5lcjpQYXNzd29yZDE=";
/// `secret%3Apartner:Password2`.
const WRONG_SECRET: &str = "Basic c2VjcmV0JTNBcGFydG5lcjpQYXNzd29yZDI=";

/// M2, O12, O13, O15.
#[tokio::test]
async fn issues_a_token_to_the_client_that_the_certificate_names() {
    let harness = Harness::new();
    let answer = harness
        .send(post(TOKEN, REQUEST), Some(&certificate("demo-partner")))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(
        answer.header(header::CONTENT_TYPE),
        Some("application/json;charset=UTF-8")
    );
    assert_eq!(answer.header(header::CACHE_CONTROL), Some("no-store"));
    assert_eq!(answer.header(header::PRAGMA), Some("no-cache"));
    let json = answer.json();
    let members: Vec<_> = json.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "expires_in", "scope", "token_type"]);
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["expires_in"], 900);
    assert_eq!(json["scope"], "transactions");
}

/// M30, and the token is not stored, its digest is.
#[tokio::test]
async fn stores_the_record_bound_to_the_certificate_before_it_answers() {
    let harness = Harness::new();
    let certificate = certificate("demo-partner");
    let token = AccessToken::parse(&harness.token(&certificate).await).unwrap();
    let record = harness.server.tokens.find(&token).await.unwrap().unwrap();
    assert_eq!(record.confirmation, Some(Confirmation::of(&certificate)));
    assert_eq!(record.digest, token.digest());
    assert!(!serde_json::to_string(&*record).unwrap().contains(token.expose()));
}

/// M15, M44.
#[tokio::test]
async fn issues_to_a_renewed_certificate_of_the_same_subject() {
    let harness = Harness::new();
    let (old, new) = (certificate("demo-partner"), certificate("demo-partner"));
    assert_ne!(old.thumbprint(), new.thumbprint());
    assert_ne!(harness.token(&old).await, harness.token(&new).await);
}

/// M34.
#[tokio::test]
async fn leaves_tokens_unbound_only_for_a_client_registered_so() {
    let harness = Harness::new();
    let request = post(
        TOKEN,
        "grant_type=client_credentials&client_id=unbound-partner&scope=accounts",
    );
    let answer = harness.send(request, Some(&certificate("demo-partner"))).await;
    assert_eq!(
        (answer.status, &answer.json()["scope"]),
        (StatusCode::OK, &"accounts".into())
    );
    let token = AccessToken::parse(answer.json()["access_token"].as_str().unwrap()).unwrap();
    assert_eq!(
        harness
            .server
            .tokens
            .find(&token)
            .await
            .unwrap()
            .unwrap()
            .confirmation,
        None
    );
}

/// M46.
#[tokio::test]
async fn lets_no_token_outlive_the_certificate() {
    let harness = Harness::new();
    let not_after = SystemTime::now() + Duration::from_secs(300);
    let certificate = certificate_until("demo-partner", not_after);
    let token = AccessToken::parse(&harness.token(&certificate).await).unwrap();
    let record = harness.server.tokens.find(&token).await.unwrap().unwrap();
    assert_eq!(record.expires_at, Timestamp::from(not_after));
}

/// M1.
#[tokio::test]
async fn refuses_to_guess_the_client_from_its_certificate() {
    let answer = Harness::new()
        .send(
            post(TOKEN, "grant_type=client_credentials"),
            Some(&certificate("demo-partner")),
        )
        .await;
    assert_eq!(answer.refusal(), (400, "invalid_request".into(), "no_client_id"));
}

/// M3, M4, M5, O9: whoever is not the client gets one and the same answer; the log tells why.
#[tokio::test]
async fn refuses_the_wrong_certificate_none_and_an_unknown_client_alike() {
    let harness = Harness::new();
    let (partner, other) = (certificate("demo-partner"), certificate("other-partner"));
    let mut bodies = Vec::new();
    for (form, certificate, reason) in [
        (REQUEST, Some(&other), "other_subject"),
        (REQUEST, None, "no_certificate"),
        (
            "grant_type=client_credentials&client_id=nobody",
            Some(&partner),
            "unknown_client",
        ),
        (
            "grant_type=client_credentials&client_id=disabled-partner",
            Some(&partner),
            "unknown_client",
        ),
    ] {
        let answer = harness.send(post(TOKEN, form), certificate).await;
        assert_eq!(answer.refusal(), (401, "invalid_client".into(), reason));
        assert_eq!(answer.header(header::WWW_AUTHENTICATE), None);
        bodies.push(answer.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

/// T21: a connection may live longer than its certificate.
#[tokio::test]
async fn refuses_a_certificate_that_has_expired_since_the_handshake() {
    let expired = certificate_until("demo-partner", SystemTime::now() - Duration::from_secs(2));
    let answer = Harness::new().send(post(TOKEN, REQUEST), Some(&expired)).await;
    assert_eq!(answer.refusal(), (401, "invalid_client".into(), "no_certificate"));
}

/// M5, O9: a secret in place of the certificate is answered as an unknown client's is.
#[tokio::test]
async fn refuses_a_secret_for_a_client_of_certificates_and_for_nobody_alike() {
    let harness = Harness::new();
    let mut bodies = Vec::new();
    for (authorization, reason) in [
        // `partner-client:Password1` and `unheard-of:Password1`
        ("Basic cGFydG5lci1jbGllbnQ6UGFzc3dvcmQx", "other_method"),
        ("Basic dW5oZWFyZC1vZjpQYXNzd29yZDE=", "unknown_client"),
    ] {
        let request = post_as(authorization, TOKEN, "grant_type=client_credentials");
        let answer = harness.send(request, Some(&certificate("demo-partner"))).await;
        assert_eq!(answer.refusal(), (401, "invalid_client".into(), reason));
        bodies.push(answer.body);
    }
    assert_eq!(bodies[0], bodies[1]);
}

/// M22, O7.
#[tokio::test]
async fn refuses_two_authentication_methods_at_once() {
    let harness = Harness::new();
    let with_secret = "grant_type=client_credentials&client_id=secret%3Apartner&client_secret=Password1";
    let partner_with_secret =
        "grant_type=client_credentials&client_id=partner-client&client_secret=Password1";
    let stranger_with_secret = "grant_type=client_credentials&client_id=unheard-of&client_secret=Password1";
    for (request, certificate) in [
        (post_as(SECRET_PARTNER, TOKEN, with_secret), None),
        (
            post(TOKEN, partner_with_secret),
            Some(certificate("demo-partner")),
        ),
        (
            post(TOKEN, stranger_with_secret),
            Some(certificate("demo-partner")),
        ),
    ] {
        let answer = harness.send(request, certificate.as_ref()).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into(), "two_methods"));
    }
    let mut twice = post_as(SECRET_PARTNER, TOKEN, REQUEST);
    twice
        .headers_mut()
        .append(header::AUTHORIZATION, SECRET_PARTNER.parse().unwrap());
    assert_eq!(
        harness.send(twice, None).await.refusal(),
        (400, "invalid_request".into(), "two_methods")
    );
}

/// O8.
#[tokio::test]
async fn accepts_form_encoded_basic_credentials_and_binds_to_the_certificate_at_hand() {
    let harness = Harness::new();
    let request = post_as(SECRET_PARTNER, TOKEN, "grant_type=client_credentials");
    let certificate = certificate("whoever");
    let answer = harness.send(request, Some(&certificate)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let token = AccessToken::parse(answer.json()["access_token"].as_str().unwrap()).unwrap();
    let record = harness.server.tokens.find(&token).await.unwrap().unwrap();
    assert_eq!(
        (record.client_id.as_str(), record.confirmation),
        ("secret:partner", Some(Confirmation::of(&certificate)))
    );
}

/// M32.
#[tokio::test]
async fn refuses_a_bound_token_where_there_is_no_certificate_to_bind_it_to() {
    let request = post_as(SECRET_PARTNER, TOKEN, "grant_type=client_credentials");
    let answer = Harness::new().send(request, None).await;
    assert_eq!(
        answer.refusal(),
        (400, "invalid_request".into(), "invalid_request")
    );
    assert_eq!(
        answer.json()["error_description"],
        "certificate required for bound token"
    );
}

/// O8, O9.
#[tokio::test]
async fn refuses_wrong_and_malformed_basic_credentials_with_a_basic_challenge() {
    let harness = Harness::new();
    for (authorization, reason) in [
        (WRONG_SECRET, "wrong_secret"),
        ("basic c2VjcmV0JTNBcGFydG5lcjpQYXNzd29yZDI=", "wrong_secret"),
        ("Basic !", "malformed_basic"),
        ("Basic bm8tY29sb24=", "malformed_basic"),
    ] {
        let answer = harness
            .send(
                post_as(authorization, TOKEN, "grant_type=client_credentials"),
                None,
            )
            .await;
        assert_eq!(
            answer.refusal(),
            (401, "invalid_client".into(), reason),
            "{authorization}"
        );
        let challenge = answer.header(header::WWW_AUTHENTICATE).unwrap();
        assert!(challenge.starts_with("Basic realm=\""), "{challenge}");
    }
}

/// O10, J11, X4.
#[tokio::test]
async fn refuses_every_grant_but_client_credentials_and_clients_without_it() {
    let harness = Harness::new();
    let partner = certificate("demo-partner");
    for (form, error) in [
        ("client_id=partner-client", "invalid_request"),
        ("client_id=partner-client&grant_type=", "invalid_request"),
        (
            "client_id=partner-client&grant_type=password",
            "unsupported_grant_type",
        ),
    ] {
        let (status, code, _) = harness.send(post(TOKEN, form), Some(&partner)).await.refusal();
        assert_eq!((status, code.as_str()), (400, error), "{form}");
    }
    let request = post(TOKEN, "grant_type=client_credentials&client_id=gateway");
    let answer = harness.send(request, Some(&gateway_certificate())).await;
    assert_eq!(
        answer.refusal(),
        (400, "unauthorized_client".into(), "unauthorized_client")
    );
}

/// O16.
#[tokio::test]
async fn refuses_unknown_and_malformed_scopes() {
    let harness = Harness::new();
    let partner = certificate("demo-partner");
    for form in [
        "grant_type=client_credentials&client_id=partner-client&scope=accounts",
        "grant_type=client_credentials&client_id=partner-client&scope=transactions++accounts",
        "grant_type=client_credentials&client_id=partner-client&scope=%22transactions%22",
        "grant_type=client_credentials&client_id=partner-client&scope=Transactions",
    ] {
        let answer = harness.send(post(TOKEN, form), Some(&partner)).await;
        assert_eq!(
            answer.refusal(),
            (400, "invalid_scope".into(), "invalid_scope"),
            "{form}"
        );
    }
}

/// O2, B8, I14.
#[tokio::test]
async fn refuses_parameters_in_the_query_and_ignores_others_there() {
    let harness = Harness::new();
    let partner = certificate("demo-partner");
    for query in [
        "client_id=partner-client",
        "client_secret=x",
        "grant_type=client_credentials",
        "tok%65n=x",
    ] {
        let answer = harness
            .send(post(&format!("{TOKEN}?{query}"), REQUEST), Some(&partner))
            .await;
        assert_eq!(
            answer.refusal(),
            (400, "invalid_request".into(), "invalid_request"),
            "{query}"
        );
    }
    let answer = harness
        .send(post(&format!("{TOKEN}?trace=1"), REQUEST), Some(&partner))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
}

/// O17, X7.
#[tokio::test]
async fn repeats_nothing_of_what_was_sent() {
    let form = "grant_type=zebra%22&client_id=partner-client&scope=%3Czebra%3E";
    let answer = Harness::new()
        .send(post(TOKEN, form), Some(&certificate("demo-partner")))
        .await;
    assert_eq!(
        answer.refusal(),
        (400, "unsupported_grant_type".into(), "unsupported_grant_type")
    );
    assert!(!answer.body.contains("zebra"), "{}", answer.body);
    let description = answer.json()["error_description"].as_str().unwrap().to_owned();
    assert!(
        description
            .bytes()
            .all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    );
}

/// O1.
#[tokio::test]
async fn refuses_every_method_but_post() {
    let harness = Harness::new();
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = harness.send(request(method, TOKEN), None).await;
        assert_eq!(
            answer.refusal(),
            (405, "invalid_request".into(), "method_not_allowed")
        );
        assert_eq!(answer.header(header::ALLOW), Some("POST"));
    }
}

/// M23: there is no token endpoint where no certificate is asked for.
#[tokio::test]
async fn is_absent_from_the_listener_without_mutual_tls() {
    let answer = Harness::new().send_without_mutual_tls(post(TOKEN, REQUEST)).await;
    assert_eq!(answer.refusal(), (404, "invalid_request".into(), "not_found"));
}

/// O18.
#[tokio::test]
async fn issues_no_token_twice() {
    let harness = Harness::new();
    let certificate = certificate("demo-partner");
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(harness.token(&certificate).await);
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 20);
    assert!(
        tokens
            .iter()
            .all(|token| AccessToken::parse(token).unwrap().id().get_version_num() == 7)
    );
}

/// M46: its own lifetime where it has one, never beyond the certificate's.
#[tokio::test]
async fn a_token_lives_as_long_as_its_client_is_registered_for_and_no_longer_than_its_certificate() {
    let text = DEMO.replacen(
        "client_id = \"partner-client\"",
        "client_id = \"partner-client\"\nlifetime = \"1h\"",
        1,
    );
    let harness = Harness::configured(&text);
    let lifetime = async |client: &'static str, certificate: &ClientCertificate| {
        let answer = harness.send(post(TOKEN, client), Some(certificate)).await;
        answer.json()["expires_in"].as_u64().unwrap()
    };
    let partner = "grant_type=client_credentials&client_id=partner-client";
    let other = "grant_type=client_credentials&client_id=other-client";
    assert_eq!(lifetime(partner, &certificate("demo-partner")).await, 3600);
    assert_eq!(lifetime(other, &certificate("other-partner")).await, 900);
    let soon = SystemTime::now() + Duration::from_secs(600);
    let left = lifetime(partner, &certificate_until("demo-partner", soon)).await;
    assert!((590..=600).contains(&left), "{left}");
}

/// R7 for tokens: refused before the store is asked for anything, and nobody else with it.
#[tokio::test]
async fn refuses_the_token_requests_of_a_client_that_sends_too_many_and_no_other() {
    let limited = DEMO.replacen(
        "[store]",
        "[limits]\ntoken_requests_per_client = 1\ntoken_requests_per_address = 1000\n[store]",
        1,
    );
    let harness = Harness::configured(&limited);
    let (partner, other) = (certificate("demo-partner"), certificate("other-partner"));
    let request = || post(TOKEN, "grant_type=client_credentials&client_id=partner-client");
    // A stranger who claims to be the client uses up nothing of its allowance.
    for _ in 0..20 {
        let stranger = harness.send(request(), Some(&other)).await;
        assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    }
    for _ in 0..10 {
        let answer = harness.send(request(), Some(&partner)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let refused = harness.send(request(), Some(&partner)).await;
    assert_eq!(
        refused.refusal(),
        (429, "temporarily_unavailable".into(), "too_many_requests")
    );
    assert_eq!(refused.header(header::RETRY_AFTER), Some("1"));
    let request = post(TOKEN, "grant_type=client_credentials&client_id=other-client");
    assert_eq!(harness.send(request, Some(&other)).await.status, StatusCode::OK);
}

/// R7 for tokens: whoever it claims to be, and only where tokens are asked for.
#[tokio::test]
async fn refuses_the_token_requests_of_an_address_that_sends_too_many() {
    let limited = DEMO.replacen("[store]", "[limits]\ntoken_requests_per_address = 1\n[store]", 1);
    let harness = Harness::configured(&limited);
    let partner = certificate("demo-partner");
    let token = harness.token(&partner).await;
    for _ in 1..10 {
        let stranger = post(TOKEN, "grant_type=client_credentials&client_id=nobody");
        assert_eq!(
            harness.send(stranger, None).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    let request = post(TOKEN, "grant_type=client_credentials&client_id=partner-client");
    let refused = harness.send(request, Some(&partner)).await;
    assert_eq!(
        refused.refusal(),
        (429, "temporarily_unavailable".into(), "too_many_requests")
    );
    assert!(harness.is_active(&token).await);
}
