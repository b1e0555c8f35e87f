//! Our gateway and our authorization server in every language they share, and by every proof of who asks.

use demo::{configuration::Settings, system::System};
use integration_tests::{Ground, upstream::RecordingUpstream};
use oauth_core::jwt::{SignatureAlgorithm, SigningKey};
use pki::{KeyAlgorithm, Member, PrivateKey};
use reqwest::{StatusCode, header::HeaderMap};

async fn start(ground: &Ground, introspection: String, clients: String) -> (System, RecordingUpstream) {
    let upstream = RecordingUpstream::start(ground, HeaderMap::new());
    let settings = Settings {
        gateway_introspection: Some(introspection),
        gateway_upstream: Some(upstream.url()),
        clients,
        ..Settings::default()
    };
    (ground.start(settings).await, upstream)
}

/// The holder is let in and the thief is not; what the API was asked by the one of them.
async fn asked_by_holder_alone(system: &System, upstream: &RecordingUpstream) -> HeaderMap {
    let holder = system.actor(Some(Member::Example)).unwrap();
    let token = holder
        .request_token("partner-client")
        .await
        .access_token()
        .unwrap();
    let answer = holder.call(Some(&token), HeaderMap::new()).await;
    assert_eq!(answer.status(), Some(StatusCode::OK), "{answer}");
    let thief = system.actor(Some(Member::Other)).unwrap();
    let answer = thief.call(Some(&token), HeaderMap::new()).await;
    assert_eq!(answer.status(), Some(StatusCode::UNAUTHORIZED), "{answer}");
    let made_up = holder.call(Some("made-up"), HeaderMap::new()).await;
    assert_eq!(made_up.status(), Some(StatusCode::UNAUTHORIZED), "{made_up}");
    let requests = upstream.requests();
    let [request] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    assert!(!format!("{:?}", request.headers).contains(&token));
    request.headers.clone()
}

/// I1, I5, M33, M35, M36, O8, P4, P9: JSON, by a secret.
#[tokio::test(flavor = "multi_thread")]
async fn json_by_a_secret() {
    let ground = Ground::new();
    let secret = ground.path().join("secret");
    std::fs::write(&secret, "Password1\n").unwrap();
    let introspection = format!(
        r#"
        client_id = "introspect-client"
        representation = "json"
        endpoint_auth_method = "client_secret_basic"
        client_secret_file = {secret:?}
        "#
    );
    let (system, upstream) = start(&ground, introspection, String::new()).await;
    let headers = asked_by_holder_alone(&system, &upstream).await;
    assert!(!headers.contains_key("authorization"));
    assert_eq!(headers["token-introspection-client-id"], "partner-client");
    assert_eq!(headers["token-introspection-scope"], "transactions");
}

/// J1, J2, J4, M35, M36: signed, by the connection's certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_answer_by_a_certificate() {
    let ground = Ground::new();
    let introspection = r#"
        client_id = "gateway"
        representation = "introspection-jwt"
        response_audience = "api.example.com"
    "#;
    let (system, upstream) = start(&ground, introspection.to_owned(), String::new()).await;
    let headers = asked_by_holder_alone(&system, &upstream).await;
    assert!(!headers.contains_key("authorization"));
    assert_eq!(
        headers["token-introspection"]
            .to_str()
            .unwrap()
            .split('.')
            .count(),
        3
    );
}

/// K1, K3, K5, K7, K10, P1, P9: the access token as a JWT, by an assertion.
#[tokio::test(flavor = "multi_thread")]
async fn the_access_token_by_an_assertion() {
    let ground = Ground::new();
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap().pem();
    let file = ground.path().join("assertion.key");
    std::fs::write(&file, key.as_bytes()).unwrap();
    let key = SigningKey::from_pkcs8_pem(key.as_bytes(), SignatureAlgorithm::ES256).unwrap();
    let clients = format!(
        r#"
        [[clients]]
        client_id = "asserting-gateway"
        token_endpoint_auth_method = "private_key_jwt"
        jwks = {{ keys = [{}] }}
        resource_server = "api.example.com"
        "#,
        toml_of(&key.public_jwk().unwrap())
    );
    let introspection = format!(
        r#"
        client_id = "asserting-gateway"
        endpoint_auth_method = "private_key_jwt"
        client_assertion_key = {file:?}
        "#
    );
    let (system, upstream) = start(&ground, introspection, clients).await;
    let headers = asked_by_holder_alone(&system, &upstream).await;
    let authorization = headers["authorization"].to_str().unwrap();
    assert_eq!(
        authorization.strip_prefix("Bearer ").unwrap().split('.').count(),
        3
    );
}

/// A flat JSON object as an inline table.
fn toml_of(object: &serde_json::Value) -> String {
    let members = object.as_object().unwrap().iter();
    let members: Vec<_> = members.map(|(name, value)| format!("{name} = {value}")).collect();
    format!("{{ {} }}", members.join(", "))
}
