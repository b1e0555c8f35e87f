//! The token endpoint by the issuer's metadata.

use client::{Client, ClientConfiguration, ClientError, DiscoveryError, TokenEndpoint, TokenError};
use serde_json::json;

use crate::server::{API, Behaviour, ISSUER, Servers};

fn client_of(servers: &Servers, issuer: &str) -> Client {
    client_with(servers, TokenEndpoint::Issuer(issuer.into()))
}

fn client_with(servers: &Servers, token_endpoint: TokenEndpoint) -> Client {
    let configuration = servers.configuration(&servers.authority.client());
    Client::new(ClientConfiguration {
        token_endpoint,
        ..configuration
    })
    .unwrap()
}

/// M52, F10, user 51.
#[tokio::test]
async fn prefers_the_alias_for_mutual_tls() {
    let metadata = json!({
        "issuer": ISSUER,
        "token_endpoint": "https://login.example.com/elsewhere",
        "mtls_endpoint_aliases": { "token_endpoint": "https://mtls.example.com/token", "unheard_of": 1 },
    });
    let servers = Servers::start(Behaviour {
        metadata,
        ..Behaviour::default()
    });
    assert_eq!(
        client_of(&servers, ISSUER).token().await.unwrap().expose(),
        "token-1"
    );
}

/// M52.
#[tokio::test]
async fn takes_the_token_endpoint_where_there_is_no_alias() {
    let servers = Servers::start(Behaviour::default());
    assert_eq!(
        client_of(&servers, ISSUER).token().await.unwrap().expose(),
        "token-1"
    );
}

/// F10.
#[tokio::test]
async fn refuses_metadata_of_another_issuer_and_an_endpoint_without_tls() {
    let metadata = json!({ "issuer": "https://login.example.com/other", "token_endpoint": "https://login.example.com/token" });
    let servers = Servers::start(Behaviour {
        metadata,
        ..Behaviour::default()
    });
    let error = client_of(&servers, ISSUER).token().await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Token(TokenError::Discovery(DiscoveryError::OtherIssuer { .. }))
        ),
        "{error}"
    );

    let metadata = json!({ "issuer": ISSUER, "token_endpoint": "http://login.example.com/token" });
    let servers = Servers::start(Behaviour {
        metadata,
        ..Behaviour::default()
    });
    let error = client_of(&servers, ISSUER).token().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Token(TokenError::NotHttps { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn names_the_place_where_there_is_no_metadata() {
    let servers = Servers::start(Behaviour::default());
    let error = client_of(&servers, "https://login.example.com/nobody")
        .token()
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("/.well-known/oauth-authorization-server/nobody"),
        "{error}"
    );
}

/// What comes of a client that knows the API alone, which describes itself so.
async fn discovered_from(resource_metadata: serde_json::Value) -> Result<String, DiscoveryError> {
    let servers = Servers::start(Behaviour {
        resource_metadata,
        ..Behaviour::default()
    });
    let client = client_with(&servers, TokenEndpoint::Resource(API.parse().unwrap()));
    match client.token().await {
        Ok(token) => Ok(token.expose().to_owned()),
        Err(ClientError::Token(TokenError::Discovery(error))) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

/// S1, S2.
#[tokio::test]
async fn finds_the_issuer_that_the_api_names_first() {
    for resource_metadata in [
        json!({ "resource": API, "authorization_servers": [ISSUER] }),
        json!({ "resource": API, "authorization_servers": [ISSUER, "https://login.example.com/2"], "x": 1 }),
    ] {
        let token = discovered_from(resource_metadata).await;
        assert_eq!(token.as_deref(), Ok("token-1"));
    }
}

/// S2.
#[tokio::test]
async fn refuses_metadata_of_another_resource() {
    for resource in [
        "https://api.example.com",
        "https://api.example.com/api/",
        "https://other.example.com/api",
    ] {
        let other = json!({ "resource": resource, "authorization_servers": [ISSUER] });
        let error = discovered_from(other).await.unwrap_err();
        assert!(matches!(error, DiscoveryError::OtherResource { .. }), "{error}");
    }
}

#[tokio::test]
async fn says_what_the_metadata_of_the_api_lacks() {
    let error = discovered_from(json!({ "resource": API })).await.unwrap_err();
    assert!(matches!(error, DiscoveryError::NoIssuer { .. }), "{error}");
    let error = discovered_from(json!(["nothing"])).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("https://api.example.com/.well-known/oauth-protected-resource/api"),
        "{error}"
    );
}
