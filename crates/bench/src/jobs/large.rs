//! *large*: bodies of 1 MiB and 100 MiB, up and down.

use super::contender::Unit;
use super::hot::{GATEWAY, proxies};
use super::runner::{Prepared, measure};
use super::stage::Stage;
use crate::bench::Bench;
use crate::generator::{Request, Reuse, WarmUp};
use crate::measure::Memory;
use crate::report::{Bound, Comparison, Fact, JobReport, Measure};
use crate::systems::nginx::Variant;

const MEBIBYTE: u64 = 1 << 20;
/// Transfers at once.
const CONNECTIONS: usize = 4;

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<JobReport>> {
    let stage = Stage::set(bench)?
        .with_gateway("")?
        .with_nginx(&[Variant::Plain, Variant::Tuned]);
    let authorization = format!("Bearer {}", stage.token().await?);
    let fields = [("authorization", authorization.as_str())];
    let gateway = stage.gateway()?.process.id();
    let idle = Memory::of(gateway)?.peak;
    let mut reports: Vec<JobReport> = Vec::new();
    let mut highest = Vec::new();
    for mebibytes in [1, 100] {
        let length = mebibytes * MEBIBYTE;
        let download = Request::get("api.example.com", &format!("/http/bytes/{length}"), &fields);
        let upload = Request::upload("api.example.com", "/http/upload", &fields, length);
        for (direction, request) in [("down", download), ("up", upload)] {
            let mut contenders = proxies(&stage, &request, Reuse::KeepAlive)?;
            for contender in &mut contenders {
                contender.unit = Unit::Mebibyte;
                contender.load.connections = CONNECTIONS;
                contender.load.warm_up = WarmUp::ByTime;
                // An upload would go on after its refusal.
                if let Some(refusal) = &mut contender.refusal {
                    refusal.request = Request::get("api.example.com", "/http/refused", &fields);
                }
            }
            reports.push(
                measure(Prepared {
                    name: format!("large, {mebibytes} MiB {direction}"),
                    description: format!("{CONNECTIONS} transfers at once, HTTP upstream, CPU time per MiB"),
                    contenders,
                    comparisons: comparisons(mebibytes),
                    stage: &stage,
                })
                .await?,
            );
        }
        highest.push(Memory::of(gateway)?.peak);
    }
    if let (Some(last), &[small, large]) = (reports.last_mut(), &highest[..]) {
        last.facts = memory(idle, small, large);
    }
    Ok(reports)
}

/// What is demanded of large bodies; below it, connections and heads still weigh.
fn comparisons(mebibytes: u64) -> Vec<Comparison> {
    let peer = Variant::Plain.name();
    let rate = Comparison::without_bar(GATEWAY, peer).of(Measure::Duration);
    vec![
        if mebibytes == 100 {
            Comparison::new(GATEWAY, peer, 1.0)
        } else {
            Comparison::without_bar(GATEWAY, peer)
        },
        Comparison::without_bar(GATEWAY, Variant::Tuned.name()),
        rate,
    ]
}

/// A hundred times the body, and not one buffer more.
fn memory(idle: u64, small: u64, large: u64) -> Vec<Fact> {
    let above = |more: u64, less: u64| mebibytes(more.saturating_sub(less));
    vec![
        Fact::new(
            "gateway, peak with bodies of 1 MiB above idle",
            above(small, idle),
            "MiB",
            Bound::None,
        ),
        Fact::new(
            "gateway, peak with bodies of 100 MiB above its peak with bodies of 1 MiB",
            above(large, small),
            "MiB",
            Bound::AtMost(1.0),
        ),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory, far below 2^52")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MEBIBYTE as f64
}
