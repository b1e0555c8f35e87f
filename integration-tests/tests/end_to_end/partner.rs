//! What a partner gets, and how its request arrives at the API.

use demo::{actor::TRANSACTIONS, configuration::Settings};
use integration_tests::{Ground, TestSystem, upstream::RecordingUpstream};
use oauth_core::{client_cert_header, thumbprint::CertificateThumbprint};
use pki::Member;
use reqwest::{
    Method, StatusCode,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};

/// M2, M30, M35, O12, O13, O15, F9.
#[tokio::test(flavor = "multi_thread")]
async fn gets_a_bound_token_and_calls_the_api_with_it() {
    let system = TestSystem::start().await;
    let partner = system.partner();
    let issued = partner.request_token("partner-client").await;
    assert_eq!(issued.status(), Some(StatusCode::OK));
    assert_eq!(issued.header("cache-control"), Some("no-store"));
    assert_eq!(issued.header("pragma"), Some("no-cache"));
    let body = issued.json().unwrap();
    assert_eq!(
        (&body["token_type"], &body["expires_in"], &body["scope"]),
        (&"Bearer".into(), &900.into(), &"transactions".into())
    );
    assert!(body.get("refresh_token").is_none());

    let token = issued.access_token().unwrap();
    assert!(!token.contains('.'), "the token is opaque");
    let called = partner.call(Some(&token), HeaderMap::new()).await;
    assert_eq!(called.status(), Some(StatusCode::OK));
    let body = called.json().unwrap();
    assert_eq!(body["message"], "Success response from the Example API");
    assert_eq!(body["client_id"], "partner-client");
}

#[tokio::test(flavor = "multi_thread")]
async fn sees_its_own_transactions_and_nobody_elses() {
    let system = TestSystem::start().await;
    let (partner, other) = (system.partner(), system.other());
    let token = system.partner_token().await;
    let others_token = other.request_token("other-client").await.access_token().unwrap();
    let id = partner.call(Some(&token), HeaderMap::new()).await.json().unwrap()["id"].clone();
    let mine = partner
        .request(Method::GET, TRANSACTIONS, Some(&token), HeaderMap::new())
        .await
        .json()
        .unwrap();
    assert_eq!(
        mine.as_array()
            .unwrap()
            .iter()
            .map(|transaction| &transaction["id"])
            .collect::<Vec<_>>(),
        [&id]
    );
    let theirs = other
        .request(Method::GET, TRANSACTIONS, Some(&others_token), HeaderMap::new())
        .await;
    assert_eq!(theirs.json().unwrap().as_array().unwrap().len(), 0);
}

/// HTTP/1.1 and HTTP/2 from clients.
#[tokio::test(flavor = "multi_thread")]
async fn is_served_over_http_1_1_as_well_as_http_2() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    for actor in [
        system.partner(),
        system.http1_actor(Some(Member::Example)).unwrap(),
    ] {
        assert_eq!(
            actor.call(Some(&token), HeaderMap::new()).await.status(),
            Some(StatusCode::OK)
        );
    }
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

/// P9, H1, H3, H11, X5: the JWT travels on, the opaque token and whatever the client says of itself do not.
#[tokio::test(flavor = "multi_thread")]
async fn arrives_at_the_api_with_the_jwt_its_own_certificate_and_no_lies() {
    let ground = Ground::new();
    let upstream = RecordingUpstream::start(&ground, HeaderMap::new());
    let settings = Settings {
        gateway_upstream: Some(upstream.url()),
        ..Settings::default()
    };
    let system = ground.start(settings).await;
    let partner = system.actor(Some(Member::Example)).unwrap();
    let token = partner
        .request_token("partner-client")
        .await
        .access_token()
        .unwrap();
    let lies = headers(&[
        ("client-cert", ":ZmFsc2Vob29k:"),
        ("client_cert", ":ZmFsc2Vob29k:"),
        ("client-cert-chain", ":ZmFsc2Vob29k:"),
        ("x-forwarded-client-cert", "falsehood"),
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("x-real-ip", "192.0.2.1"),
        ("x-ssl-client-cert", "falsehood"),
        ("ssl-client-cert", "falsehood"),
        ("ssl_client_cert", "falsehood"),
        ("x-wso2-client-certificate", "falsehood"),
        ("x-amzn-mtls-clientcert", "falsehood"),
        ("x-arr-clientcert", "falsehood"),
        ("proxy-authorization", "Basic falsehood"),
        ("x-own", "kept"),
    ]);
    let answer = partner.call(Some(&token), lies).await;
    assert_eq!(answer.status(), Some(StatusCode::OK));

    let requests = upstream.requests();
    let [request] = requests.as_slice() else {
        panic!("one request arrives: {requests:?}")
    };
    let authorization = request.values(AUTHORIZATION.as_str());
    let [authorization] = authorization.as_slice() else {
        panic!("one Authorization: {authorization:?}")
    };
    let jwt = authorization.strip_prefix("Bearer ").unwrap();
    assert_eq!(jwt.split('.').count(), 3);
    let certificate = system.credentials(Member::Example).unwrap().leaf_der().to_vec();
    assert_eq!(
        request.values("client-cert"),
        [client_cert_header::encode(&certificate)]
    );
    assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.values("x-forwarded-host"), ["api.example.com"]);
    assert_eq!(request.values("x-own"), ["kept"]);
    let everything = format!("{:?}", request.headers);
    assert!(
        !everything.contains(&token)
            && !everything.contains("falsehood")
            && !everything.contains("ZmFsc2Vob29k")
            && !everything.contains("192.0.2.1"),
        "{everything}"
    );
}

/// H4, H7: what the API lets slip about the certificate stays behind the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn is_never_shown_a_certificate_header_in_an_answer() {
    let ground = Ground::new();
    let slips = headers(&[
        ("client-cert", ":c2xpcA==:"),
        ("vary", "client-cert"),
        ("x-own", "kept"),
    ]);
    let upstream = RecordingUpstream::start(&ground, slips);
    let settings = Settings {
        gateway_upstream: Some(upstream.url()),
        ..Settings::default()
    };
    let system = ground.start(settings).await;
    let partner = system.actor(Some(Member::Example)).unwrap();
    let token = partner
        .request_token("partner-client")
        .await
        .access_token()
        .unwrap();
    let answer = partner.call(Some(&token), HeaderMap::new()).await;
    assert_eq!(answer.header("client-cert"), None);
    assert_eq!(answer.header("vary"), Some("*"));
    assert_eq!(answer.header("x-own"), Some("kept"));
}

/// A3, A4, A8, M30, I10: what the API is shown can be verified by anybody with the JWKS, and names this certificate.
#[tokio::test(flavor = "multi_thread")]
async fn has_a_jwt_bound_to_its_certificate() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    let jwt = crate::authorization_server::introspect_as_jwt(&system, &token).await;
    let claims = crate::authorization_server::claims(&jwt);
    let thumbprint = CertificateThumbprint::of_der(system.credentials(Member::Example).unwrap().leaf_der());
    assert_eq!(claims["cnf"]["x5t#S256"], thumbprint.to_string());
    assert_eq!(claims["aud"], "api.example.com");
    assert_eq!(claims["scope"], "transactions");
    assert_eq!(
        (&claims["sub"], &claims["client_id"]),
        (&"partner-client".into(), &"partner-client".into())
    );
}

/// X7: no token and no JWT stands in any log.
#[tokio::test(flavor = "multi_thread")]
async fn leaves_no_token_in_the_log() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    let partner = system.partner();
    assert_eq!(
        partner.call(Some(&token), HeaderMap::new()).await.status(),
        Some(StatusCode::OK)
    );
    let refused = system.other().call(Some(&token), HeaderMap::new()).await;
    let request_id = refused.header("x-request-id").unwrap().to_owned();
    integration_tests::log::field_of_request(&request_id, "reason").await;
    let jwt = crate::authorization_server::introspect_as_jwt(&system, &token).await;
    let log = integration_tests::log::everything();
    let signature = jwt.rsplit('.').next().unwrap();
    assert!(!log.contains(&token) && !log.contains(signature));
}
