//! The certbound authorization server: opaque certificate-bound tokens, introspection, revocation.
//!
//! Decides nothing of OAuth itself: the rules are `oauth_core`'s. Here stand the endpoints, the durable store, the
//! keys and the configuration. The demo and the tests depend on it, and no other service does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use axum::Router;
use mtls::{Alpn, ClientCertificates, Credentials, bind, serve_tls, server_config};
use oauth_core::time::Timestamp;
use service::{Readiness, Running, Shutdown};

mod audit;
pub mod configuration;
mod introspect;
pub mod issuer;
mod metadata;
mod request;
mod response;
mod revoke;
pub mod router;
pub mod server;
pub mod signing_keys;
mod token;
pub mod token_store;

pub use configuration::{Configuration, ConfigurationFile, StoreConfiguration};
pub use server::AuthorizationServer;

use signing_keys::SigningKeys;
use token_store::{EmbeddedTokenStore, PostgresTokenStore, TokenStore};

/// Expired tokens take room and nothing else; there is no hurry.
const PURGE_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Starts an authorization server with the listeners `tls`, `mutual_tls` and `admin`.
///
/// It stops when `shutdown` is requested, and fails when its token store does: then it is to be started again.
///
/// # Errors
///
/// Names the file, key or address that cannot be used, and the remedy.
pub async fn start(configuration: Configuration, shutdown: Shutdown) -> anyhow::Result<Running> {
    let mut running = Running::new(shutdown.clone());
    let credentials = configuration.tls.credentials().context("tls")?;
    let verification = configuration
        .client_certificates
        .verification()
        .context("client_certificates")?;
    let revocation_lists_expire_at = verification.revocation_next_update();
    let (store, signing_keys) = open_store(&configuration).await?;
    let server = Arc::new(AuthorizationServer::new(
        &configuration,
        store.clone(),
        signing_keys,
    )?);

    let readiness = Readiness::new(shutdown.clone());
    let health = store.health();
    readiness.add("token_store", move || {
        health.verify().map_err(|error| error.to_string())
    });
    readiness.add("revocation_lists", move || {
        verify_current(revocation_lists_expire_at)
    });

    let listen = configuration.listen;
    let tls = Listener {
        name: "tls",
        key: "listen.tls",
        address: listen.tls,
    };
    tls.serve(
        &credentials,
        &ClientCertificates::NotRequested,
        router::tls(server.clone()),
        &mut running,
        &shutdown,
    )?;
    let mutual_tls = Listener {
        name: "mutual_tls",
        key: "listen.mutual_tls",
        address: listen.mutual_tls,
    };
    let certificates = ClientCertificates::Optional(verification);
    mutual_tls.serve(
        &credentials,
        &certificates,
        router::mutual_tls(server),
        &mut running,
        &shutdown,
    )?;
    running.serve_admin(bind(listen.admin, "listen.admin")?, readiness)?;
    running.spawn("the token store", keep_store(store, shutdown));
    Ok(running)
}

/// The store, and the keys, which lie where the store does.
async fn open_store(configuration: &Configuration) -> anyhow::Result<(Arc<dyn TokenStore>, SigningKeys)> {
    let algorithm = configuration.signing.algorithm;
    match &configuration.store {
        StoreConfiguration::Embedded { path } => {
            let directory = configuration.signing.keys.as_deref();
            let directory = directory.context("signing.keys is missing")?;
            let keys = SigningKeys::load_or_create(directory, algorithm)?;
            let store = EmbeddedTokenStore::open(path)?;
            let purged = store.purge(now()).await;
            purged.with_context(|| format!("store.path: {} cannot be written", path.display()))?;
            Ok((Arc::new(store), keys))
        }
        StoreConfiguration::Postgres(postgres) => {
            let store = PostgresTokenStore::open(postgres).await?;
            let keys = SigningKeys::shared(&store, algorithm).await?;
            Ok((Arc::new(store), keys))
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
            Err("a certificate revocation list has expired; publish a new one and start again".to_owned())
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
}

impl Listener {
    fn serve(
        self,
        credentials: &Credentials,
        client_certificates: &ClientCertificates,
        router: Router,
        running: &mut Running,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let tls = server_config(credentials, client_certificates, Alpn::Http2OrHttp1)?;
        let listener = bind(self.address, self.key)?;
        running.add_address(self.name, listener.local_addr()?);
        let requested = shutdown.requested();
        running.spawn(self.name, async move {
            Ok(serve_tls(listener, tls, router, requested).await?)
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
