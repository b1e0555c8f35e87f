//! Whole requests: what a service's binary executes for one, its start and its end taken off.

use std::iter;

use anyhow::ensure;

use super::callgrind::collected;
use crate::bench::Bench;
use crate::generator::{Each, Load, Request, Target, send_all};
use crate::jobs::{
    GATEWAY_CERTIFICATE, PARTNER, Stage, authorized, forwarded, introspection_form, jwt, token_form,
};
use crate::systems::Counted;
use crate::systems::authorization_server::AuthorizationServer;

/// Requests of the first run: after them, everything that is filled once is filled.
const FIRST: usize = 200;

/// A request on a connection that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// The gateway, with a known token.
    Hot,
    /// The authorization server's token endpoint.
    Issue,
    /// The authorization server's introspection endpoint.
    IntrospectJson,
    /// The same, answering with a JWT.
    IntrospectJwt,
    /// The sample API behind the resource-server layer.
    Verify,
}

impl Whole {
    /// Every one.
    pub(crate) const ALL: [Self; 5] = [
        Self::Hot,
        Self::Issue,
        Self::IntrospectJson,
        Self::IntrospectJwt,
        Self::Verify,
    ];

    /// Its name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hot => "request: gateway, hot",
            Self::Issue => "request: authorization server, issue",
            Self::IntrospectJson => "request: authorization server, JSON",
            Self::IntrospectJwt => "request: authorization server, JWT",
            Self::Verify => "request: sample API, verify",
        }
    }

    /// Instructions of one request.
    pub(crate) async fn count(self, bench: &Bench) -> anyhow::Result<u64> {
        let few = self.run(bench, FIRST).await?;
        let many = self.run(bench, FIRST + self.requests()).await?;
        ensure!(
            many > few,
            "{}: more requests took no more instructions",
            self.name()
        );
        let more = u64::try_from(self.requests())?;
        Ok((many - few) / more)
    }

    /// So many more requests in the second run than in the first, whose every other cost is nearly the same: enough
    /// that what differs by chance, up to fifteen million instructions in which the clock is calibrated at the start, is a
    /// fortieth of theirs.
    const fn requests(self) -> usize {
        match self {
            Self::Hot => 8000,
            Self::Issue | Self::IntrospectJson | Self::IntrospectJwt | Self::Verify => 5000,
        }
    }

    const fn counted(self) -> Counted {
        Counted(match self {
            Self::Hot => "gateway",
            Self::Issue | Self::IntrospectJson | Self::IntrospectJwt => "authorization-server",
            Self::Verify => "sample-api",
        })
    }

    /// Starts the service under callgrind, sends so many requests, ends it, and reads the sum.
    async fn run(self, bench: &Bench, count: usize) -> anyhow::Result<u64> {
        let ground = bench.ground.counting(self.counted());
        let log = ground.callgrind_log();
        let bench = bench.on(ground);
        let stage = self.stage(&bench)?;
        let (target, certificate, request) = self.request(&stage).await?;
        let requests = Each(iter::repeat_n(request, count));
        send_all(&Load::kept_alive(target, stage.tls(certificate)?, 1, requests)).await?;
        drop(stage);
        collected(&log)
    }

    fn stage(self, bench: &Bench) -> anyhow::Result<Stage<'_>> {
        let stage = Stage::set(bench)?;
        match self {
            Self::Hot => stage.with_gateway(""),
            Self::Verify => stage.with_sample_api(),
            Self::Issue | Self::IntrospectJson | Self::IntrospectJwt => Ok(stage),
        }
    }

    async fn request(self, stage: &Stage<'_>) -> anyhow::Result<(Target, &'static str, Request)> {
        let server = stage.authorization_server.target()?;
        let introspect = |accept, token: &str| {
            AuthorizationServer::introspection_endpoint(accept).with(&introspection_form(token))
        };
        Ok(match self {
            Self::Hot => {
                let request = authorized(&stage.token().await?, "/http/hot");
                (stage.gateway()?.target()?, PARTNER, request)
            }
            Self::Issue => {
                let request = AuthorizationServer::token_endpoint().with(&token_form("partner-client"));
                (server, PARTNER, request)
            }
            Self::IntrospectJson => (
                server,
                GATEWAY_CERTIFICATE,
                introspect("application/json", &stage.token().await?),
            ),
            Self::IntrospectJwt => (
                server,
                GATEWAY_CERTIFICATE,
                introspect("application/jwt", &stage.token().await?),
            ),
            Self::Verify => {
                let jwt = jwt(stage).await?;
                (
                    stage.sample_api()?.target()?,
                    GATEWAY_CERTIFICATE,
                    forwarded(stage, &jwt, PARTNER)?,
                )
            }
        })
    }
}
