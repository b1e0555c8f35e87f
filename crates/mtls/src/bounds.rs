//! How long a connection may do nothing, and how long a peer may leave an answer unread.
//!
//! HTTP/2 pings keep a connection alive for hyper, so hyper bounds neither: without this a stranger could hold every
//! place of a listener with connections on which nothing is asked.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// The requests in hand on a connection, and when the last one ended.
#[derive(Debug)]
pub struct Requests {
    opened: Instant,
    in_hand: AtomicUsize,
    /// Milliseconds after `opened`.
    last_ended: AtomicU64,
}

impl Requests {
    pub(crate) fn none_yet() -> Self {
        Self {
            opened: Instant::now(),
            in_hand: AtomicUsize::new(0),
            last_ended: AtomicU64::new(0),
        }
    }

    /// How much of `limit` is left before a connection without a request in hand has been idle for too long.
    fn idle_time_left(&self, limit: Duration) -> Duration {
        if self.in_hand.load(Ordering::Acquire) > 0 {
            return limit;
        }
        let last_ended = self.opened + Duration::from_millis(self.last_ended.load(Ordering::Acquire));
        limit.saturating_sub(last_ended.elapsed())
    }
}

/// One request in hand.
struct InHand(Arc<Requests>);

impl InHand {
    fn begin(requests: Arc<Requests>) -> Self {
        requests.in_hand.fetch_add(1, Ordering::AcqRel);
        Self(requests)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let now = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_ended.fetch_max(now, Ordering::AcqRel);
        self.0.in_hand.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Counts the requests of a connection, from their head to the head of their answer.
pub(crate) async fn count(
    Extension(requests): Extension<Arc<Requests>>,
    request: Request,
    next: Next,
) -> Response {
    let _in_hand = InHand::begin(requests);
    next.run(request).await
}

/// A stream that ends when its connection is idle, or its peer reads nothing, for too long.
#[derive(Debug)]
pub struct Bounded<S> {
    stream: S,
    requests: Arc<Requests>,
    idle: Duration,
    idle_check: Pin<Box<Sleep>>,
    unread: Duration,
    // Made when the peer is first waited for; most writes are taken at once.
    unread_deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Bounded<S> {
    pub(crate) fn new(stream: S, requests: Arc<Requests>, idle: Duration, unread: Duration) -> Self {
        Self {
            stream,
            requests,
            idle,
            idle_check: Box::pin(sleep(idle)),
            unread,
            unread_deadline: None,
        }
    }

    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.idle_check.as_mut().poll(context).is_ready() {
            let left = self.requests.idle_time_left(self.idle);
            if left.is_zero() {
                return Poll::Ready(Err(timed_out("the connection was idle for too long")));
            }
            self.idle_check.as_mut().reset(Instant::now() + left);
        }
        Poll::Pending
    }

    fn bounded<T>(&mut self, polled: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.unread_deadline = None;
            return polled;
        }
        let unread = self.unread;
        let deadline = self
            .unread_deadline
            .get_or_insert_with(|| Box::pin(sleep(unread)));
        deadline
            .as_mut()
            .poll(context)
            .map(|()| Err(timed_out("the peer stopped reading")))
    }
}

fn timed_out(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, reason)
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Asked first: a peer that never stops sending pings would otherwise never be asked.
        if let Poll::Ready(ended) = self.poll_idle(context) {
            return Poll::Ready(ended);
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(polled, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.bounded(polled, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.bounded(polled, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.bounded(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);
    const UNREAD: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn ends_a_connection_on_which_nothing_is_asked_whatever_is_sent() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let mut stream = Bounded::new(ours, Arc::new(Requests::none_yet()), IDLE, UNREAD);
        let pings = tokio::spawn(async move {
            while theirs.write_all(b"ping").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let (started, mut buffer) = (Instant::now(), [0; 4]);
        let error = loop {
            if let Err(error) = stream.read_exact(&mut buffer).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), IDLE.as_secs());
        pings.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_a_request_in_hand_and_for_the_idle_time_after_it() {
        let (ours, _theirs) = tokio::io::duplex(1024);
        let requests = Arc::new(Requests::none_yet());
        let mut stream = Bounded::new(ours, Arc::clone(&requests), IDLE, UNREAD);
        let started = Instant::now();
        let in_hand = InHand::begin(requests);
        tokio::spawn(async move {
            sleep(IDLE * 3).await;
            drop(in_hand);
        });
        let error = stream.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= IDLE * 4, "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_on_a_peer_that_stops_reading() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut stream = Bounded::new(ours, Arc::new(Requests::none_yet()), IDLE, UNREAD);
        let started = Instant::now();
        let error = stream.write_all(&[0; 17]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), UNREAD.as_secs());
    }
}
