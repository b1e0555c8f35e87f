//! A closed loop on many connections, and what was measured in a slice of it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use rustls::ClientConfig;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::connection::{Connection, Target};
use super::histogram::Histogram;
use super::request::{Request, Requests};
use super::tls::{Resume, TlsMaker};

/// How long the connections may take to have one answer each.
const PATIENCE: Duration = Duration::from_secs(20);

/// A slice that ends so is repeated with more requests.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the requests ran out before the time was over")]
pub(crate) struct RanOut;

/// How long a slice is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    /// Not measured; lasts longer where [`WarmUp`] says so.
    pub(crate) warm_up: Duration,
    /// Measured.
    pub(crate) measured: Duration,
}

/// What becomes of a connection after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// The next request goes over it.
    KeepAlive,
    /// It is closed; each request has its own.
    NewConnection,
}

/// When a slice may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WarmUp {
    /// Once every connection has had an answer: no handshake of theirs is measured.
    UntilAnswered,
    /// After its time: beside bodies of many MiB a handshake is nothing.
    ByTime,
}

/// A load: who sends what to whom, and what has to come back.
#[derive(Clone)]
pub(crate) struct Load {
    /// Where it goes.
    pub(crate) target: Target,
    /// With which certificate.
    pub(crate) tls: TlsMaker,
    /// Whether sessions are resumed.
    pub(crate) resume: Resume,
    /// What becomes of connections.
    pub(crate) reuse: Reuse,
    /// How many at once.
    pub(crate) connections: usize,
    /// The requests.
    pub(crate) requests: Rc<RefCell<dyn Requests>>,
    /// The only status that counts.
    pub(crate) expected: u16,
    /// When a slice may begin.
    pub(crate) warm_up: WarmUp,
}

impl Load {
    /// So many connections that are kept and resume nothing, all answers 200.
    pub(crate) fn kept_alive(
        target: Target,
        tls: TlsMaker,
        connections: usize,
        requests: impl Requests + 'static,
    ) -> Self {
        Self {
            target,
            tls,
            resume: Resume::Never,
            reuse: Reuse::KeepAlive,
            connections,
            requests: Rc::new(RefCell::new(requests)),
            expected: 200,
            warm_up: WarmUp::UntilAnswered,
        }
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Load")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// What a slice came to.
#[derive(Clone, Debug)]
pub(crate) struct Slice<R> {
    /// What the meter read at the start and at the end.
    pub(crate) readings: (R, R),
    /// How long it was.
    pub(crate) elapsed: Duration,
    /// Answers, all as expected.
    pub(crate) requests: u64,
    /// Bytes of bodies, both ways.
    pub(crate) bytes: u64,
    /// Handshakes that resumed a session.
    pub(crate) resumed: u64,
    /// Handshakes.
    pub(crate) handshakes: u64,
    /// From the first byte of a request, or of its handshake, to the last of its answer.
    pub(crate) latencies: Histogram,
}

/// Runs a slice, reading `meter` where the measured part begins and where it ends.
///
/// # Errors
///
/// An answer with another status, a connection that fails, requests that run out.
pub(crate) async fn run<R>(
    load: &Load,
    length: Length,
    mut meter: impl FnMut() -> anyhow::Result<R>,
) -> anyhow::Result<Slice<R>> {
    let shared = Rc::new(Shared::default());
    let mut connections = JoinSet::new();
    for _ in 0..load.connections {
        connections.spawn_local(keep_busy(load.clone(), Rc::clone(&shared)));
    }
    tokio::time::sleep(length.warm_up).await;
    if load.warm_up == WarmUp::UntilAnswered {
        tokio::time::timeout(PATIENCE, shared.answered_on(load.connections))
            .await
            .context("not every connection had an answer in time")?;
    }
    shared.verify()?;
    shared.begin();
    let (started, first) = (Instant::now(), meter()?);
    tokio::select! {
        () = tokio::time::sleep(length.measured) => {}
        () = shared.failed.notified() => {}
    }
    // On a machine full of strangers a slice of handshakes may pass without an answer.
    while !shared.has_answers() && started.elapsed() < PATIENCE {
        tokio::time::sleep(length.warm_up).await;
    }
    let (elapsed, last) = (started.elapsed(), meter()?);
    let slice = Slice {
        readings: (first, last),
        elapsed,
        requests: shared.requests.get(),
        bytes: shared.bytes.get(),
        resumed: shared.resumed.get(),
        handshakes: shared.handshakes.get(),
        latencies: shared.latencies.take(),
    };
    connections.shutdown().await;
    shared.verify()?;
    ensure!(shared.has_answers(), "not one answer in {elapsed:?}");
    Ok(slice)
}

/// Sends all requests there are, and measures nothing.
///
/// # Errors
///
/// As [`run`], but for requests that run out.
pub(crate) async fn send_all(load: &Load) -> anyhow::Result<()> {
    let shared = Rc::new(Shared::default());
    let mut connections = JoinSet::new();
    for _ in 0..load.connections {
        let (load, shared) = (load.clone(), Rc::clone(&shared));
        connections.spawn_local(async move { requests_in_turn(&load, &shared).await });
    }
    while let Some(ended) = connections.join_next().await {
        ended??;
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Shared {
    warm: Cell<usize>,
    warmer: Notify,
    requests: Cell<u64>,
    bytes: Cell<u64>,
    handshakes: Cell<u64>,
    resumed: Cell<u64>,
    latencies: RefCell<Histogram>,
    failure: RefCell<Option<anyhow::Error>>,
    failed: Notify,
}

impl Shared {
    async fn answered_on(&self, connections: usize) {
        while self.warm.get() < connections && self.failure.borrow().is_none() {
            self.warmer.notified().await;
        }
    }

    fn begin(&self) {
        for counter in [&self.requests, &self.bytes, &self.handshakes, &self.resumed] {
            counter.set(0);
        }
        *self.latencies.borrow_mut() = Histogram::default();
    }

    /// Whether there is something to divide by, or nothing more to wait for.
    fn has_answers(&self) -> bool {
        self.requests.get() > 0 || self.bytes.get() > 0 || self.failure.borrow().is_some()
    }

    fn verify(&self) -> anyhow::Result<()> {
        self.failure.borrow_mut().take().map_or(Ok(()), Err)
    }

    fn fail(&self, error: anyhow::Error) {
        self.failure.borrow_mut().get_or_insert(error);
        self.failed.notify_one();
        self.warmer.notify_one();
    }
}

fn increment(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

async fn keep_busy(load: Load, shared: Rc<Shared>) {
    let ended = requests_in_turn(&load, &shared).await;
    shared.fail(ended.map_or_else(|error| error, |()| RanOut.into()));
}

/// Ends when there are no more requests.
async fn requests_in_turn(load: &Load, shared: &Shared) -> anyhow::Result<()> {
    // One configuration per connection slot: a slot resumes its own last session, and no two share a ticket.
    let tls = load.tls.make(load.resume);
    let mut request = Request::default();
    let mut open = None;
    let mut is_first = true;
    loop {
        if !load.requests.borrow_mut().next(&mut request) {
            return Ok(());
        }
        let started = Instant::now();
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => connect(load, &tls, shared).await?,
        };
        let answer = connection.exchange(&request, &shared.bytes).await?;
        if answer.status != load.expected {
            let body = String::from_utf8_lossy(connection.body()).into_owned();
            return Err(anyhow!(
                "answered {} where {} was expected: {body}",
                answer.status,
                load.expected
            ));
        }
        load.requests.borrow_mut().answered(connection.body());
        shared.latencies.borrow_mut().record(started.elapsed());
        match load.reuse {
            Reuse::KeepAlive if !answer.closes => open = Some(connection),
            Reuse::KeepAlive | Reuse::NewConnection => connection.close().await,
        }
        increment(&shared.requests);
        if is_first {
            is_first = false;
            shared.warm.set(shared.warm.get() + 1);
            shared.warmer.notify_one();
        }
    }
}

async fn connect(load: &Load, tls: &Arc<ClientConfig>, shared: &Shared) -> anyhow::Result<Connection> {
    let connection = Connection::open(&load.target, Arc::clone(tls)).await?;
    increment(&shared.handshakes);
    if connection.is_resumed() {
        increment(&shared.resumed);
    }
    Ok(connection)
}
