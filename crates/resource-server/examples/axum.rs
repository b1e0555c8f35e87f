//! A whole API: mutual TLS, certificate-bound tokens, a scope for each handler, and its metadata for everybody.
//!
//! With the demo running beside it (`cargo run -p demo -- --keep-running`), from the repository's root:
//!
//! ```text
//! cargo run -p resource-server --example axum
//! TOKEN=$(cargo run -q -p client -- token)
//! curl --cacert certs/root.pem --cert certs/example.client.pem --key certs/example.client.key \
//!     --header "Authorization: Bearer $TOKEN" https://localhost:3010/orders
//! ```
//!
//! The token is opaque, so the answer is a 401 that says where tokens are issued: an API behind a gateway is sent the
//! JWT that stands for it.

use axum::extract::State;
use axum::handler::Handler;
use axum::routing::get;
use axum::{Json, Router};
use mtls::{
    Alpn, ClientCertificatesSection, ClientTls, CrlPolicy, Presence, ServerFiles, ServerTls, Timeouts,
    TlsSection, TrustAnchors, bind, serve_tls,
};
use resource_server::{
    AccessTokenVerifier, Caller, Claims, ProtectedResourceMetadata, RemoteJwks, RequireScope,
    ResourceIdentifier, ResourceServer, SignatureAlgorithm,
};
use serde::Deserialize;

const ISSUER: &str = "https://login.example.com/oauth/v2/oauth-anonymous";
const JWKS_URI: &str = "https://localhost:8443/oauth/v2/oauth-anonymous/jwks";

/// A claim that the issuer may put into its tokens.
#[derive(Deserialize)]
struct Tenancy {
    tenant: Option<String>,
}

async fn list_orders(caller: Caller) -> String {
    format!("the orders of {}\n", caller.client_id)
}

async fn create_order(caller: Caller, Claims(Tenancy { tenant }): Claims<Tenancy>) -> String {
    let tenant = tenant.as_deref().unwrap_or("no tenant");
    format!("an order of {} for {tenant}\n", caller.client_id)
}

/// RFC 9728 §3: readable without a token.
async fn describe(State(metadata): State<ProtectedResourceMetadata>) -> Json<ProtectedResourceMetadata> {
    Json(metadata)
}

fn resource_server(resource: &ResourceIdentifier) -> anyhow::Result<ResourceServer> {
    let trust = TrustAnchors::from_pem_files(&["certs/root.pem".into()])?;
    let http_client = ClientTls::new(trust).http_client(Timeouts::default(), &[])?;
    let verifier = AccessTokenVerifier {
        issuer: ISSUER.into(),
        audiences: vec!["api.example.com".into()],
        algorithms: vec![SignatureAlgorithm::ES256],
    };
    Ok(ResourceServer::new(RemoteJwks::new(http_client, JWKS_URI), verifier).resource(resource))
}

fn router(resource: &ResourceIdentifier) -> anyhow::Result<Router> {
    let read = RequireScope::new("transactions".parse()?);
    let write = RequireScope::new("orders:write".parse()?);
    let orders = get(list_orders.layer(read)).post(create_order.layer(write));
    let metadata = ProtectedResourceMetadata {
        authorization_servers: vec![ISSUER.into()],
        tls_client_certificate_bound_access_tokens: true,
        ..ProtectedResourceMetadata::of(resource)
    };
    Ok(Router::new()
        .route("/orders", orders)
        // For every route above; what follows is for everybody.
        .route_layer(resource_server(resource)?.protect())
        .route(&resource.metadata_path(), get(describe))
        .with_state(metadata))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    mtls::install_crypto_provider();
    let resource = "https://localhost:3010".parse()?;
    let own = TlsSection {
        certificate: "certs/api-internal.tls.pem".into(),
        key: "certs/api-internal.tls.key".into(),
    };
    let clients = ClientCertificatesSection {
        trust: vec!["certs/root.pem".into()],
        crl: vec!["certs/root.crl.pem".into()],
        crl_policy: CrlPolicy::Require,
        require_client_eku: true,
    };
    // Optional: a caller without certificate learns from a 401 what is wrong, and can read the metadata.
    let files = ServerFiles::new(own).asking_for(clients, Presence::Optional);
    let tls = ServerTls::load(files, Alpn::Http2OrHttp1)?;
    let listener = bind("127.0.0.1:3010".parse()?, "the example's port")?;
    let stop = async {
        // Without signals there is no end but the process's.
        let _no_signal = tokio::signal::ctrl_c().await;
    };
    Ok(serve_tls(listener, tls, router(&resource)?, stop).await?)
}
