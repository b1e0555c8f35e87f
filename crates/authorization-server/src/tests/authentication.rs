//! Clients that authenticate by an assertion, by a self-signed certificate or under trust anchors of their own.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use oauth_core::access_token::AccessToken;
use oauth_core::certificate::ClientCertificate;
use oauth_core::confirmation::Confirmation;
use oauth_core::jwt::{ClientAssertionClaims, SignatureAlgorithm, SigningKey};
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::published::Partner;
use super::{Answer, DEMO, FORM, Harness, MORE_CLIENTS, authority, certificate, issued, now};
use crate::configuration::Configuration;
use crate::metadata;
use crate::registrations::Registrations;
use crate::router::{INTROSPECTION, REVOCATION, TOKEN};

const ISSUER: &str = "https://login.example.com/oauth/v2/oauth-anonymous";
const TOKEN_REQUEST: &str = "grant_type=client_credentials";

/// A registration in TOML, with the JWKS as JSON text.
pub(super) fn registration(client_id: &str, method: &str, jwks: &Value) -> String {
    format!(
        "\n[[clients]]\nclient_id = \"{client_id}\"\ntoken_endpoint_auth_method = \"{method}\"\njwks = '{jwks}'\n\
         grant_types = [\"client_credentials\"]\nscope = \"transactions\"\naudience = \"api.example.com\"\n\
         resource_server = \"api.example.com\"\n"
    )
}

/// A client registered for `private_key_jwt`.
pub(super) struct Asserting {
    pub(super) harness: Harness,
    pub(super) key: SigningKey,
}

impl Asserting {
    fn new() -> Self {
        let (key, text) = Self::registered();
        let harness = Harness::configured(&text);
        Self { harness, key }
    }

    /// The client's key, and a configuration that knows it.
    pub(super) fn registered() -> (SigningKey, String) {
        let pem = KeyPair::generate().unwrap().serialize_pem();
        let key = SigningKey::from_pkcs8_pem(pem.as_bytes(), SignatureAlgorithm::ES256).unwrap();
        let jwks = json!({ "keys": [key.public_jwk().unwrap()] });
        let client = registration("asserting", "private_key_jwt", &jwks);
        (key, format!("{DEMO}{MORE_CLIENTS}{client}"))
    }

    pub(super) fn assertion(&self, change: impl FnOnce(&mut ClientAssertionClaims)) -> String {
        let mut claims = ClientAssertionClaims {
            iss: "asserting".to_owned(),
            sub: "asserting".to_owned(),
            aud: ISSUER.to_owned(),
            exp: now().plus(Duration::from_secs(60)),
            iat: Some(now()),
            nbf: None,
            jti: Uuid::new_v4().to_string(),
        };
        change(&mut claims);
        claims.sign(&self.key).unwrap()
    }

    async fn send(
        &self,
        path: &str,
        parameters: &str,
        assertion: &str,
        certificate: Option<&ClientCertificate>,
    ) -> Answer {
        let request = asserted(path, parameters, assertion);
        self.harness.send(request, certificate).await
    }
}

pub(super) fn asserted(path: &str, parameters: &str, assertion: &str) -> Request<Body> {
    let body = format!(
        "{parameters}&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer\
         &client_assertion={assertion}"
    );
    form(path, body)
}

fn form(path: &str, body: String) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, FORM)
        .body(body.into())
        .unwrap()
}

/// K1, K5, K9, F14, X3: authenticated by the assertion, bound to the certificate.
#[tokio::test]
async fn issues_a_token_for_an_assertion_and_binds_it_to_the_connections_certificate() {
    let client = Asserting::new();
    let (_, self_issued, _) = self_signed("whoever", |_| ());
    for certificate in [certificate("whoever"), self_issued] {
        let assertion = client.assertion(|_| ());
        let answer = client
            .send(TOKEN, TOKEN_REQUEST, &assertion, Some(&certificate))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let token = AccessToken::parse(answer.json()["access_token"].as_str().unwrap()).unwrap();
        let record = client.harness.server.tokens.find(&token).await.unwrap().unwrap();
        assert_eq!(record.client_id, "asserting");
        assert_eq!(record.confirmation, Some(Confirmation::of(&certificate)));
    }
}

/// K9, M32, F14: never an unbound token, whatever the assertion.
#[tokio::test]
async fn refuses_an_assertion_without_a_certificate_to_bind_the_token_to() {
    let client = Asserting::new();
    let assertion = client.assertion(|_| ());
    let answer = client.send(TOKEN, TOKEN_REQUEST, &assertion, None).await;
    assert_eq!(
        answer.refusal(),
        (400, "invalid_request".into(), "invalid_request")
    );
    assert_eq!(
        answer.json()["error_description"],
        "certificate required for bound token"
    );
}

/// K10: with and without mutual TLS.
#[tokio::test]
async fn accepts_assertions_at_introspection_and_revocation() {
    let client = Asserting::new();
    let token = client
        .harness
        .stored_token(|record| record.client_id = "asserting".to_owned())
        .await;
    let parameters = format!("token={token}");
    for (path, expected) in [(INTROSPECTION, true), (REVOCATION, true), (INTROSPECTION, false)] {
        let assertion = client.assertion(|_| ());
        let answer = client.send(path, &parameters, &assertion, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        if path == INTROSPECTION {
            assert_eq!(answer.json()["active"], expected);
        }
    }
}

/// K7: whichever endpoint saw it first.
#[tokio::test]
async fn refuses_an_assertion_that_was_used_before() {
    let client = Asserting::new();
    let partner = certificate("demo-partner");
    let assertion = client.assertion(|_| ());
    let answer = client
        .send(TOKEN, TOKEN_REQUEST, &assertion, Some(&partner))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    for (path, parameters) in [
        (TOKEN, TOKEN_REQUEST),
        (INTROSPECTION, "token=x"),
        (REVOCATION, "token=x"),
    ] {
        let answer = client.send(path, parameters, &assertion, Some(&partner)).await;
        assert_eq!(
            answer.refusal(),
            (401, "invalid_client".into(), "assertion_replayed"),
            "{path}"
        );
    }
}

/// K3, K4, K5, K6, F7.
#[tokio::test]
async fn refuses_assertions_that_prove_nothing_all_alike() {
    let client = Asserting::new();
    let partner = certificate("demo-partner");
    let foreign = Asserting::new();
    let token_endpoint = "https://login.example.com/oauth/v2/oauth-token-mutual-tls";
    let mut bodies = Vec::new();
    for (assertion, reason) in [
        (
            client.assertion(|claims| claims.aud = token_endpoint.to_owned()),
            "assertion_for_other_audience",
        ),
        (
            client.assertion(|claims| claims.iss = "other-client".to_owned()),
            "assertion_of_other_client",
        ),
        (
            client.assertion(|claims| claims.exp = now().minus(Duration::from_secs(1))),
            "assertion_expired",
        ),
        (
            client.assertion(|claims| claims.exp = now().plus(Duration::from_secs(600))),
            "assertion_too_long",
        ),
        (foreign.assertion(|_| ()), "assertion_unknown_key"),
        (
            client.assertion(|claims| claims.sub = "nobody".to_owned()),
            "unknown_client",
        ),
        ("x.y.z".to_owned(), "assertion_malformed"),
    ] {
        let answer = client
            .send(TOKEN, TOKEN_REQUEST, &assertion, Some(&partner))
            .await;
        assert_eq!(answer.refusal(), (401, "invalid_client".into(), reason));
        assert_eq!(answer.header(header::WWW_AUTHENTICATE), None);
        bodies.push(answer.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

/// K2, O7, O11.
#[tokio::test]
async fn refuses_assertions_of_another_type_beside_others_and_none_at_all() {
    let client = Asserting::new();
    let partner = certificate("demo-partner");
    let assertion = client.assertion(|_| ());
    let untyped = form(TOKEN, format!("{TOKEN_REQUEST}&client_assertion={assertion}"));
    let answer = client.harness.send(untyped, Some(&partner)).await;
    assert_eq!(
        answer.refusal(),
        (400, "invalid_request".into(), "assertion_type")
    );
    let parameters = format!("{TOKEN_REQUEST}&client_secret=x");
    let answer = client.send(TOKEN, &parameters, &assertion, Some(&partner)).await;
    assert_eq!(answer.refusal(), (400, "invalid_request".into(), "two_methods"));
    let public = form(TOKEN, format!("{TOKEN_REQUEST}&client_id=asserting"));
    let answer = client.harness.send(public, Some(&partner)).await;
    assert_eq!(answer.refusal(), (401, "invalid_client".into(), "other_method"));
}

/// A self-signed certificate of that name with its key, and the JWKS that registers it.
pub(super) fn self_signed(
    common_name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> (KeyPair, ClientCertificate, Value) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    let (x, y) = key.der_bytes()[1..].split_at(32);
    let [x, y] = [x, y].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "x5c": [STANDARD.encode(&der)] });
    (
        key,
        ClientCertificate::from_der(&der).unwrap(),
        json!({ "keys": [jwk] }),
    )
}

/// M16, M17, T17.
#[tokio::test]
async fn knows_a_client_by_its_registered_self_signed_certificate_alone() {
    let (_, mine, jwks) = self_signed("demo-partner", |_| ());
    let (_, twin, _) = self_signed("demo-partner", |_| ());
    let client = registration("self-signed", "self_signed_tls_client_auth", &jwks);
    let harness = Harness::configured(&format!("{DEMO}{client}"));
    let request = |client_id: &str| form(TOKEN, format!("{TOKEN_REQUEST}&client_id={client_id}"));
    let answer = harness.send(request("self-signed"), Some(&mine)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    for (client_id, certificate, reason) in [
        ("self-signed", Some(&twin), "other_certificate"),
        ("self-signed", None, "no_certificate"),
        ("partner-client", Some(&mine), "self_signed"),
    ] {
        let answer = harness.send(request(client_id), certificate).await;
        assert_eq!(answer.refusal(), (401, "invalid_client".into(), reason));
    }
}

/// M16: no authority looks after its dates, so we do.
#[tokio::test]
async fn refuses_a_registered_self_signed_certificate_that_has_expired() {
    let past = SystemTime::now() - Duration::from_secs(60);
    let (_, expired, jwks) = self_signed("demo-partner", |params| params.not_after = past.into());
    let client = registration("self-signed", "self_signed_tls_client_auth", &jwks);
    let harness = Harness::configured(&format!("{DEMO}{client}"));
    let request = form(TOKEN, format!("{TOKEN_REQUEST}&client_id=self-signed"));
    let answer = harness.send(request, Some(&expired)).await;
    assert_eq!(answer.refusal(), (401, "invalid_client".into(), "no_certificate"));
}

/// M14: both authorities have the same name, and a client without anchors of its own takes either.
#[tokio::test]
async fn knows_a_client_only_under_its_own_trust_anchors() {
    let directory = TempDir::new().unwrap();
    let (mine, namesake) = (authority("root"), authority("root"));
    let file = directory.path().join("mine.pem");
    std::fs::write(&file, mine.pem()).unwrap();
    let pinned = format!(
        "\n[[clients]]\nclient_id = \"pinned\"\ntoken_endpoint_auth_method = \"tls_client_auth\"\n\
         tls_client_auth_subject_dn = \"CN=demo-partner\"\ntrust = [\"{}\"]\n\
         grant_types = [\"client_credentials\"]\nscope = \"transactions\"\naudience = \"api.example.com\"\n",
        file.display()
    );
    let text = format!("{DEMO}{pinned}");
    let harness = Harness::configured(&text);
    let configuration = Configuration::from_toml(&text).unwrap();
    harness
        .server
        .register_anew(Registrations::load(&configuration).unwrap());

    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "demo-partner");
    let request = |client_id: &str| form(TOKEN, format!("{TOKEN_REQUEST}&client_id={client_id}"));
    let answer = harness
        .send(request("pinned"), Some(&issued(&params, &mine)))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let impostor = issued(&params, &namesake);
    let answer = harness.send(request("pinned"), Some(&impostor)).await;
    assert_eq!(answer.refusal(), (401, "invalid_client".into(), "other_anchor"));
    let answer = harness.send(request("partner-client"), Some(&impostor)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

/// M14: fails closed.
#[tokio::test]
async fn refuses_a_client_whose_own_trust_anchors_are_not_loaded() {
    let pinned = DEMO.replacen(
        "tls_client_auth_subject_dn = \"CN=demo-partner\"",
        "tls_client_auth_subject_dn = \"CN=demo-partner\"\ntrust = [\"absent.pem\"]",
        1,
    );
    let request = form(TOKEN, format!("{TOKEN_REQUEST}&client_id=partner-client"));
    let answer = Harness::configured(&pinned)
        .send(request, Some(&certificate("demo-partner")))
        .await;
    assert_eq!(answer.refusal(), (401, "invalid_client".into(), "other_anchor"));
}

/// M54, D5, D6, D7.
#[test]
fn metadata_lists_the_methods_of_registered_clients_and_algorithms_where_they_are_needed() {
    let (_, _, jwks) = self_signed("demo-partner", |_| ());
    let with = |client: &str| {
        let configuration = Configuration::from_toml(&format!("{DEMO}{client}")).unwrap();
        let document = metadata::document(&configuration, &configuration.clients, &[]);
        serde_json::to_value(document).unwrap()
    };
    let self_signed = with(&registration("one", "self_signed_tls_client_auth", &jwks));
    assert_eq!(
        self_signed["token_endpoint_auth_methods_supported"],
        json!(["tls_client_auth", "self_signed_tls_client_auth"])
    );
    let asserting = with(&registration("one", "private_key_jwt", &jwks));
    for endpoint in ["token", "introspection", "revocation"] {
        let algorithms = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
        assert!(self_signed.get(&algorithms).is_none());
        assert_eq!(
            asserting[&algorithms],
            json!(["ES256", "PS256", "RS256", "EdDSA"])
        );
        let methods = asserting[format!("{endpoint}_endpoint_auth_methods_supported")]
            .as_array()
            .unwrap();
        assert!(methods.contains(&json!("private_key_jwt")), "{methods:?}");
        assert!(!methods.contains(&json!("self_signed_tls_client_auth")));
    }
    let disabled = with(&format!(
        "{}disabled = true\n",
        registration("one", "private_key_jwt", &jwks)
    ));
    assert_eq!(disabled, with(""));
}

/// F6, F12, K6: a published key for an algorithm that the profile does not admit is worth nothing.
#[tokio::test]
async fn refuses_under_the_profile_fapi2_an_assertion_that_it_does_not_admit() {
    let pem = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256)
        .unwrap()
        .serialize_pem();
    for (algorithm, status) in [(SignatureAlgorithm::PS256, 200), (SignatureAlgorithm::RS256, 401)] {
        let key = SigningKey::from_pkcs8_pem(pem.as_bytes(), algorithm).unwrap();
        let partner = Partner::publishing(json!({ "keys": [key.public_jwk().unwrap()] })).await;
        let text = partner.configuration("private_key_jwt");
        let (admitted, _) = text
            .split_once("[[clients]]\nclient_id = \"introspect-client\"")
            .unwrap();
        let (_, publishing) = text
            .split_once("[[clients]]\nclient_id = \"publishing\"")
            .unwrap();
        let text =
            format!("profile = \"fapi2\"\n{admitted}[[clients]]\nclient_id = \"publishing\"{publishing}");
        let client = Asserting {
            harness: Harness::configured(&text),
            key,
        };
        let configuration = Configuration::from_toml(&text).unwrap();
        client
            .harness
            .server
            .register_anew(Registrations::load(&configuration).unwrap());
        let assertion = client.assertion(|claims| {
            claims.iss = "publishing".to_owned();
            claims.sub = "publishing".to_owned();
        });
        let answer = client
            .send(TOKEN, TOKEN_REQUEST, &assertion, Some(&certificate("whoever")))
            .await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
        if status == 401 {
            assert_eq!(answer.refusal().2, "assertion_algorithm");
        }
        let document = metadata::document(&configuration, &configuration.clients, &[]);
        assert_eq!(
            document.token_endpoint_auth_signing_alg_values_supported,
            ["ES256", "PS256", "EdDSA"]
        );
    }
}
