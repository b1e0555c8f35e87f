//! *large*: bodies of 1 MiB and 100 MiB, up and down.

use super::contender::Unit;
use super::hot::{GATEWAY, proxies};
use super::runner::{Prepared, measure};
use super::stage::Stage;
use crate::bench::Bench;
use crate::generator::{Request, Reuse, WarmUp};
use crate::report::{Comparison, JobReport};
use crate::systems::nginx::Variant;

const MEBIBYTE: u64 = 1 << 20;
/// Transfers at once.
const CONNECTIONS: usize = 4;

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<JobReport>> {
    let stage = Stage::set(bench)?.with_gateway("")?.with_nginx(&[Variant::Plain]);
    let authorization = format!("Bearer {}", stage.token().await?);
    let fields = [("authorization", authorization.as_str())];
    let mut reports = Vec::new();
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
                    comparisons: vec![Comparison::without_bar(GATEWAY, Variant::Plain.name())],
                    stage: &stage,
                })
                .await?,
            );
        }
    }
    Ok(reports)
}
