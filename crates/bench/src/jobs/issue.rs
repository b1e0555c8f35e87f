//! *issue*: access tokens by mutual TLS, on connections that stay.

use std::cell::RefCell;
use std::rc::Rc;

use super::contender::{Contender, Refusal};
use super::runner::{Prepared, measure};
use super::stage::{OTHER, PARTNER, Stage};
use super::tokens::token_form;
use crate::bench::Bench;
use crate::generator::{FormPost, Load, Resume, Reuse, Same, Target, WarmUp};
use crate::report::{Comparison, JobReport};
use crate::systems::authorization_server::AuthorizationServer;
use crate::systems::oidc_provider::OidcProvider;

/// Our row.
pub(crate) const OURS: &str = "certbound authorization server, durable";
/// The peer's row.
pub(crate) const PEER: &str = "node-oidc-provider, in memory";

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<JobReport>> {
    let stage = Stage::set(bench)?.with_oidc_provider();
    let mut contenders = vec![ours(&stage)?];
    if let Some(provider) = &stage.oidc_provider {
        contenders.push(contender(
            &stage,
            PEER,
            provider.process.id(),
            &provider.target()?,
            &OidcProvider::token_endpoint(),
        )?);
    }
    let report = measure(Prepared {
        name: "issue".into(),
        description: format!(
            "{} kept-alive mutual TLS connections, client credentials grant, one bound opaque token each time",
            bench.plan.connections
        ),
        contenders,
        comparisons: vec![Comparison::new(OURS, PEER, 0.12)],
        stage: &stage,
    })
    .await?;
    Ok(vec![report])
}

/// Our row.
pub(crate) fn ours(stage: &Stage<'_>) -> anyhow::Result<Contender> {
    let server = &stage.authorization_server;
    contender(
        stage,
        OURS,
        server.process.id(),
        &server.target()?,
        &AuthorizationServer::token_endpoint(),
    )
}

fn contender(
    stage: &Stage<'_>,
    name: &str,
    process: u32,
    target: &Target,
    endpoint: &FormPost,
) -> anyhow::Result<Contender> {
    let request = endpoint.with(&token_form("partner-client"));
    let load = Load {
        target: target.clone(),
        tls: stage.tls(PARTNER)?,
        resume: Resume::Never,
        reuse: Reuse::KeepAlive,
        connections: stage.bench.plan.connections,
        requests: Rc::new(RefCell::new(Same(request.clone()))),
        expected: 200,
        warm_up: WarmUp::UntilAnswered,
    };
    let refusal = Refusal {
        target: target.clone(),
        tls: stage.tls(OTHER)?,
        request,
        expected: 401,
    };
    Ok(Contender::new(name, process, load, Some(refusal)))
}
