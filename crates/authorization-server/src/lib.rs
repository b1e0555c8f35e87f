//! The certbound authorization server: opaque certificate-bound tokens, introspection, revocation.
//!
//! Decides nothing of OAuth itself: the rules are `oauth_core`'s. Here stand the endpoints, the durable store, the
//! keys and the configuration. The demo and the tests depend on it, and no other service does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use mtls::{
    Alpn, Presence, ServerFiles, ServerTls, TrustedProxies, bind, serve_tls, serve_tls_behind_proxies,
};
use oauth_core::time::Timestamp;
use service::{Fingerprint, Readiness, Reload, Running, Shutdown};

mod answers;
mod audit;
mod authenticate;
mod client_anchors;
pub mod client_secret;
pub mod configuration;
mod following;
mod guesses;
mod introspect;
mod issuer;
mod leaky_buckets;
mod metadata;
pub mod operations;
mod places;
mod published_keys;
mod registrations;
mod request;
mod response;
mod revoke;
mod router;
mod server;
mod signing_keys;
mod token;
mod token_requests;
pub mod token_store;

pub use configuration::{Configuration, ConfigurationFile, StoreConfiguration};

use following::FollowedFile;
use registrations::Registrations;
use router::Endpoints;
use server::AuthorizationServer;
use signing_keys::{Ownership, RotationPolicy, SigningKeys};
use token_store::{EmbeddedTokenStore, PostgresTokenStore, TokenStore};

/// Expired tokens take room and nothing else; there is no hurry.
const PURGE_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Well below a key's announcement.
const KEYS_INTERVAL: Duration = Duration::from_secs(60);

/// Between the attempts to get the first keys from a database that answers.
const FIRST_KEYS_INTERVAL: Duration = Duration::from_millis(200);

/// Starts an authorization server with the listeners `tls`, `mutual_tls`, `admin`, and `proxied` where it is configured.
///
/// It stops when `shutdown` is requested, and fails when its token store does: then it is to be started again. While
/// its database is away, from the start or later, it is not ready, and answers 503 where it would need that.
///
/// # Errors
///
/// Names the file, key or address that cannot be used, and the remedy.
pub async fn start(configuration: Configuration, shutdown: Shutdown) -> anyhow::Result<Running> {
    let mut running = Running::new(shutdown.clone());
    let file = configuration.file.as_deref();
    let followed = file
        .map(|file| FollowedFile::of(&configuration, file))
        .transpose()?;
    let files = ServerFiles::new(configuration.tls.clone());
    let tls = server_tls(&mut running, "the TLS files of listen.tls", files.clone())?;
    let registrations = Registrations::load(&configuration)?;
    let (store, signing_keys) = open_store(&configuration).await?;
    let server = Arc::new(AuthorizationServer::new(
        configuration.clone(),
        registrations,
        store.clone(),
        signing_keys,
    ));
    if let Some(followed) = followed {
        followed.follow(&mut running, &server);
    }
    let files = files
        .asking_for(configuration.client_certificates.clone(), Presence::Optional)
        .admit_self_signed(server.self_signed_certificates())
        .tell_revocations(server.revocations());
    let mutual_tls = server_tls(&mut running, "the TLS files of listen.mutual_tls", files)?;

    let readiness = Readiness::new(shutdown.clone());
    let health = store.health();
    readiness.add("token_store", move || {
        health.verify().map_err(|error| error.to_string())
    });
    let keys = Arc::downgrade(&server);
    readiness.add("signing_keys", move || match keys.upgrade() {
        Some(server) if server.signing_keys.is_empty() => Err("there are none yet".to_owned()),
        Some(_) | None => Ok(()),
    });
    let lists = mutual_tls.clone();
    readiness.add("revocation_lists", move || {
        verify_current(lists.revocation_next_update())
    });

    let listen = configuration.listen.clone();
    let open = Listener {
        name: "tls",
        key: "listen.tls",
        address: listen.tls,
        proxies: None,
    };
    open.serve(tls, router::tls(server.clone()), &mut running, &shutdown)?;
    let mutual = Listener {
        name: "mutual_tls",
        key: "listen.mutual_tls",
        address: listen.mutual_tls,
        proxies: None,
    };
    let proxied = listen.proxied.map(|section| Listener {
        name: "proxied",
        key: "listen.proxied.address",
        address: section.address,
        proxies: Some(configuration.proxies.clone()),
    });
    for listener in std::iter::once(mutual).chain(proxied) {
        let endpoints = router::mutual_tls(server.clone());
        listener.serve(mutual_tls.clone(), endpoints, &mut running, &shutdown)?;
    }
    let admin = bind(listen.admin, "listen.admin")?;
    running.serve_admin_with(admin, readiness, operations::router(&server))?;
    running.spawn("the token store", keep_store(store, shutdown.clone()));
    running.spawn("the signing keys", keep_keys(server, shutdown));
    Ok(running)
}

/// The TLS of a listener, which follows its files.
fn server_tls(running: &mut Running, name: &'static str, files: ServerFiles) -> anyhow::Result<ServerTls> {
    let paths = files.paths();
    let read = Fingerprint::of(&paths);
    let tls = ServerTls::load(files, Alpn::Http2OrHttp1)?;
    let reloaded = tls.clone();
    let reload = Reload::new(name, paths, read, move || Ok(reloaded.reload(now())?));
    running.reload_on_change(reload.measuring(mtls::expires_at));
    Ok(tls)
}

/// The store, and the keys, which lie where the store does.
async fn open_store(configuration: &Configuration) -> anyhow::Result<(Arc<dyn TokenStore>, SigningKeys)> {
    let policy = rotation(configuration);
    match &configuration.store {
        StoreConfiguration::Embedded { path } => {
            let directory = configuration.signing.keys.as_deref();
            let directory = directory.context("signing.keys is missing")?;
            let keys = SigningKeys::open(directory, policy, now())?;
            let store = EmbeddedTokenStore::open(path)?;
            let purged = store.purge(now()).await;
            purged.with_context(|| format!("store.path: {} cannot be written", path.display()))?;
            Ok((Arc::new(store), keys))
        }
        StoreConfiguration::Postgres(postgres) => {
            let store = Arc::new(PostgresTokenStore::open(postgres).await?);
            let keys = SigningKeys::shared(Arc::clone(&store), policy, now()).await?;
            Ok((store, keys))
        }
    }
}

/// Purges from time to time; ends with an error when the store has stopped.
async fn keep_store(store: Arc<dyn TokenStore>, shutdown: Shutdown) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            () = store.health().stopped() => anyhow::bail!("it cannot be written any more; the log has the cause"),
            () = purge_later(&*store) => {}
        }
    }
}

/// Rotates the signing keys when it is time, and learns of those that other servers made. Without a disk or a database
/// to do so the old key goes on signing.
async fn keep_keys(server: Arc<AuthorizationServer>, shutdown: Shutdown) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            () = until_keys_are_due(&server) => {}
        }
        if let Err(error) = server.signing_keys.maintain(now()).await {
            metrics::counter!("certbound_authorization_server_key_rotation_failures_total").increment(1);
            tracing::error!(reason = %error, "the signing keys cannot be rotated: {error}");
        }
    }
}

/// A server that was started before its database has no keys, and waits for nothing else.
async fn until_keys_are_due(server: &AuthorizationServer) {
    if server.signing_keys.is_empty() {
        tokio::time::sleep(FIRST_KEYS_INTERVAL).await;
        server.tokens.health().works().await;
    } else {
        tokio::time::sleep(KEYS_INTERVAL).await;
    }
}

fn rotation(configuration: &Configuration) -> RotationPolicy {
    RotationPolicy {
        algorithm: configuration.signing.algorithm,
        further: configuration.clients.introspection_algorithms(),
        rotate_every: configuration.signing.rotate_every,
        ownership: match configuration.store {
            StoreConfiguration::Embedded { .. } => Ownership::Sole,
            StoreConfiguration::Postgres(_) => Ownership::Shared,
        },
    }
}

async fn purge_later(store: &dyn TokenStore) {
    tokio::time::sleep(PURGE_INTERVAL).await;
    if let Err(error) = store.purge(now()).await {
        tracing::warn!(reason = %error, "expired tokens are not purged: {error}");
    }
}

/// A list that has expired lets nobody in any more.
fn verify_current(expire_at: Option<Timestamp>) -> Result<(), String> {
    match expire_at {
        Some(expire_at) if expire_at <= now() => {
            Err("a certificate revocation list has expired; publish a new one".to_owned())
        }
        Some(_) | None => Ok(()),
    }
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

struct Listener {
    name: &'static str,
    key: &'static str,
    address: SocketAddr,
    proxies: Option<TrustedProxies>,
}

impl Listener {
    fn serve(
        self,
        tls: ServerTls,
        endpoints: Endpoints,
        running: &mut Running,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let listener = bind(self.address, self.key)?;
        running.add_address(self.name, listener.local_addr()?);
        let requested = shutdown.requested();
        running.spawn(self.name, async move {
            match self.proxies {
                None => serve_tls(listener, tls, endpoints, requested).await?,
                Some(proxies) => {
                    serve_tls_behind_proxies(listener, tls, endpoints, proxies, requested).await?;
                }
            }
            Ok(())
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
