//! *hot*: a token that is known, on connections that stay.

use super::contender::{Contender, Refusal};
use super::runner::{Prepared, measure};
use super::stage::{OTHER, PARTNER, Stage};
use crate::bench::Bench;
use crate::generator::{Load, Request, Reuse, Same, Target};
use crate::report::{Comparison, JobReport, Measure};
use crate::systems::nginx::Variant;

/// Our row.
pub(crate) const GATEWAY: &str = "certbound gateway";

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<JobReport>> {
    let stage = Stage::set(bench)?
        .with_gateway("")?
        .with_nginx(&[Variant::Plain, Variant::Lua]);
    let token = stage.token().await?;
    let mut reports = Vec::new();
    let plain = Variant::Plain.name();
    let p99 = |comparison: Comparison| comparison.of(Measure::P99);
    for (name, path, bars, p99) in [
        (
            "hot, HTTP upstream",
            "/http/hot",
            [0.90, 0.70],
            p99(Comparison::new(GATEWAY, plain, 1.0)),
        ),
        (
            "hot, HTTPS upstream",
            "/https/hot",
            [0.85, 0.65],
            p99(Comparison::without_bar(GATEWAY, plain)),
        ),
    ] {
        let request = authorized(&token, path);
        reports.push(
            measure(Prepared {
                name: name.into(),
                description: format!(
                    "{} kept-alive connections, one known token, GET with a small answer",
                    bench.plan.connections
                ),
                contenders: proxies(&stage, &request, Reuse::KeepAlive)?,
                comparisons: vec![
                    Comparison::new(GATEWAY, plain, bars[0]),
                    Comparison::new(GATEWAY, Variant::Lua.name(), bars[1]),
                    p99,
                ],
                stage: &stage,
            })
            .await?,
        );
    }
    Ok(reports)
}

/// A request with a token.
pub(crate) fn authorized(token: &str, path: &str) -> Request {
    Request::get(
        "api.example.com",
        path,
        &[("authorization", &format!("Bearer {token}"))],
    )
}

/// The gateway and every nginx of the stage, under the same request.
pub(crate) fn proxies(stage: &Stage<'_>, request: &Request, reuse: Reuse) -> anyhow::Result<Vec<Contender>> {
    let gateway = stage.gateway()?;
    let mut contenders = vec![Contender::new(
        GATEWAY,
        gateway.process.id(),
        load(stage, gateway.target()?, request, reuse)?,
        Some(refusal(stage, gateway.target()?, request)?),
    )];
    for nginx in &stage.nginx {
        let target = nginx.target()?;
        contenders.push(Contender::new(
            nginx.variant.name(),
            nginx.process.id(),
            load(stage, target.clone(), request, reuse)?,
            match nginx.variant {
                Variant::Plain | Variant::Tuned => None,
                Variant::Lua => Some(refusal(stage, target, request)?),
            },
        ));
    }
    Ok(contenders)
}

/// The partner's requests, all the same.
pub(crate) fn load(
    stage: &Stage<'_>,
    target: Target,
    request: &Request,
    reuse: Reuse,
) -> anyhow::Result<Load> {
    let plan = &stage.bench.plan;
    let connections = match reuse {
        Reuse::KeepAlive => plan.connections,
        Reuse::NewConnection => plan.new_connections,
    };
    Ok(Load {
        reuse,
        ..Load::kept_alive(target, stage.tls(PARTNER)?, connections, Same(request.clone()))
    })
}

/// The same request with another certificate.
pub(crate) fn refusal(stage: &Stage<'_>, target: Target, request: &Request) -> anyhow::Result<Refusal> {
    Ok(Refusal {
        target,
        tls: stage.tls(OTHER)?,
        request: request.clone(),
        expected: 401,
    })
}
