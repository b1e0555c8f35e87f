//! *handshake*: a new connection for every request, with a known token.

use super::contender::{Contender, Handshakes};
use super::hot::{GATEWAY, authorized, proxies};
use super::runner::{Prepared, measure};
use super::stage::{PARTNER, Stage};
use crate::bench::Bench;
use crate::generator::{KeyExchange, Request, Resume, Reuse, TlsMaker};
use crate::report::{Comparison, JobReport};
use crate::systems::nginx::{Variant, version};

const HYBRID: &str = "certbound gateway, as shipped: X25519MLKEM768";

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<JobReport>> {
    let stage = Stage::set(bench)?
        .with_gateway("")?
        .with_nginx(&[Variant::Plain, Variant::Tuned]);
    let request = authorized(&stage.token().await?, "/http/handshake");
    Ok(vec![
        full(&stage, &request).await?,
        resumed(&stage, &request).await?,
    ])
}

async fn full(stage: &Stage<'_>, request: &Request) -> anyhow::Result<JobReport> {
    let mut contenders = proxies(stage, request, Reuse::NewConnection)?;
    let mut hybrid = proxies(stage, request, Reuse::NewConnection)?.swap_remove(0);
    hybrid.name = HYBRID.into();
    hybrid.load.tls = TlsMaker::new(&stage.bench.ground.certificates(), PARTNER, KeyExchange::Hybrid)?;
    contenders.push(hybrid);
    expect(&mut contenders, Handshakes::Full);
    measure(Prepared {
        name: "handshake, full".into(),
        description: description(stage),
        contenders,
        comparisons: vec![
            Comparison::new(GATEWAY, Variant::Plain.name(), 0.30),
            Comparison::new(GATEWAY, Variant::Tuned.name(), 0.45),
            Comparison::without_bar(HYBRID, Variant::Plain.name()),
        ],
        stage,
    })
    .await
}

async fn resumed(stage: &Stage<'_>, request: &Request) -> anyhow::Result<JobReport> {
    let mut contenders = proxies(stage, request, Reuse::NewConnection)?;
    // Tuned means without tickets.
    contenders.retain(|contender| contender.name != Variant::Tuned.name());
    for contender in &mut contenders {
        contender.load.resume = Resume::WhereOffered;
    }
    expect(&mut contenders, Handshakes::Resumed);
    measure(Prepared {
        name: "handshake, resumed".into(),
        description: description(stage),
        contenders,
        comparisons: vec![Comparison::new(GATEWAY, Variant::Plain.name(), 0.30)],
        stage,
    })
    .await
}

fn expect(contenders: &mut [Contender], handshakes: Handshakes) {
    for contender in contenders {
        contender.handshakes = handshakes;
    }
}

fn description(stage: &Stage<'_>) -> String {
    format!(
        "{} connections at once, each for one request with a known token, HTTP upstream; {}",
        stage.bench.plan.new_connections,
        version().unwrap_or_else(|_| "no nginx".into())
    )
}
