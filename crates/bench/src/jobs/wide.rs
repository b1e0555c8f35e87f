//! *wide*: what is held in memory for many tokens and many clients.

use std::cell::Cell;
use std::rc::Rc;
use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use oauth_core::time::Timestamp;
use pki::{Days, KeyAlgorithm, Leaf, Root, Validity};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::JoinSet;

use super::hot::authorized;
use super::runner::place;
use super::stage::{PARTNER, Stage};
use super::tokens::{self, access_token, token_form};
use crate::bench::Bench;
use crate::generator::{Connection, KeyExchange, Resume, Target, TlsMaker};
use crate::measure::Memory;
use crate::plan::Plan;
use crate::report::{Bound, Fact, JobReport};
use crate::systems::authorization_server::{AuthorizationServer, Setting};

/// Clients at work at once.
const WORKERS: usize = 32;
const KIBIBYTE: f64 = 1024.0;
const MEBIBYTE: f64 = 1024.0 * 1024.0;
/// The gateway's table `[cache]`: it is to keep them all, and as long as the job takes.
pub(crate) const CACHE: &str = "[cache]\ncapacity = 400000\nmax_age = \"1h\"";
/// What the authorization server's `[tokens]` has to say for that.
pub(crate) const TOKENS: &str = "revocation_window = \"1h\"";

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<JobReport>> {
    Ok(vec![cached(bench).await?, stored(bench).await?])
}

/// The gateway with many tokens of many clients in its cache.
async fn cached(bench: &Bench) -> anyhow::Result<JobReport> {
    let plan = &bench.plan;
    let setting = Setting {
        clients: plan.wide_clients,
        tokens: TOKENS,
        store: None,
    };
    let stage = Stage::set_with(bench, setting)?.with_gateway(CACHE)?;
    place(&stage, bench.split.unwrap_or(bench.one_core))?;
    let gateway = stage.gateway()?.process.id();
    let idle = Memory::of(gateway)?.resident;
    let progress = Cell::new(0);
    let clients = Clients::of(&stage)?;
    let mut workers = JoinSet::new();
    let per_client = plan.wide_tokens / plan.wide_clients;
    let mut next = 0..plan.wide_clients;
    loop {
        while workers.len() < WORKERS
            && let Some(number) = next.next()
        {
            workers.spawn_local(clients.clone().use_tokens(number, per_client));
        }
        let Some(ended) = workers.join_next().await else {
            break;
        };
        ended??;
        progress.set(progress.get() + 1);
        if progress.get() % 100 == 0 {
            bench.progress(&format!(
                "wide: {} of {} clients",
                progress.get(),
                plan.wide_clients
            ));
        }
    }
    let memory = Memory::of(gateway)?;
    let tokens = per_client * plan.wide_clients;
    let per_token = float(memory.resident.saturating_sub(idle)) / count(tokens) / KIBIBYTE;
    let facts = vec![
        Fact::new(
            "gateway, idle",
            float(idle) / MEBIBYTE,
            "MiB resident",
            Bound::AtMost(24.0),
        ),
        Fact::new(
            &format!("gateway, per cached token above idle ({tokens} tokens)"),
            per_token,
            "KiB",
            // Of fewer, what the connections took is most.
            at_full_size(tokens >= Plan::FULL.wide_tokens, 1.0),
        ),
        Fact::new(
            "gateway, highest",
            float(memory.peak) / MEBIBYTE,
            "MiB resident",
            Bound::None,
        ),
    ];
    Ok(JobReport::of_facts(
        "wide, cached tokens",
        &format!(
            "{tokens} live tokens of {} clients, each with its own certificate",
            plan.wide_clients
        ),
        facts,
    ))
}

/// The authorization server with many live tokens in its store.
async fn stored(bench: &Bench) -> anyhow::Result<JobReport> {
    /// Progress is told after so many.
    const BATCH: usize = 10_000;
    let stage = Stage::set(bench)?;
    place(&stage, bench.split.unwrap_or(bench.one_core))?;
    let server = stage.authorization_server.process.id();
    let (idle, tls) = (Memory::of(server)?.resident, stage.tls(PARTNER)?);
    let wanted = bench.plan.stored_tokens;
    for issued in (0..wanted).step_by(BATCH) {
        bench.progress(&format!("wide: {issued} of {wanted} tokens stored"));
        tokens::issue(
            &stage.authorization_server,
            &tls,
            "partner-client",
            BATCH.min(wanted - issued),
        )
        .await?;
    }
    let memory = Memory::of(server)?;
    let facts = vec![
        Fact::new(
            "authorization server, idle",
            float(idle) / MEBIBYTE,
            "MiB resident",
            Bound::None,
        ),
        Fact::new(
            &format!("authorization server, {wanted} live tokens stored"),
            float(memory.resident) / MEBIBYTE,
            "MiB resident",
            at_full_size(wanted >= Plan::FULL.stored_tokens, 128.0),
        ),
    ];
    Ok(JobReport::of_facts(
        "wide, stored tokens",
        "live tokens in the embedded store",
        facts,
    ))
}

/// A quick run judges nothing that is demanded of many tokens.
const fn at_full_size(is_full: bool, most: f64) -> Bound {
    if is_full { Bound::AtMost(most) } else { Bound::None }
}

/// Makes one client after another, each with a certificate that our authorization server knows by its subject.
#[derive(Clone, Debug)]
struct Clients {
    root: Rc<Root>,
    token_endpoint: Target,
    gateway: Target,
}

impl Clients {
    fn of(stage: &Stage<'_>) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = stage.bench.ground.certificate(name);
            std::fs::read(&path).context(path)
        };
        Ok(Self {
            root: Rc::new(Root::from_pem(&read("root.pem")?, &read("root.key")?)?),
            token_endpoint: stage.authorization_server.target()?,
            gateway: stage.gateway()?.target()?,
        })
    }

    /// Gets so many tokens, and uses each of them once.
    async fn use_tokens(self, number: usize, count: usize) -> anyhow::Result<()> {
        let tls = self.certificate(number)?;
        let mut connection = Connection::open(&self.token_endpoint, tls.make(Resume::Never)).await?;
        let client_id = format!("client-{number}");
        let request = AuthorizationServer::token_endpoint().with(&token_form(&client_id));
        let mut tokens = Vec::with_capacity(count);
        for _ in 0..count {
            let answer = connection.exchange(&request, &Cell::new(0)).await?;
            ensure!(
                answer.status == 200,
                "{client_id} got no token: {}",
                answer.status
            );
            tokens.push(access_token(connection.body())?);
        }
        connection.close().await;
        let mut connection = Connection::open(&self.gateway, tls.make(Resume::Never)).await?;
        for token in tokens {
            let answer = connection
                .exchange(&authorized(&token, "/http/wide"), &Cell::new(0))
                .await?;
            ensure!(answer.status == 200, "{client_id} was refused: {}", answer.status);
        }
        connection.close().await;
        Ok(())
    }

    fn certificate(&self, number: usize) -> anyhow::Result<TlsMaker> {
        let leaf = Leaf {
            subject: format!("CN=bench-{number}").parse()?,
            subject_alternative_names: Vec::new(),
            validity: Validity::starting(Days::of_leaf(1)?, Timestamp::from(SystemTime::now())),
        };
        let identity = self.root.issue_client(&leaf, KeyAlgorithm::EcdsaP256)?;
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).context("a client's key")?;
        TlsMaker::from_der(
            vec![CertificateDer::from(identity.certificate().der().to_vec())],
            key,
            CertificateDer::from(self.root.certificate().der().to_vec()),
            KeyExchange::X25519,
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory, far below 2^52")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

#[expect(clippy::cast_precision_loss, reason = "tokens, far below 2^52")]
fn count(tokens: usize) -> f64 {
    tokens as f64
}
