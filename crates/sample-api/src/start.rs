//! From a checked configuration to a service that listens.

use std::time::SystemTime;

use anyhow::Context;
use mtls::{Alpn, ClientTls, ServerFiles, ServerTls, Timeouts, serve_tls};
use oauth_core::time::Timestamp;
use resource_server::{RemoteJwks, ResourceServer};
use service::{Fingerprint, Readiness, Reload, Running, Shutdown};

use crate::configuration::Configuration;
use crate::router::router;

/// Starts the API; its listeners are named `tls` and `admin`. The issuer need not be up yet: its keys are fetched
/// with the first token.
///
/// # Errors
///
/// When an address cannot be listened on, or a certificate cannot be used.
pub async fn start(configuration: Configuration, shutdown: Shutdown) -> anyhow::Result<Running> {
    let mut running = Running::new(shutdown.clone());
    let tls = server_tls(&mut running, configuration.server_files.clone())?;
    let transactions = "transactions".parse()?;
    let router = router(resource_server(&configuration)?.require_scope(transactions));
    let listener = mtls::bind(configuration.listen.tls, "listen.tls")?;
    let admin = mtls::bind(configuration.listen.admin, "listen.admin")?;

    running.add_address("tls", listener.local_addr().context("listen.tls has no address")?);
    running.serve_admin(admin, readiness(tls.clone(), shutdown.clone()))?;
    running.spawn("the API's listener", async move {
        Ok(serve_tls(listener, tls, router, shutdown.requested()).await?)
    });
    Ok(running)
}

/// The TLS of the listener, which follows its files.
fn server_tls(running: &mut Running, files: ServerFiles) -> anyhow::Result<ServerTls> {
    let paths = files.paths();
    let read = Fingerprint::of(&paths);
    let tls = ServerTls::load(files, Alpn::Http2OrHttp1)?;
    let reloaded = tls.clone();
    let reload = Reload::new("the TLS files of listen.tls", paths, read, move || {
        Ok(reloaded.reload(now())?)
    });
    running.reload_on_change(reload.measuring(mtls::expires_at));
    Ok(tls)
}

fn resource_server(configuration: &Configuration) -> anyhow::Result<ResourceServer> {
    let http_client = ClientTls::new(configuration.outbound_trust.clone())
        .http_client(Timeouts::default(), &[])
        .context("outbound_tls")?;
    let keys = RemoteJwks::new(http_client, configuration.jwks_uri.clone());
    let resource_server = ResourceServer::new(keys, configuration.access_tokens.clone())
        .certificates(configuration.certificate_source.clone());
    Ok(match &configuration.resource {
        Some(resource) => resource_server.resource(resource),
        None => resource_server,
    })
}

/// An expired revocation list lets nobody in any more; whoever operates the API is to learn of it before the partners
/// do.
fn readiness(tls: ServerTls, shutdown: Shutdown) -> Readiness {
    let readiness = Readiness::new(shutdown);
    readiness.add("revocation_list", move || match tls.revocation_next_update() {
        Some(next_update) if next_update <= now() => {
            Err("a revocation list of client_certificates.crl has expired; renew it".into())
        }
        Some(_) | None => Ok(()),
    });
    readiness
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
