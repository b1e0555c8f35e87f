//! What is made more and more of, and what is asked meanwhile.

use std::cell::RefCell;
use std::fs;
use std::rc::Rc;

use anyhow::Context as _;

use super::curve::{Curve, Point};
use crate::bench::Bench;
use crate::generator::{Each, InTurn, Request, Reuse, send_all};
use crate::jobs::{
    CACHE, Contender, Cost, PARTNER, Stage, TOKENS, authorized, cost, introspecting, issue_tokens, issuing,
    load, place, proxies,
};
use crate::measure::Memory;
use crate::systems::authorization_server::Setting;
use crate::systems::gateway::routes;
use crate::systems::nginx::Variant;

/// What the gateway is asked in each of its curves.
const GATEWAY: &str = "Gateway, known token, HTTP upstream";
/// What nginx is asked beside it.
const NGINX: &str = "nginx, no check, HTTP upstream";
/// What the authorization server is asked.
const ISSUE: &str = "Authorization server, token issued";

/// What there are more and more of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sweep {
    /// Connections at once to the gateway.
    Connections,
    /// Tokens that the gateway knows.
    CachedTokens,
    /// Routes of the gateway.
    Routes,
    /// Clients of the authorization server.
    Clients,
    /// Tokens in the authorization server's embedded store.
    StoredTokens,
}

impl Sweep {
    /// Every one.
    pub(crate) const ALL: [Self; 5] = [
        Self::Connections,
        Self::CachedTokens,
        Self::Routes,
        Self::Clients,
        Self::StoredTokens,
    ];

    /// The sizes, as far as the plan goes.
    fn sizes(self, bench: &Bench) -> impl Iterator<Item = usize> {
        let sizes: &[usize] = match self {
            Self::Connections => &[1, 4, 16, 64, 256, 1024],
            Self::CachedTokens => &[1, 10, 100, 1000, 10_000, 100_000],
            Self::Routes => &[1, 10, 100, 1000],
            Self::Clients => &[1, 10, 100, 1000, 10_000],
            Self::StoredTokens => &[1000, 10_000, 100_000, 1_000_000, 10_000_000],
        };
        let sizes = sizes.iter().copied().take(bench.plan.growth_sizes);
        sizes.inspect(move |size| bench.progress(&format!("growth of {self:?}: {size}")))
    }

    /// Measures at every size.
    pub(crate) async fn measure(self, bench: &Bench) -> anyhow::Result<Vec<Curve>> {
        match self {
            Self::Connections => connections(bench).await,
            Self::CachedTokens => cached_tokens(bench).await,
            Self::Routes => by_routes(bench).await,
            Self::Clients => clients(bench).await,
            Self::StoredTokens => stored_tokens(bench).await,
        }
    }
}

/// Beside nginx, since with their number grows what the system itself has to do, and what of it all the CPU's caches hold.
async fn connections(bench: &Bench) -> anyhow::Result<Vec<Curve>> {
    let stage = Stage::set(bench)?.with_gateway("")?.with_nginx(&[Variant::Plain]);
    let request = authorized(&stage.token().await?, "/http/growth");
    let mut contenders = proxies(&stage, &request, Reuse::KeepAlive)?;
    let mut curves = [GATEWAY, NGINX].map(|title| Curve::new(title, "connections"));
    for size in Sweep::Connections.sizes(bench) {
        for (curve, contender) in curves.iter_mut().zip(&mut contenders) {
            contender.load.connections = size;
            add(curve, &stage, contender, size).await;
        }
    }
    Ok(curves.into())
}

async fn cached_tokens(bench: &Bench) -> anyhow::Result<Vec<Curve>> {
    let setting = Setting {
        tokens: TOKENS,
        ..Setting::default()
    };
    let stage = Stage::set_with(bench, setting)?.with_gateway(CACHE)?;
    let mut curve = Curve::new(GATEWAY, "cached tokens");
    let mut requests: Vec<Request> = Vec::new();
    for size in Sweep::CachedTokens.sizes(bench) {
        place(&stage, bench.split.unwrap_or(bench.one_core))?;
        let (server, tls) = (&stage.authorization_server, stage.tls(PARTNER)?);
        let more = issue_tokens(server, &tls, "partner-client", size - requests.len()).await?;
        let more: Vec<Request> = more
            .iter()
            .map(|token| authorized(token, "/http/growth"))
            .collect();
        let mut load = gateway(&stage, Vec::new())?.load;
        load.requests = Rc::new(RefCell::new(Each(more.clone().into_iter())));
        send_all(&load).await.context("filling the cache")?;
        requests.extend(more);
        let contender = gateway(&stage, requests.clone())?;
        add(&mut curve, &stage, &contender, size).await;
    }
    Ok(vec![curve])
}

async fn by_routes(bench: &Bench) -> anyhow::Result<Vec<Curve>> {
    let mut curve = Curve::new(GATEWAY, "routes, asked in turn");
    for size in Sweep::Routes.sizes(bench) {
        let stage = Stage::set(bench)?;
        let more = routes(size, &stage.upstream);
        let stage = stage.with_gateway(&more)?;
        let token = stage.token().await?;
        let requests = (0..size).map(|number| authorized(&token, &format!("/route-{number}/growth")));
        let contender = gateway(&stage, requests.collect())?;
        add(&mut curve, &stage, &contender, size).await;
    }
    Ok(vec![curve])
}

async fn clients(bench: &Bench) -> anyhow::Result<Vec<Curve>> {
    let mut curve = Curve::new(ISSUE, "registered clients");
    for size in Sweep::Clients.sizes(bench) {
        let setting = Setting {
            clients: size - 1,
            ..Setting::default()
        };
        let stage = Stage::set_with(bench, setting)?;
        let contender = issuing(&stage)?;
        add(&mut curve, &stage, &contender, size).await;
    }
    Ok(vec![curve])
}

async fn stored_tokens(bench: &Bench) -> anyhow::Result<Vec<Curve>> {
    let mut introspected = Curve::new("Authorization server, introspection (JSON)", "stored tokens");
    let mut issued = Curve::new(ISSUE, "stored tokens");
    let file = bench.ground.fresh_directory("store")?.join("tokens.redb");
    let mut stored = 0;
    for size in Sweep::StoredTokens.sizes(bench) {
        let names = bench.ground.fill_store(&file, size - stored)?;
        stored = size;
        let setting = Setting {
            store: Some(&file),
            ..Setting::default()
        };
        let stage = Stage::set_with(bench, setting)?;
        let names = fs::read_to_string(&names).with_context(|| names.display().to_string())?;
        let contender = introspecting(&stage, names.lines()).await?;
        add(&mut introspected, &stage, &contender, size).await;
        let contender = issuing(&stage)?;
        add(&mut issued, &stage, &contender, size).await;
    }
    fs::remove_file(&file).with_context(|| file.display().to_string())?;
    Ok(vec![introspected, issued])
}

/// Adds a point; one that cannot be measured is told, and the smaller sizes still count.
async fn add(curve: &mut Curve, stage: &Stage<'_>, contender: &Contender, size: usize) {
    match point(stage, contender, size).await {
        Ok(point) => curve.points.push(point),
        Err(error) => stage
            .bench
            .without(&format!("{}: {size} {}", curve.title, curve.of), &error),
    }
}

async fn point(stage: &Stage<'_>, contender: &Contender, size: usize) -> anyhow::Result<Point> {
    let Cost {
        microseconds,
        is_disturbed,
    } = cost(stage, contender).await?;
    let resident = Memory::of_all(&contender.processes)?.resident;
    #[expect(clippy::cast_precision_loss, reason = "bytes of memory, far below 2^52")]
    let mebibytes = resident as f64 / f64::from(1 << 20);
    Ok(Point {
        size,
        microseconds,
        mebibytes,
        is_disturbed,
    })
}

fn gateway(stage: &Stage<'_>, requests: Vec<Request>) -> anyhow::Result<Contender> {
    let gateway = stage.gateway()?;
    let mut load = load(stage, gateway.target()?, &Request::default(), Reuse::KeepAlive)?;
    load.requests = Rc::new(RefCell::new(InTurn::of(requests)));
    Ok(Contender::new(GATEWAY, gateway.process.id(), load, None))
}
