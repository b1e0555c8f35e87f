//! *cold*: a token on every request that the proxy has never seen, introspected at our authorization server.

use std::cell::RefCell;
use std::iter;
use std::rc::Rc;

use super::hot::{GATEWAY, authorized, proxies};
use super::runner::{Prepared, measure, place};
use super::stage::Stage;
use super::tokens::Supply;
use crate::bench::Bench;
use crate::generator::{Each, Reuse};
use crate::instructions::cpu_time_of_verification;
use crate::report::{Comparison, JobReport};
use crate::systems::nginx::Variant;

const PATH: &str = "/http/cold";

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<JobReport>> {
    let stage = Stage::set(bench)?.with_gateway("")?.with_nginx(&[Variant::Lua]);
    let mut contenders = proxies(&stage, &authorized(&stage.token().await?, PATH), Reuse::KeepAlive)?;
    for contender in &mut contenders {
        let supply = Supply::new();
        let tokens = Rc::clone(&supply);
        let requests = iter::from_fn(move || Some(authorized(&tokens.take()?, PATH)));
        contender.load.requests = Rc::new(RefCell::new(Each(requests)));
        contender.supply = Some(supply);
    }
    place(&stage, bench.one_core)?;
    let verification = cpu_time_of_verification()?.as_secs_f64() * 1e6;
    let report = measure(Prepared {
        name: "cold".into(),
        description: format!(
            "{} kept-alive connections, a token never seen before on every request, introspected at our server. Only \
             the gateway verifies the JWT; the last line takes off the {verification:.1} µs that one verification, \
             repeated alone, costs on the same core in the same run",
            bench.plan.connections
        ),
        contenders,
        comparisons: vec![
            Comparison::new(GATEWAY, Variant::Lua.name(), 1.5),
            Comparison::new(GATEWAY, Variant::Lua.name(), 0.75).less("the JWT's verification", verification),
        ],
        stage: &stage,
    })
    .await?;
    Ok(vec![report])
}
