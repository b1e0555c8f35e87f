//! Stolen tokens, with every certificate but the right one.

use demo::{actor::Answer, configuration::Settings};
use integration_tests::{TestSystem, log};
use pki::Member;
use reqwest::{
    StatusCode,
    header::{HeaderMap, WWW_AUTHENTICATE},
};

/// The demo's system, and one more client of the partner's.
async fn system_with(client_id: &str, scope: &str, audience: &str, further: &str) -> TestSystem {
    let clients = format!(
        r#"
        [[clients]]
        client_id = "{client_id}"
        token_endpoint_auth_method = "tls_client_auth"
        tls_client_auth_subject_dn = "CN=demo-partner"
        grant_types = ["client_credentials"]
        scope = "{scope}"
        audience = "{audience}"
        {further}
        "#
    );
    TestSystem::start_with(Settings {
        clients,
        ..Settings::default()
    })
    .await
}

async fn assert_refused(answer: &Answer, reason: &str) {
    assert_eq!(answer.status(), Some(StatusCode::UNAUTHORIZED), "{answer}");
    assert_eq!(answer.error().as_deref(), Some("invalid_token"));
    let challenge = answer.header(WWW_AUTHENTICATE.as_str()).unwrap();
    assert!(
        challenge.starts_with("Bearer ") && challenge.contains(r#"error="invalid_token""#),
        "{challenge}"
    );
    let request_id = answer.header("x-request-id").unwrap();
    assert_eq!(log::field_of_request(request_id, "reason").await, reason);
}

/// M35, M36.
#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_token_is_worth_nothing_with_another_good_certificate() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    assert_refused(
        &system.other().call(Some(&token), HeaderMap::new()).await,
        "certificate_mismatch",
    )
    .await;
    assert_eq!(
        system
            .partner()
            .call(Some(&token), HeaderMap::new())
            .await
            .status(),
        Some(StatusCode::OK)
    );
}

/// M42, W12: the binding is checked on every request, whatever the cache holds and however old the connection is.
#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_token_is_worth_nothing_from_the_cache_and_on_a_kept_alive_connection() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    for thief in [system.other(), system.http1_actor(Some(Member::Other)).unwrap()] {
        let own = thief.request_token("other-client").await.access_token().unwrap();
        assert_eq!(
            thief.call(Some(&own), HeaderMap::new()).await.status(),
            Some(StatusCode::OK)
        );
        assert_eq!(
            system
                .partner()
                .call(Some(&token), HeaderMap::new())
                .await
                .status(),
            Some(StatusCode::OK)
        );
        for _ in 0..2 {
            assert_refused(
                &thief.call(Some(&token), HeaderMap::new()).await,
                "certificate_mismatch",
            )
            .await;
        }
        assert_eq!(
            thief.call(Some(&own), HeaderMap::new()).await.status(),
            Some(StatusCode::OK)
        );
    }
}

/// H3: a certificate in a header proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_cert_header_helps_no_thief_and_harms_no_owner() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    assert_refused(
        &system
            .other()
            .call(Some(&token), system.client_cert(Member::Example))
            .await,
        "certificate_mismatch",
    )
    .await;
    assert_eq!(
        system
            .partner()
            .call(Some(&token), system.client_cert(Member::Other))
            .await
            .status(),
        Some(StatusCode::OK)
    );
}

/// M37, on a gateway whose handshake lets people in without certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_token_is_worth_nothing_without_certificate() {
    let optional = "client_certificate = \"optional\"".to_owned();
    let system = TestSystem::start_with(Settings {
        gateway_client_certificates: optional,
        ..Settings::default()
    })
    .await;
    let token = system.partner_token().await;
    let stranger = system.actor(None).unwrap();
    assert_refused(
        &stranger.call(Some(&token), HeaderMap::new()).await,
        "certificate_missing",
    )
    .await;
    assert_eq!(
        system
            .partner()
            .call(Some(&token), HeaderMap::new())
            .await
            .status(),
        Some(StatusCode::OK)
    );
}

/// M38: a token that is not bound opens nothing where binding is required.
#[tokio::test(flavor = "multi_thread")]
async fn an_unbound_token_is_worth_nothing() {
    let system = system_with(
        "unbound-client",
        "transactions",
        "api.example.com",
        "tls_client_certificate_bound_access_tokens = false",
    )
    .await;
    let token = system
        .partner()
        .request_token("unbound-client")
        .await
        .access_token()
        .unwrap();
    assert_refused(
        &system.partner().call(Some(&token), HeaderMap::new()).await,
        "token_not_bound",
    )
    .await;
}

/// I5, B5: made up, revoked and foreign look alike from outside; the log tells the owner's operator more.
#[tokio::test(flavor = "multi_thread")]
async fn made_up_and_revoked_tokens_look_alike() {
    let system = TestSystem::start().await;
    let partner = system.partner();
    let revoked = system.partner_token().await;
    let answer = partner.revoke("partner-client", &revoked).await;
    assert_eq!(answer.status(), Some(StatusCode::OK));
    let mut bodies = Vec::new();
    for token in [demo::scenarios::MADE_UP_TOKEN, "x", &revoked] {
        let answer = partner.call(Some(token), HeaderMap::new()).await;
        assert_refused(&answer, "token_inactive").await;
        let mut body = answer.json().unwrap();
        body.as_object_mut().unwrap().remove("request_id");
        bodies.push(body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
}

/// I16, R9: a revoked token that the gateway has cached dies with its cache entry.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_outlives_its_revocation_only_within_the_revocation_window() {
    let settings = Settings {
        tokens: "revocation_window = \"1s\"".to_owned(),
        ..Settings::default()
    };
    let system = TestSystem::start_with(settings).await;
    let (partner, token) = (system.partner(), system.partner_token().await);
    assert_eq!(
        partner.call(Some(&token), HeaderMap::new()).await.status(),
        Some(StatusCode::OK)
    );
    partner.revoke("partner-client", &token).await;
    let dies = async {
        while partner.call(Some(&token), HeaderMap::new()).await.status() != Some(StatusCode::UNAUTHORIZED) {}
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), dies)
        .await
        .unwrap();
}

/// B6: a good token without the scope that the route asks for.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_scope_is_told_which_it_needs() {
    let system = system_with("narrow-client", "accounts", "api.example.com", "").await;
    let token = system
        .partner()
        .request_token("narrow-client")
        .await
        .access_token()
        .unwrap();
    let answer = system.partner().call(Some(&token), HeaderMap::new()).await;
    assert_eq!(answer.status(), Some(StatusCode::FORBIDDEN));
    let challenge = answer.header(WWW_AUTHENTICATE.as_str()).unwrap();
    assert!(
        challenge.contains(r#"error="insufficient_scope""#) && challenge.contains(r#"scope="transactions""#),
        "{challenge}"
    );
}

/// X2: a token for another API.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_another_audience_is_worth_nothing() {
    let system = system_with("foreign-client", "transactions", "other.example.com", "").await;
    let token = system
        .partner()
        .request_token("foreign-client")
        .await
        .access_token()
        .unwrap();
    assert_refused(
        &system.partner().call(Some(&token), HeaderMap::new()).await,
        "token_inactive",
    )
    .await;
}
