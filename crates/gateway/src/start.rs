//! Bringing the gateway up: files read, clients made, listeners bound, all before the first connection.
//!
//! Neither the authorization server nor an API needs to be there yet.

mod tokens;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use mtls::{
    Alpn, ClientIdentity, ClientTls, Presence, ServerFiles, ServerTls, TlsSection, TrustAnchors, bind,
};
use oauth_core::time::Timestamp;
use service::{Fingerprint, Readiness, Reload, Running, Shutdown};
use tokio::net::TcpListener;

use crate::accept::{Destination, Frontier, accept};
use crate::authorize::Authorizer;
use crate::configuration::{
    ClientCertificatePolicy, ClientCertificatesSection, Configuration, OutboundTlsSection,
};
use crate::descriptors::make_room_for;
use crate::forward::Forwarder;
use crate::host::HostName;
use crate::request::RequestHandler;
use crate::route::Routes;
use crate::token_cache::TokenCache;

/// Starts the gateway: the listeners `public` and `admin`.
///
/// # Errors
///
/// Names the configuration key, the file or the address at fault.
pub async fn start(configuration: Configuration, shutdown: Shutdown) -> anyhow::Result<Running> {
    let Configuration {
        listen,
        passthrough,
        tls,
        client_certificates,
        introspection,
        issuers,
        cache,
        routes,
        ..
    } = configuration;
    let mut running = Running::new(shutdown.clone());
    let readiness = Readiness::new(shutdown.clone());

    let tls = server_tls(&mut running, server_files(tls, &client_certificates))?;
    add_revocation_check(&readiness, tls.clone());

    let outbound = outbound_tls(&configuration.outbound_tls, &mut running)?;
    let tokens = tokens::source(introspection.as_ref(), issuers, &routes.audiences(), &outbound)?;
    let destinations = destinations(passthrough, &routes);
    let handler = RequestHandler {
        authorizer: Authorizer {
            tokens: TokenCache::new(tokens, &cache),
            routes,
        },
        forwarder: Forwarder::new(&outbound).context("outbound_tls")?,
    };

    make_room_for(listen.connections);
    let public = bind(listen.public, "listen.public")?;
    let admin = bind(listen.admin, "listen.admin")?;
    running.add_address("public", public.local_addr().context("listen.public")?);
    running.serve_admin(admin, readiness)?;
    let public = TcpListener::from_std(public).context("listen.public")?;
    let frontier = Frontier {
        destinations,
        tls,
        handler: Arc::new(handler),
        shutdown,
    };
    running.spawn("the public listener", async move {
        accept(public, frontier, listen).await;
        Ok(())
    });
    Ok(running)
}

fn server_files(tls: TlsSection, section: &ClientCertificatesSection) -> ServerFiles {
    let presence = match section.client_certificate {
        ClientCertificatePolicy::Required => Presence::Required,
        ClientCertificatePolicy::Optional => Presence::Optional,
    };
    ServerFiles::new(tls).asking_for(section.verification(), presence)
}

/// The TLS of the public listener, which follows its files.
fn server_tls(running: &mut Running, files: ServerFiles) -> anyhow::Result<ServerTls> {
    let paths = files.paths();
    let read = Fingerprint::of(&paths);
    let tls = ServerTls::load(files, Alpn::Http2OrHttp1)?;
    let reloaded = tls.clone();
    let reload = Reload::new("the TLS files of listen.public", paths, read, move || {
        Ok(reloaded.reload(now())?)
    });
    running.reload_on_change(reload.measuring(mtls::expires_at));
    Ok(tls)
}

/// With an expired list every handshake is refused, and whoever balances load should know.
fn add_revocation_check(readiness: &Readiness, tls: ServerTls) {
    readiness.add("revocation_lists", move || match tls.revocation_next_update() {
        Some(next_update) if next_update <= now() => {
            Err("a revocation list has expired; install the issuer's current one".to_owned())
        }
        Some(_) | None => Ok(()),
    });
}

/// TLS to the authorization server and the APIs; the certificate shown to them follows its files.
fn outbound_tls(section: &OutboundTlsSection, running: &mut Running) -> anyhow::Result<ClientTls> {
    let trust = TrustAnchors::from_pem_files(&section.trust).context("outbound_tls.trust")?;
    let files = TlsSection {
        certificate: section.certificate.clone(),
        key: section.key.clone(),
    };
    let read = Fingerprint::of(&[files.certificate.clone(), files.key.clone()]);
    let identity = ClientIdentity::load(files).context("outbound_tls.certificate and outbound_tls.key")?;
    let reloaded = identity.clone();
    let reload = Reload::new(
        "the client certificate of outbound_tls",
        identity.paths(),
        read,
        move || Ok(reloaded.reload()?),
    );
    running.reload_on_change(reload.measuring(mtls::expires_at));
    Ok(ClientTls::new(trust).with_identity(identity))
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

fn destinations(passthrough: HashMap<HostName, String>, routes: &Routes) -> HashMap<HostName, Destination> {
    let passed_through = passthrough
        .into_iter()
        .map(|(host, upstream)| (host, Destination::PassThrough(upstream)));
    let terminated = routes.hosts().map(|host| (host.clone(), Destination::Terminate));
    passed_through.chain(terminated).collect()
}
