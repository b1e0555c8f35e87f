//! The open connections to one server that wait for a request.
//!
//! The one used last is used next, so that those a quiet hour does not need end.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::MOST_REQUESTS_PER_SERVER;
use super::http1::{Connected, Connection, Lent};
use super::lease::{Lease, Outbound};
use super::server::Server;
use crate::lock::lock;

/// For a connection without a request. Below the time after which our servers close one, so that no request meets a
/// closed connection.
const IDLE: Duration = Duration::from_secs(20);
const BETWEEN_SWEEPS: Duration = Duration::from_secs(5);
/// [`IDLE`] in sweeps, so that no clock is read where a connection is kept.
const SWEEPS_OF_IDLE: u64 = IDLE.as_secs() / BETWEEN_SWEEPS.as_secs();
/// Bounds the descriptors idle connections take. As many as one route's requests can need, so that a rush does not close
/// and open connections all the while.
const MOST_IDLE: usize = MOST_REQUESTS_PER_SERVER;
/// Streams of one HTTP/2 connection, unless its server allows fewer; further requests open another. No more than its
/// flow-control window has room for, so that one whose caller does not read holds up no other; and as many as servers
/// should at least allow. RFC 9113 §6.5.2
pub(super) const MOST_STREAMS: u32 = 100;

/// The connections of one worker to one server that have room for a request.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    generation: u64,
    /// Each with the number of the sweep before it was kept.
    idle: VecDeque<(Box<Connection>, u64)>,
    sweeps: u64,
    shared: Vec<Shared>,
    is_swept: bool,
}

/// A connection that carries several requests at once.
#[derive(Debug)]
pub(super) struct Shared {
    sender: http2::SendRequest<Outbound>,
    /// Until it has ended.
    connection: Weak<Mutex<Http2Connection>>,
    streams: Arc<Streams>,
}

type Http2Connection = http2::Connection<Connected, Outbound, TokioExecutor>;

#[derive(Debug)]
struct Streams {
    open: AtomicU32,
    idle_since: Mutex<Instant>,
}

/// A stream for one request.
#[derive(Debug)]
pub(crate) struct Stream {
    sender: http2::SendRequest<Outbound>,
    open: OpenStream,
}

/// That a stream is not over; clones are of the same one, and it is over with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct OpenStream(Arc<Opened>);

#[derive(Debug)]
struct Opened(Arc<Streams>);

impl Pool {
    /// A connection made since `generation`, over which a request can go; older ones are let go.
    pub(super) fn take(&self, generation: u64, server: &Arc<Server>) -> Option<Lease> {
        let mut open = self.lock();
        open.renew(generation);
        if let Some(stream) = open.stream() {
            return Some(Lease::Http2(stream));
        }
        while let Some((mut connection, _)) = open.idle.pop_back() {
            if connection.is_quiet() {
                return Some(Lease::Http1(Lent::new(connection, Arc::clone(server))));
            }
        }
        None
    }

    /// Keeps a connection on which nothing is under way.
    pub(super) fn keep(&self, connection: Box<Connection>, server: &Arc<Server>) {
        let mut open = self.lock();
        open.renew(connection.generation);
        if connection.generation == open.generation && open.idle.len() < MOST_IDLE {
            let sweeps = open.sweeps;
            open.idle.push_back((connection, sweeps));
            self.sweep_from_now_on(&mut open, server);
        }
    }

    /// Takes up a new connection for this request and those that come; where another came first, that one.
    pub(super) fn share(&self, shared: Shared, generation: u64, server: &Arc<Server>) -> Stream {
        let mut open = self.lock();
        open.renew(generation);
        if let Some(stream) = open.stream() {
            return stream;
        }
        let stream = Stream::of(&shared);
        if generation == open.generation {
            open.shared.push(shared);
            self.sweep_from_now_on(&mut open, server);
        }
        stream
    }

    /// Starts to look after idle connections, unless somebody does.
    fn sweep_from_now_on(&self, open: &mut Open, server: &Arc<Server>) {
        let (false, Ok(runtime)) = (open.is_swept, Handle::try_current()) else {
            return;
        };
        open.is_swept = true;
        let number = server.pools.iter().position(|pool| std::ptr::eq(pool, self));
        runtime.spawn(sweep(Arc::downgrade(server), number.unwrap_or_default()));
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        lock(&self.0)
    }
}

/// Ends what has been idle for too long or was closed by the server, until nothing is left or the server is gone.
async fn sweep(server: Weak<Server>, number: usize) {
    loop {
        sleep(BETWEEN_SWEEPS).await;
        let Some(server) = server.upgrade() else {
            return;
        };
        let mut open = server.pools[number].lock();
        open.end_idle();
        if open.idle.is_empty() && open.shared.is_empty() {
            open.is_swept = false;
            return;
        }
    }
}

impl Open {
    /// Lets go of what was opened before `generation`.
    fn renew(&mut self, generation: u64) {
        if generation > self.generation {
            self.generation = generation;
            self.idle.clear();
            self.shared.clear();
        }
    }

    fn stream(&mut self) -> Option<Stream> {
        self.shared.retain(|shared| !shared.sender.is_closed());
        self.shared
            .iter()
            .find(|shared| shared.has_room())
            .map(Stream::of)
    }

    fn end_idle(&mut self) {
        self.sweeps += 1;
        let sweeps = self.sweeps;
        self.idle
            .retain_mut(|(connection, kept)| sweeps - *kept < SWEEPS_OF_IDLE && connection.is_quiet());
        self.shared
            .retain(|shared| !shared.sender.is_closed() && !shared.is_idle());
    }
}

impl Shared {
    /// A new connection, which a task drives from here on.
    pub(super) fn driven(sender: http2::SendRequest<Outbound>, connection: Http2Connection) -> Self {
        let connection = Arc::new(Mutex::new(connection));
        let shared = Self {
            sender,
            connection: Arc::downgrade(&connection),
            streams: Arc::new(Streams::new()),
        };
        tokio::spawn(poll_fn(move |context| {
            Pin::new(&mut *lock(&connection)).poll(context)
        }));
        shared
    }

    /// Beyond what the server allows, requests would wait on the connection for others to end.
    fn has_room(&self) -> bool {
        let open = self.streams.open.load(Ordering::Relaxed);
        open < MOST_STREAMS && (open as usize) < self.allowed_streams()
    }

    /// How many streams the server allows, which may change at any time; none, once the connection has ended.
    /// RFC 9113 §5.1.2
    fn allowed_streams(&self) -> usize {
        let connection = self.connection.upgrade();
        match connection.map(|connection| lock(&connection).current_max_send_streams()) {
            // For a while, says the RFC: requests wait for its end rather than open one connection each.
            Some(0) => usize::MAX,
            Some(allowed) => allowed,
            None => 0,
        }
    }

    fn is_idle(&self) -> bool {
        let Streams { open, idle_since } = &*self.streams;
        open.load(Ordering::Relaxed) == 0 && lock(idle_since).elapsed() >= IDLE
    }
}

impl Streams {
    fn new() -> Self {
        Self {
            open: AtomicU32::new(0),
            idle_since: Mutex::new(Instant::now()),
        }
    }
}

impl Stream {
    fn of(shared: &Shared) -> Self {
        Self {
            sender: shared.sender.clone(),
            open: OpenStream::of(&shared.streams),
        }
    }

    pub(super) const fn sender(&mut self) -> &mut http2::SendRequest<Outbound> {
        &mut self.sender
    }

    pub(super) fn open(&self) -> OpenStream {
        self.open.clone()
    }
}

impl OpenStream {
    fn of(streams: &Arc<Streams>) -> Self {
        streams.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Opened(Arc::clone(streams))))
    }

    /// Whether nobody else holds the stream open.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            *lock(&self.0.idle_since) = Instant::now();
        }
    }
}

#[cfg(test)]
impl OpenStream {
    /// Of a connection that nobody has.
    pub(crate) fn of_test() -> Self {
        Self::of(&Arc::new(Streams::new()))
    }
}
