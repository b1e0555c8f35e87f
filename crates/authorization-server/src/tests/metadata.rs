//! Metadata and JWKS.

use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::{DEMO, Harness, MORE_CLIENTS, request};
use crate::{Configuration, metadata};

const METADATA: &str = "/.well-known/oauth-authorization-server/oauth/v2/oauth-anonymous";
const OPENID_CONFIGURATION: &str = "/oauth/v2/oauth-anonymous/.well-known/openid-configuration";
const JWKS: &str = "/oauth/v2/oauth-anonymous/jwks";

fn document(toml: &str) -> Value {
    let configuration = Configuration::from_toml(toml).unwrap();
    let algorithms = [configuration.signing.algorithm];
    serde_json::to_value(metadata::document(
        &configuration,
        &configuration.clients,
        &algorithms,
    ))
    .unwrap()
}

/// D1, F2.
#[tokio::test]
async fn is_at_both_well_known_paths_on_both_listeners() {
    let harness = Harness::new();
    for path in [METADATA, OPENID_CONFIGURATION] {
        let get = || request(Method::GET, path);
        for answer in [
            harness.send(get(), None).await,
            harness.send_without_mutual_tls(get()).await,
        ] {
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            assert_eq!(answer.header(header::CONTENT_TYPE), Some("application/json"));
            assert_eq!(answer.json(), document(&format!("{DEMO}{MORE_CLIENTS}")));
        }
    }
}

/// D2 to D5, D7, D9, M50, M51, M54, J10, R10.
#[test]
fn says_what_the_server_offers_and_nothing_else() {
    let [token, introspection, revocation] = ["oauth-token-mutual-tls", "oauth-introspect", "oauth-revoke"]
        .map(|name| format!("https://login.example.com/oauth/v2/{name}"));
    let methods = json!(["tls_client_auth", "client_secret_basic"]);
    assert_eq!(
        document(DEMO),
        json!({
            "issuer": "https://login.example.com/oauth/v2/oauth-anonymous",
            "token_endpoint": token,
            "jwks_uri": "https://login.example.com/oauth/v2/oauth-anonymous/jwks",
            "introspection_endpoint": introspection,
            "revocation_endpoint": revocation,
            "response_types_supported": ["none"],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["tls_client_auth"],
            "introspection_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_methods_supported": methods,
            "introspection_signing_alg_values_supported": ["ES256"],
            "scopes_supported": ["transactions"],
            "tls_client_certificate_bound_access_tokens": true,
            "mtls_endpoint_aliases": {
                "token_endpoint": token,
                "introspection_endpoint": introspection,
                "revocation_endpoint": revocation,
            },
        })
    );
}

/// M54.
#[test]
fn offers_secrets_at_the_token_endpoint_only_where_a_client_may_use_one_there() {
    let document = document(&format!("{DEMO}{MORE_CLIENTS}"));
    assert_eq!(
        document["token_endpoint_auth_methods_supported"],
        json!(["tls_client_auth", "client_secret_basic"])
    );
}

/// D9, I5: what a disabled client might ask for is offered to nobody.
#[test]
fn lists_the_scopes_that_enabled_clients_may_ask_for_and_no_others() {
    let document = document(&format!("{DEMO}{MORE_CLIENTS}"));
    assert_eq!(document["scopes_supported"], json!(["accounts", "transactions"]));
}

/// D9.
#[test]
fn leaves_out_what_would_be_empty() {
    let (without_clients, _) = DEMO.split_once("[[clients]]").unwrap();
    let document = document(without_clients);
    assert!(document.get("scopes_supported").is_none());
    assert!(
        document
            .as_object()
            .unwrap()
            .values()
            .all(|member| *member != json!([]))
    );
}

/// D8, F13.
#[tokio::test]
async fn publishes_public_keys_alone_on_both_listeners() {
    let harness = Harness::new();
    let get = || request(Method::GET, JWKS);
    for answer in [
        harness.send(get(), None).await,
        harness.send_without_mutual_tls(get()).await,
    ] {
        assert_eq!(
            (answer.status, answer.header(header::CONTENT_TYPE)),
            (StatusCode::OK, Some("application/json"))
        );
        let json = answer.json();
        let [current, next] = json["keys"].as_array().unwrap().as_slice() else {
            panic!("{json}")
        };
        assert_ne!(current["kid"], next["kid"]);
        for key in [current, next] {
            let members: Vec<_> = key.as_object().unwrap().keys().collect();
            assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
            assert_eq!((&key["alg"], &key["use"]), (&json!("ES256"), &json!("sig")));
        }
    }
}

#[tokio::test]
async fn refuses_every_method_but_get() {
    let answer = Harness::new().send(request(Method::POST, METADATA), None).await;
    assert_eq!(
        answer.refusal(),
        (405, "invalid_request".into(), "method_not_allowed")
    );
    assert_eq!(answer.header(header::ALLOW), Some("GET,HEAD"));
}
