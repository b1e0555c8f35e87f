//! *issue*: access tokens by mutual TLS, on connections that stay.

use super::contender::{Contender, Refusal};
use super::runner::{Prepared, measure};
use super::stage::{OTHER, PARTNER, Stage};
use super::tokens::token_form;
use crate::bench::Bench;
use crate::generator::{FormPost, Load, Same, Target};
use crate::report::{Comparison, JobReport};
use crate::systems::authorization_server::AuthorizationServer;
use crate::systems::oidc_provider::OidcProvider;

/// Our row.
const OURS: &str = "certbound authorization server, durable";
/// The same with `--store`.
const OURS_WITHOUT_DATABASE: &str = "certbound authorization server, without its database";
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
        comparisons: vec![comparison(bench, 0.12)],
        stage: &stage,
    })
    .await?;
    Ok(vec![report])
}

/// The name of our row.
pub(crate) const fn name_of_ours(bench: &Bench) -> &'static str {
    match bench.ground.database {
        None => OURS,
        Some(_) => OURS_WITHOUT_DATABASE,
    }
}

/// Ours by the peer's. Nothing is demanded with `--store`: the database's own CPU time is counted nowhere.
pub(crate) fn comparison(bench: &Bench, bar: f64) -> Comparison {
    let ours = name_of_ours(bench);
    match bench.ground.database {
        None => Comparison::new(ours, PEER, bar),
        Some(_) => Comparison::without_bar(ours, PEER),
    }
}

/// Our row.
pub(crate) fn ours(stage: &Stage<'_>) -> anyhow::Result<Contender> {
    let server = &stage.authorization_server;
    contender(
        stage,
        name_of_ours(stage.bench),
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
    let (tls, connections) = (stage.tls(PARTNER)?, stage.bench.plan.connections);
    let load = Load::kept_alive(target.clone(), tls, connections, Same(request.clone()));
    let refusal = Refusal {
        target: target.clone(),
        tls: stage.tls(OTHER)?,
        request,
        expected: 401,
    };
    Ok(Contender::new(name, process, load, Some(refusal)))
}
