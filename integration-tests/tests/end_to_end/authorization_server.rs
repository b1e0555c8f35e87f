//! The authorization server as a partner, a gateway and a foreign gateway meet it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use demo::system::System;
use integration_tests::TestSystem;
use mtls::{ClientTls, ConnectTo, Timeouts};
use oauth_core::jwt::{AccessTokenVerifier, SignatureAlgorithm, VerificationKeys};
use pki::Member;
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

const ISSUER: &str = "https://login.example.com/oauth/v2/oauth-anonymous";

/// Somebody who reaches `login.example.com` at `port`: one of the authorization server's own listeners.
fn http(system: &System, member: Option<Member>) -> reqwest::Client {
    let tls = ClientTls::new(system.trust().unwrap());
    let tls = match member {
        Some(member) => tls.with_credentials(system.credentials(member).unwrap()),
        None => tls,
    };
    let connect_to = ConnectTo {
        host: "login.example.com".to_owned(),
        address: system.authorization_server(),
    };
    tls.http_client(Timeouts::default(), &[connect_to]).unwrap()
}

fn at(port: u16, path: &str) -> String {
    format!("https://localhost:{port}{path}")
}

async fn introspect(system: &System, token: &str, accept: &str) -> Response {
    http(system, None)
        .post(at(
            system.authorization_server().port(),
            "/oauth/v2/oauth-introspect",
        ))
        .basic_auth("introspect-client", Some("Password1"))
        .header("accept", accept)
        .form(&[("token", token)])
        .send()
        .await
        .unwrap()
}

/// The JWT that stands for `token`.
pub(crate) async fn introspect_as_jwt(system: &System, token: &str) -> String {
    let answer = introspect(system, token, "application/jwt").await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.unwrap()
}

/// The claims of a JWT, unverified.
pub(crate) fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// D1, D2, D3, D4, D5, M50, M51, M54: at both well-known places, on both listeners, and through the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn publishes_the_same_metadata_everywhere() {
    let system = TestSystem::start().await;
    let inserted = "/.well-known/oauth-authorization-server/oauth/v2/oauth-anonymous";
    let appended = "/oauth/v2/oauth-anonymous/.well-known/openid-configuration";
    let mut documents = Vec::new();
    for port in [system.authorization_server().port(), system.mutual_tls().port()] {
        for path in [inserted, appended] {
            let answer = http(&system, None).get(at(port, path)).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            documents.push(answer.json::<Value>().await.unwrap());
        }
    }
    let through = system.actor(None).unwrap();
    let url = format!("https://login.example.com{inserted}");
    documents.push(
        through
            .request(Method::GET, &url, None, Default::default())
            .await
            .json()
            .unwrap(),
    );
    assert!(documents.windows(2).all(|pair| pair[0] == pair[1]));
    let document = &documents[0];
    assert_eq!(document["issuer"], ISSUER);
    assert_eq!(
        document["token_endpoint"],
        "https://login.example.com/oauth/v2/oauth-token-mutual-tls"
    );
    assert_eq!(
        document["mtls_endpoint_aliases"]["token_endpoint"],
        document["token_endpoint"]
    );
    assert_eq!(document["tls_client_certificate_bound_access_tokens"], true);
    assert_eq!(
        document["grant_types_supported"],
        serde_json::json!(["client_credentials"])
    );
}

/// M23: the listener without client certificates has no token endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn has_its_token_endpoint_on_the_mutual_tls_listener_alone() {
    let system = TestSystem::start().await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "partner-client"),
    ];
    let client = http(&system, Some(Member::Example));
    let path = "/oauth/v2/oauth-token-mutual-tls";
    for (port, expected) in [
        (system.authorization_server().port(), StatusCode::NOT_FOUND),
        (system.mutual_tls().port(), StatusCode::OK),
    ] {
        assert_eq!(
            client
                .post(at(port, path))
                .form(&form)
                .send()
                .await
                .unwrap()
                .status(),
            expected
        );
    }
}

/// I1, I10, M33, P7.
#[tokio::test(flavor = "multi_thread")]
async fn introspects_a_token_as_json_for_a_foreign_gateway() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    let answer = introspect(&system, &token, "application/json").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        answer.headers()["vary"].to_str().unwrap().to_ascii_lowercase(),
        "accept"
    );
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        (&body["active"], &body["client_id"]),
        (&true.into(), &"partner-client".into())
    );
    let jwt = claims(&introspect_as_jwt(&system, &token).await);
    assert_eq!(
        (&body["cnf"], &body["jti"], &body["exp"]),
        (&jwt["cnf"], &jwt["jti"], &jwt["exp"])
    );
}

/// P1, P8, P17, A1: the JWT verifies by the published keys.
#[tokio::test(flavor = "multi_thread")]
async fn signs_jwts_that_its_published_keys_verify() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    let answer = introspect(&system, &token, "application/jwt").await;
    assert_eq!(answer.headers()["content-type"], "application/jwt");
    assert_eq!(answer.headers()["cache-control"], "private, max-age=60");
    let jwt = answer.text().await.unwrap();
    let jwks_url = at(
        system.authorization_server().port(),
        "/oauth/v2/oauth-anonymous/jwks",
    );
    let jwks = http(&system, None)
        .get(jwks_url)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let verifier = AccessTokenVerifier {
        issuer: ISSUER.to_owned(),
        audiences: vec!["api.example.com".to_owned()],
        algorithms: vec![SignatureAlgorithm::ES256],
    };
    let now = std::time::SystemTime::now().into();
    verifier
        .verify(&jwt, &VerificationKeys::from_jwks(&jwks).unwrap(), now)
        .unwrap();
    assert_eq!(
        claims(&jwt)["jti"],
        claims(&introspect_as_jwt(&system, &token).await)["jti"]
    );
}

/// I5, P2, J4: inactive, in each of the three representations.
#[tokio::test(flavor = "multi_thread")]
async fn says_nothing_of_a_token_that_is_not_active() {
    let system = TestSystem::start().await;
    let revoked = system.partner_token().await;
    system.partner().revoke("partner-client", &revoked).await;
    for token in [demo::scenarios::MADE_UP_TOKEN, "x", &revoked] {
        let json = introspect(&system, token, "application/json").await;
        assert_eq!(
            (json.status(), json.text().await.unwrap().as_str()),
            (StatusCode::OK, r#"{"active":false}"#)
        );
        let jwt = introspect(&system, token, "application/jwt").await;
        assert_eq!(
            (jwt.status(), jwt.text().await.unwrap().as_str()),
            (StatusCode::NO_CONTENT, "")
        );
        let signed = introspect(&system, token, "application/token-introspection+jwt").await;
        assert_eq!(signed.status(), StatusCode::OK);
        let claims = claims(&signed.text().await.unwrap());
        assert_eq!(
            claims["token_introspection"],
            serde_json::json!({"active": false})
        );
    }
}

/// I3, I4, P3, O9: who may not ask is told so, by Basic's own challenge where Basic was used.
#[tokio::test(flavor = "multi_thread")]
async fn introspects_for_nobody_who_does_not_prove_who_he_is() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    let url = at(system.authorization_server().port(), "/oauth/v2/oauth-introspect");
    let ask = || http(&system, None).post(&url).form(&[("token", token.as_str())]);
    let wrong = ask()
        .basic_auth("introspect-client", Some("wrong"))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert!(
        wrong.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic ")
    );
    let bearer = ask().bearer_auth(&token).send().await.unwrap();
    assert_eq!(bearer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(bearer.json::<Value>().await.unwrap()["error"], "invalid_client");
}

/// R1, R4, R11.
#[tokio::test(flavor = "multi_thread")]
async fn lets_only_its_owner_revoke_a_token() {
    let system = TestSystem::start().await;
    let (token, another) = (system.partner_token().await, system.partner_token().await);
    let foreign = system.other().revoke("other-client", &token).await;
    assert_eq!(foreign.error().as_deref(), Some("unauthorized_client"));
    let call = async |token: &str| {
        system
            .partner()
            .call(Some(token), Default::default())
            .await
            .status()
    };
    assert_eq!(call(&another).await, Some(StatusCode::OK));
    let still_active = introspect(&system, &token, "application/json")
        .await
        .json::<Value>()
        .await
        .unwrap();
    assert_eq!(still_active["active"], true);
    assert_eq!(
        system.partner().revoke("partner-client", &token).await.status(),
        Some(StatusCode::OK)
    );
    assert_eq!(call(&token).await, Some(StatusCode::UNAUTHORIZED));
    assert_eq!(call(&another).await, Some(StatusCode::OK));
}

/// The store is durable: another start on the same ground knows every token, and every revocation.
#[tokio::test(flavor = "multi_thread")]
async fn knows_its_tokens_and_revocations_after_a_restart() {
    let ground = integration_tests::Ground::new();
    let system = ground.start(Default::default()).await;
    let partner = system.actor(Some(Member::Example)).unwrap();
    let (kept, revoked) = (
        partner.request_token("partner-client").await,
        partner.request_token("partner-client").await,
    );
    let (kept, revoked) = (kept.access_token().unwrap(), revoked.access_token().unwrap());
    partner.revoke("partner-client", &revoked).await;
    let key_before = claims_header(&introspect_as_jwt(&system, &kept).await);
    system.stop().await.unwrap();

    let system = ground.start(Default::default()).await;
    let partner = system.actor(Some(Member::Example)).unwrap();
    assert_eq!(
        partner.call(Some(&kept), Default::default()).await.status(),
        Some(StatusCode::OK)
    );
    assert_eq!(
        partner.call(Some(&revoked), Default::default()).await.status(),
        Some(StatusCode::UNAUTHORIZED)
    );
    assert_eq!(
        claims_header(&introspect_as_jwt(&system, &kept).await),
        key_before,
        "the signing key stays"
    );
}

fn claims_header(jwt: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwt.split('.').next().unwrap()).unwrap()).unwrap()
}
