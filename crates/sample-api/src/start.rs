//! From a checked configuration to a service that listens.

use std::time::SystemTime;

use anyhow::Context;
use jwks::RemoteJwks;
use mtls::{Alpn, ClientCertificates, ClientTls, Timeouts, Verification, serve_tls, server_config};
use oauth_core::time::Timestamp;
use resource_server::ResourceServer;
use service::{Readiness, Running, Shutdown};

use crate::configuration::Configuration;
use crate::router::router;

/// Starts the API; its listeners are named `tls` and `admin`. The issuer need not be up yet: its keys are fetched
/// with the first token.
///
/// # Errors
///
/// When an address cannot be listened on, or a certificate cannot be used.
pub async fn start(configuration: Configuration, shutdown: Shutdown) -> anyhow::Result<Running> {
    let client_certificates = ClientCertificates::Required(configuration.verification.clone());
    let tls = server_config(
        &configuration.credentials,
        &client_certificates,
        Alpn::Http2OrHttp1,
    )
    .context("tls")?;
    let router = router(&resource_server(&configuration)?)?;
    let listener = mtls::bind(configuration.listen.tls, "listen.tls")?;
    let admin = mtls::bind(configuration.listen.admin, "listen.admin")?;

    let mut running = Running::new(shutdown.clone());
    running.add_address("tls", listener.local_addr().context("listen.tls has no address")?);
    running.serve_admin(admin, readiness(&configuration.verification, shutdown.clone()))?;
    running.spawn("the API's listener", async move {
        Ok(serve_tls(listener, tls, router, shutdown.requested()).await?)
    });
    Ok(running)
}

fn resource_server(configuration: &Configuration) -> anyhow::Result<ResourceServer> {
    let http_client = ClientTls::new(configuration.outbound_trust.clone())
        .http_client(Timeouts::default(), &[])
        .context("outbound_tls")?;
    let keys = RemoteJwks::new(http_client, configuration.jwks_uri.clone());
    let resource_server = ResourceServer::new(keys, configuration.access_tokens.clone());
    Ok(resource_server.certificates(configuration.certificate_source.clone()))
}

/// An expired revocation list lets nobody in any more; whoever operates the API is to learn of it before the partners
/// do.
fn readiness(verification: &Verification, shutdown: Shutdown) -> Readiness {
    let readiness = Readiness::new(shutdown);
    if let Some(next_update) = verification.revocation_next_update() {
        readiness.add("revocation_list", move || {
            match Timestamp::from(SystemTime::now()) <= next_update {
                true => Ok(()),
                false => Err(
                    "a revocation list of client_certificates.crl has expired; renew it and restart".into(),
                ),
            }
        });
    }
    readiness
}
