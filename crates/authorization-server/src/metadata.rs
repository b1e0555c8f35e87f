//! What the server says of itself, as it stands now: its metadata and its public keys.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use oauth_core::client::{ClientRegistration, ClientRegistry};
use oauth_core::jwt::SignatureAlgorithm;
use oauth_core::metadata::{AuthorizationServerMetadata, MtlsEndpointAliases};
use oauth_core::time::Timestamp;

use crate::configuration::{Configuration, Profile};
use crate::response::{self, Cause, JSON, Refusal};
use crate::router::{INTROSPECTION, REVOCATION, TOKEN};
use crate::server::AuthorizationServer;

/// Clients need not ask more often; keys they do not know they fetch at once.
const CACHE_CONTROL: [(HeaderName, HeaderValue); 1] = [(
    header::CACHE_CONTROL,
    HeaderValue::from_static("public, max-age=300"),
)];

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
    let profile = configuration.profile;
    let at_token_endpoint = AuthenticationMethods::of(clients, profile, |client| client.grant.is_some());
    let introspecting =
        AuthenticationMethods::of(clients, profile, |client| client.resource_server.is_some());
    let any = AuthenticationMethods::of(clients, profile, |_| true);
    AuthorizationServerMetadata {
        issuer: issuer.as_str().to_owned(),
        token_endpoint: url(TOKEN),
        jwks_uri: Some(url(&issuer.jwks_path())),
        introspection_endpoint: Some(url(INTROSPECTION)),
        revocation_endpoint: Some(url(REVOCATION)),
        // Required, and never empty: there is no authorization endpoint, so no response type either. RFC 8414 §2
        response_types_supported: vec!["none".to_owned()],
        grant_types_supported: vec!["client_credentials".to_owned()],
        token_endpoint_auth_methods_supported: at_token_endpoint.names,
        token_endpoint_auth_signing_alg_values_supported: at_token_endpoint.signing_algorithms,
        introspection_endpoint_auth_methods_supported: introspecting.names,
        introspection_endpoint_auth_signing_alg_values_supported: introspecting.signing_algorithms,
        revocation_endpoint_auth_methods_supported: any.names,
        revocation_endpoint_auth_signing_alg_values_supported: any.signing_algorithms,
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

/// How the clients of an endpoint authenticate.
struct AuthenticationMethods {
    names: Vec<String>,
    signing_algorithms: Vec<String>,
}

impl AuthenticationMethods {
    /// What is registered is offered, and nothing else; where nobody is registered, what the first client would use.
    ///
    /// RFC 8414 §2
    fn of(
        clients: &ClientRegistry,
        profile: Profile,
        at_endpoint: impl Fn(&ClientRegistration) -> bool,
    ) -> Self {
        const IN_ORDER: [&str; 4] = [
            "tls_client_auth",
            "self_signed_tls_client_auth",
            "private_key_jwt",
            "client_secret_basic",
        ];
        let enabled = clients.enabled().filter(|client| at_endpoint(client));
        let registered: HashSet<_> = enabled.map(|client| client.authentication.as_str()).collect();
        let is_offered =
            |name: &str| registered.contains(name) || (registered.is_empty() && name == "tls_client_auth");
        let algorithms = SignatureAlgorithm::ALL
            .into_iter()
            .filter(|algorithm| profile.admits(*algorithm));
        Self {
            names: IN_ORDER
                .into_iter()
                .filter(|name| is_offered(name))
                .map(str::to_owned)
                .collect(),
            signing_algorithms: if registered.contains("private_key_jwt") {
                algorithms
                    .map(|algorithm| algorithm.as_str().to_owned())
                    .collect()
            } else {
                Vec::new()
            },
        }
    }
}

fn scopes(clients: &ClientRegistry) -> Vec<String> {
    let grants = clients.enabled().filter_map(|client| client.grant.as_ref());
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
    let document = document(
        &server.configuration,
        &server.registrations().clients,
        &algorithms,
    );
    response::json(JSON, CACHE_CONTROL, &document)
}

/// `GET` on the JWKS.
pub(crate) async fn handle_jwks(State(server): State<Arc<AuthorizationServer>>) -> Response {
    if server.signing_keys.is_empty() {
        // An empty set would be believed, and kept.
        return Refusal::from(Cause::NoKeys).into_response();
    }
    response::answer(JSON, CACHE_CONTROL, server.signing_keys.jwks())
}
