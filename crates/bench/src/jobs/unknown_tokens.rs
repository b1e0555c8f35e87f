//! *cold*: a token on every request that the proxy has never seen, introspected at our authorization server.

use std::cell::RefCell;
use std::rc::Rc;

use super::hot::{GATEWAY, authorized, proxies};
use super::runner::{Prepared, measure};
use super::stage::Stage;
use super::tokens::Supply;
use crate::bench::Bench;
use crate::generator::{Request, Requests, Reuse};
use crate::report::{Comparison, JobReport};
use crate::systems::nginx::Variant;

const PATH: &str = "/http/cold";

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<JobReport>> {
    let stage = Stage::set(bench)?.with_gateway("")?.with_nginx(&[Variant::Lua]);
    let mut contenders = proxies(&stage, &authorized(&stage.token().await?, PATH), Reuse::KeepAlive)?;
    for contender in &mut contenders {
        let supply = Supply::new();
        contender.load.requests = Rc::new(RefCell::new(EachOnce(Rc::clone(&supply))));
        contender.supply = Some(supply);
    }
    let report = measure(Prepared {
        name: "cold".into(),
        description: format!(
            "{} kept-alive connections, a token never seen before on every request, introspected at our server; \
             only the gateway verifies the JWT's signature",
            bench.plan.connections
        ),
        contenders,
        comparisons: vec![Comparison::new(GATEWAY, Variant::Lua.name(), 1.5)],
        stage: &stage,
    })
    .await?;
    Ok(vec![report])
}

struct EachOnce(Rc<Supply>);

impl Requests for EachOnce {
    fn next(&mut self, request: &mut Request) -> bool {
        let Some(token) = self.0.take() else {
            return false;
        };
        *request = authorized(&token, PATH);
        true
    }
}
