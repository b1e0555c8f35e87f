//! What the server says of itself, as it stands now: its metadata and its public keys.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use oauth_core::client::{ClientAuthenticationMethod, ClientRegistry};
use oauth_core::jwt::SignatureAlgorithm;
use oauth_core::metadata::{AuthorizationServerMetadata, MtlsEndpointAliases};
use oauth_core::time::Timestamp;

use crate::configuration::Configuration;
use crate::router::{INTROSPECTION, REVOCATION, TOKEN};
use crate::server::AuthorizationServer;

/// Clients need not ask more often; keys they do not know they fetch at once.
const CACHE_CONTROL: &str = "public, max-age=300";

/// The metadata document.
///
/// [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2), RFC 8705 §3.3 and §5
pub(crate) fn document(
    configuration: &Configuration,
    clients: &ClientRegistry,
    algorithms: &[SignatureAlgorithm],
) -> AuthorizationServerMetadata {
    let issuer = &configuration.issuer;
    let url = |path| issuer.url_of(path);
    let any_method = || vec!["tls_client_auth".to_owned(), "client_secret_basic".to_owned()];
    AuthorizationServerMetadata {
        issuer: issuer.as_str().to_owned(),
        token_endpoint: url(TOKEN),
        jwks_uri: Some(url(&issuer.jwks_path())),
        introspection_endpoint: Some(url(INTROSPECTION)),
        revocation_endpoint: Some(url(REVOCATION)),
        // Required, and never empty: there is no authorization endpoint, so no response type either. RFC 8414 §2
        response_types_supported: vec!["none".to_owned()],
        grant_types_supported: vec!["client_credentials".to_owned()],
        token_endpoint_auth_methods_supported: token_endpoint_auth_methods(clients),
        introspection_endpoint_auth_methods_supported: any_method(),
        revocation_endpoint_auth_methods_supported: any_method(),
        introspection_signing_alg_values_supported: algorithms
            .iter()
            .map(|algorithm| algorithm.as_str().to_owned())
            .collect(),
        scopes_supported: scopes(clients),
        tls_client_certificate_bound_access_tokens: true,
        mtls_endpoint_aliases: Some(MtlsEndpointAliases {
            token_endpoint: Some(url(TOKEN)),
            introspection_endpoint: Some(url(INTROSPECTION)),
            revocation_endpoint: Some(url(REVOCATION)),
        }),
    }
}

/// A secret is offered only where a client that may obtain tokens is registered for one.
fn token_endpoint_auth_methods(clients: &ClientRegistry) -> Vec<String> {
    let mut methods = vec!["tls_client_auth".to_owned()];
    let by_secret = clients.iter().any(|client| {
        client.grant.is_some()
            && matches!(
                client.authentication,
                ClientAuthenticationMethod::ClientSecretBasic(_)
            )
    });
    if by_secret {
        methods.push("client_secret_basic".to_owned());
    }
    methods
}

fn scopes(clients: &ClientRegistry) -> Vec<String> {
    let grants = clients.iter().filter_map(|client| client.grant.as_ref());
    let mut scopes: Vec<_> = grants
        .flat_map(|grant| grant.scope.tokens().map(str::to_owned))
        .collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// `GET` on either well-known path.
pub(crate) async fn handle(State(server): State<Arc<AuthorizationServer>>) -> Response {
    let algorithms = server.signing_keys.algorithms(Timestamp::from(SystemTime::now()));
    let document = document(&server.configuration, &server.clients(), &algorithms);
    ([(header::CACHE_CONTROL, CACHE_CONTROL)], Json(document)).into_response()
}

/// `GET` on the JWKS.
pub(crate) async fn handle_jwks(State(server): State<Arc<AuthorizationServer>>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, CACHE_CONTROL),
    ];
    (headers, server.signing_keys.jwks()).into_response()
}
