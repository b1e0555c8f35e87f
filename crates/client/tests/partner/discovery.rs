//! The token endpoint by the issuer's metadata.

use client::{Client, ClientConfiguration, ClientError, DiscoveryError, TokenEndpoint, TokenError};
use serde_json::json;

use crate::server::{Behaviour, ISSUER, Servers};

fn client_of(servers: &Servers, issuer: &str) -> Client {
    let configuration = servers.configuration(&servers.authority.client());
    let token_endpoint = TokenEndpoint::Issuer(issuer.into());
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
