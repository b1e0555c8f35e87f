//! The systems of one job, started afresh so that what a job leaves in memory ends with it.

use anyhow::Context as _;

use super::tokens;
use crate::bench::{Bench, Peers};
use crate::generator::{KeyExchange, TlsMaker};
use crate::systems::authorization_server::{AuthorizationServer, Setting};
use crate::systems::gateway::Gateway;
use crate::systems::nginx::{Nginx, Variant};
use crate::systems::oidc_provider::OidcProvider;
use crate::systems::sample_api::SampleApi;
use crate::systems::stub::Upstream;
use crate::systems::{Process, Role};

/// Which client certificate, by its file's name.
pub(crate) const PARTNER: &str = "example.client";
/// Another good certificate: with it, the partner's token is worth nothing.
pub(crate) const OTHER: &str = "other.client";
/// The gateway's, to the authorization server and the API.
pub(crate) const GATEWAY_CERTIFICATE: &str = "gateway.client";

/// What runs.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    /// The run it belongs to.
    pub(crate) bench: &'a Bench,
    /// Ours: always there, for it issues the tokens.
    pub(crate) authorization_server: AuthorizationServer,
    /// Behind every proxy.
    pub(crate) upstream: Upstream,
    /// Ours, where the job asks for it.
    pub(crate) gateway: Option<Gateway>,
    /// Ours, where the job asks for it.
    pub(crate) sample_api: Option<SampleApi>,
    /// The proxies it is compared with.
    pub(crate) nginx: Vec<Nginx>,
    /// The authorization server that ours is compared with.
    pub(crate) oidc_provider: Option<OidcProvider>,
}

impl<'a> Stage<'a> {
    /// Authorization server and upstream.
    pub(crate) fn set(bench: &'a Bench) -> anyhow::Result<Self> {
        Self::set_with(bench, Setting::default())
    }

    /// The same with another setting of the authorization server.
    pub(crate) fn set_with(bench: &'a Bench, setting: Setting<'_>) -> anyhow::Result<Self> {
        bench.progress("starting the systems");
        Ok(Self {
            bench,
            authorization_server: AuthorizationServer::start(&bench.ground, setting)?,
            upstream: Upstream::start(&bench.ground)?,
            gateway: None,
            sample_api: None,
            nginx: Vec::new(),
            oidc_provider: None,
        })
    }

    /// The same with the gateway; `more` are further tables of its configuration.
    pub(crate) fn with_gateway(mut self, more: &str) -> anyhow::Result<Self> {
        self.gateway = Some(Gateway::start(
            &self.bench.ground,
            &self.authorization_server,
            &self.upstream,
            more,
        )?);
        Ok(self)
    }

    /// The same with the sample API.
    pub(crate) fn with_sample_api(mut self) -> anyhow::Result<Self> {
        self.sample_api = Some(SampleApi::start(&self.bench.ground, &self.authorization_server)?);
        Ok(self)
    }

    /// The same with nginx; one that cannot be had is told and left out.
    pub(crate) fn with_nginx(mut self, variants: &[Variant]) -> Self {
        for &variant in variants.iter().filter(|_| self.bench.peers == Peers::Beside) {
            let started = Nginx::start(
                variant,
                &self.bench.ground,
                &self.authorization_server,
                &self.upstream,
            );
            match started {
                Ok(nginx) => self.nginx.push(nginx),
                Err(error) => self.bench.without(variant.name(), &error),
            }
        }
        self
    }

    /// The same with node-oidc-provider; where it cannot be had, that is told.
    pub(crate) fn with_oidc_provider(mut self) -> Self {
        if self.bench.peers == Peers::Beside {
            match OidcProvider::start(&self.bench.ground) {
                Ok(provider) => self.oidc_provider = Some(provider),
                Err(error) => self.bench.without("node-oidc-provider", &error),
            }
        }
        self
    }

    /// The gateway of a job that asked for one.
    pub(crate) fn gateway(&self) -> anyhow::Result<&Gateway> {
        self.gateway.as_ref().context("the job has no gateway")
    }

    /// The sample API of a job that asked for one.
    pub(crate) fn sample_api(&self) -> anyhow::Result<&SampleApi> {
        self.sample_api.as_ref().context("the job has no sample API")
    }

    /// TLS with one of the certificates, X25519 and AES-128.
    pub(crate) fn tls(&self, certificate: &str) -> anyhow::Result<TlsMaker> {
        TlsMaker::new(
            &self.bench.ground.certificates(),
            certificate,
            KeyExchange::X25519,
        )
    }

    /// A token of the partner's.
    pub(crate) async fn token(&self) -> anyhow::Result<String> {
        let tokens = tokens::issue(
            &self.authorization_server,
            &self.tls(PARTNER)?,
            "partner-client",
            1,
        )
        .await?;
        tokens.into_iter().next().context("no token was issued")
    }

    /// Every process, and where it belongs.
    pub(crate) fn processes(&self) -> Vec<(u32, Role)> {
        let ours = [&self.authorization_server.process, &self.upstream.process];
        let all = ours
            .into_iter()
            .chain(self.gateway.iter().map(|gateway| &gateway.process))
            .chain(self.sample_api.iter().map(|api| &api.process))
            .chain(self.nginx.iter().map(|nginx| &nginx.process))
            .chain(self.oidc_provider.iter().map(|provider| &provider.process));
        all.map(|process: &Process| (process.id(), process.role()))
            .collect()
    }
}
