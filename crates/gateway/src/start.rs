//! Bringing the gateway up: files read, clients made, listeners bound, all before the first connection.
//!
//! Neither the authorization server nor an API needs to be there yet.

mod tokens;

use std::sync::Arc;

use anyhow::Context;
use mtls::{Alpn, ClientIdentity, ClientTls, ServerFiles, ServerTls, TlsSection, TrustAnchors, bind};
use service::{Fingerprint, Readiness, Reload, Running, Shutdown};

use crate::accept::Frontier;
use crate::admin_pages::admin_pages;
use crate::audiences::Audiences;
use crate::certificate_header::CertificateHeader;
use crate::clock::now;
use crate::configuration::{Configuration, Followed, Origin, OutboundTlsSection};
use crate::descriptors::make_room_for;
use crate::forward::Forwarder;
use crate::gate::Gate;
use crate::hosts::{Foundation, LiveHosts};
use crate::read_certificates::ReadCertificates;
use crate::request::RequestHandler;
use crate::token_cache::TokenCache;
use crate::upstream::Connector;
use crate::workers;

/// Starts the gateway: the listeners `public` and `admin`.
///
/// # Errors
///
/// Names the configuration key, the file or the address at fault.
pub async fn start(configuration: Configuration, shutdown: Shutdown) -> anyhow::Result<Running> {
    let Configuration {
        hex_thumbprints,
        listen,
        proxies,
        passthrough,
        tls,
        client_certificates,
        certificate_header,
        introspection,
        issuers,
        cache,
        routes,
        ..
    } = configuration;
    let mut running = Running::new(shutdown.clone());
    let readiness = Readiness::new(shutdown.clone());

    let tls = server_tls(&mut running, client_certificates.server_files(tls))?;
    add_revocation_check(&readiness, tls.clone());
    let certificate_header =
        certificate_header.map(|rules| Arc::new(CertificateHeader::new(rules, tls.clone())));

    let outbound = outbound_tls(&configuration.outbound_tls, &mut running)?;
    let audiences = Audiences::default();
    let names = issuers.iter().map(|issuer| issuer.issuer.clone()).collect();
    let source = tokens::source(introspection.as_ref(), issuers, &audiences, &outbound)?;
    let tokens = TokenCache::new(source, &cache);
    let foundation = Foundation {
        tokens: tokens.clone(),
        audiences,
        issuers: names,
        hex_thumbprints,
    };
    let followed = Followed { passthrough, routes };
    let hosts = LiveHosts::new(foundation.hosts(followed));
    if let Some(origin) = configuration.origin {
        follow_file(&mut running, origin, hosts.clone(), foundation);
    }
    let connector = Arc::new(Connector::new(&outbound).context("outbound_tls")?);

    make_room_for(listen.connections);
    let public = workers::listen(listen.public, listen.workers)?;
    let admin = bind(listen.admin, "listen.admin")?;
    running.add_address("public", public[0].local_addr().context("listen.public")?);
    running.serve_admin_showing(admin, readiness, admin_pages(hosts.clone()))?;
    let stop = shutdown.requested();
    let certificates = Arc::new(ReadCertificates::new());
    let until = shutdown.clone();
    let frontier = move |worker| Frontier {
        proxies: proxies.clone(),
        tls: tls.clone(),
        certificates: Arc::clone(&certificates),
        certificate_header: certificate_header.clone(),
        handler: Arc::new(RequestHandler {
            hosts: hosts.clone(),
            forwarder: Forwarder::new(Arc::clone(&connector), worker),
        }),
        shutdown: shutdown.clone(),
    };
    running.spawn("the memory of tokens", async move {
        tokio::select! {
            never = tokens.forget() => match never {},
            () = stop => Ok(()),
        }
    });
    let gate = Gate::new(&listen);
    running.spawn("the public listener", async move {
        workers::run(public, frontier, gate, &until).await
    });
    Ok(running)
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

/// Routes and pass-through hosts follow the configuration file; what else stands there is for the next start.
fn follow_file(running: &mut Running, origin: Origin, hosts: LiveHosts, foundation: Foundation) {
    let files = vec![origin.started_with.file().to_path_buf()];
    let reload = Reload::new("the routes", files, origin.read, move || {
        hosts.read_again(&origin, &foundation)
    });
    running.reload_on_change(reload);
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
