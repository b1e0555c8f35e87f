//! The whole system in one process: the services as their own binaries would start them, with real TLS between them.

use std::{net::SocketAddr, path::Path, time::SystemTime};

use anyhow::Context as _;
use mtls::{Alpn, Credentials, TrustAnchors};
use oauth_core::time::Timestamp;
use pki::{Member, Preparation};
use service::{Occasion, Running, Shutdown};

use crate::{
    actor::Actor,
    configuration::{self, Parts},
};

/// The running services. Dropping it ends them at once; [`stop`](Self::stop) lets them finish.
#[derive(Debug)]
pub struct System {
    parts: Parts,
    shutdown: Shutdown,
    authorization_server: Running,
    sample_api: Running,
    gateway: Running,
}

/// Makes what certificates are missing, renews what has expired, and says what was done.
///
/// # Errors
///
/// [`pki::Error`] names the file at fault.
pub fn prepare_certificates(directory: &Path, preparation: &Preparation) -> Result<pki::Report, pki::Error> {
    pki::prepare(directory, preparation, Timestamp::from(SystemTime::now()))
}

impl System {
    /// Starts the authorization server, the sample API and the gateway, in this order, since each needs to know
    /// where those before it listen.
    ///
    /// # Errors
    ///
    /// Names the service that does not start, and why.
    pub async fn start(parts: Parts, shutdown: Shutdown) -> anyhow::Result<Self> {
        mtls::install_crypto_provider();
        let configuration =
            authorization_server::Configuration::from_toml(&configuration::authorization_server(&parts))?;
        let authorization_server = authorization_server::start(configuration, shutdown.clone())
            .await
            .context("the authorization server does not start")?;
        let tls = authorization_server.address("tls");
        let mutual_tls = authorization_server.address("mutual_tls");

        let configuration = sample_api::Configuration::from_toml(&configuration::sample_api(&parts, tls))?;
        let sample_api = sample_api::start(configuration, shutdown.clone())
            .await
            .context("the sample API does not start")?;

        let toml = configuration::gateway(&parts, tls, mutual_tls, sample_api.address("tls"));
        let configuration = gateway::Configuration::from_toml(&toml)?;
        let gateway = gateway::start(configuration, shutdown.clone())
            .await
            .context("the gateway does not start")?;
        Ok(Self {
            parts,
            shutdown,
            authorization_server,
            sample_api,
            gateway,
        })
    }

    /// The gateway's public address.
    pub fn gateway(&self) -> SocketAddr {
        self.gateway.address("public")
    }

    /// The authorization server's address without client certificates.
    pub fn authorization_server(&self) -> SocketAddr {
        self.authorization_server.address("tls")
    }

    /// The authorization server's address for mutual TLS.
    pub fn mutual_tls(&self) -> SocketAddr {
        self.authorization_server.address("mutual_tls")
    }

    /// The sample API's own address.
    pub fn sample_api(&self) -> SocketAddr {
        self.sample_api.address("tls")
    }

    /// The admin addresses: authorization server, gateway, sample API.
    pub fn admin(&self) -> [SocketAddr; 3] {
        [&self.authorization_server, &self.gateway, &self.sample_api].map(|running| running.address("admin"))
    }

    /// Makes every service read its files again, now.
    pub fn reload(&self) {
        for running in [&self.authorization_server, &self.gateway, &self.sample_api] {
            running.reloads().attempt(Occasion::Demand);
        }
    }

    /// The root that everybody in the story trusts.
    ///
    /// # Errors
    ///
    /// When `root.pem` cannot be read.
    pub fn trust(&self) -> anyhow::Result<TrustAnchors> {
        Ok(TrustAnchors::from_pem_files(&[self
            .parts
            .certificates
            .join("root.pem")])?)
    }

    /// A member's certificate and key.
    ///
    /// # Errors
    ///
    /// When its files cannot be read.
    pub fn credentials(&self, member: Member) -> anyhow::Result<Credentials> {
        let file = |extension: &str| {
            self.parts
                .certificates
                .join(format!("{}.{extension}", member.path()))
        };
        Ok(Credentials::from_pem_files(&file("pem"), &file("key"))?)
    }

    /// Somebody with that member's certificate, or with none.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be read or the client not be made.
    pub fn actor(&self, member: Option<Member>) -> anyhow::Result<Actor> {
        self.actor_speaking(member, Alpn::Http2OrHttp1)
    }

    /// The same, speaking HTTP/1.1.
    ///
    /// # Errors
    ///
    /// As [`actor`](Self::actor).
    pub fn http1_actor(&self, member: Option<Member>) -> anyhow::Result<Actor> {
        self.actor_speaking(member, Alpn::Http1)
    }

    fn actor_speaking(&self, member: Option<Member>, alpn: Alpn) -> anyhow::Result<Actor> {
        let credentials = member.map(|member| self.credentials(member)).transpose()?;
        Actor::new(self.trust()?, credentials, alpn, self.gateway())
    }

    /// Asks the services to finish what they have in hand, and waits for them.
    ///
    /// # Errors
    ///
    /// When one of them failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.trigger();
        self.finished().await
    }

    /// Waits until the services have ended.
    ///
    /// # Errors
    ///
    /// When one of them failed.
    pub async fn finished(self) -> anyhow::Result<()> {
        self.gateway.finished().await.context("the gateway")?;
        self.sample_api.finished().await.context("the sample API")?;
        self.authorization_server
            .finished()
            .await
            .context("the authorization server")
    }
}
