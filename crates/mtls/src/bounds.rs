//! How long a connection may do nothing.
//!
//! HTTP/2 pings keep a connection alive for hyper, so hyper does not bound it: without this a stranger could hold every
//! place of a listener with connections on which nothing is asked.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};
use tower::Service;

use crate::until::Reason;

/// The requests in hand on a connection, and when the last one ended.
#[derive(Debug)]
pub(crate) struct Requests {
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

/// The service of a connection that counts its requests, from their head to the head of their answer.
#[derive(Clone, Debug)]
pub(crate) struct Counted<S> {
    service: S,
    requests: Arc<Requests>,
}

impl<S> Counted<S> {
    pub(crate) fn new(service: S, requests: Arc<Requests>) -> Self {
        Self { service, requests }
    }
}

impl<S, R> Service<R> for Counted<S>
where
    S: Service<R, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let in_hand = InHand::begin(Arc::clone(&self.requests));
        let answer = self.service.call(request);
        Box::pin(async move {
            let _in_hand = in_hand;
            answer.await
        })
    }
}

/// The connection has been idle for too long.
#[derive(Debug)]
pub(crate) struct Idle {
    requests: Arc<Requests>,
    limit: Duration,
    check: Pin<Box<Sleep>>,
}

impl Idle {
    pub(crate) fn new(requests: Arc<Requests>, limit: Duration) -> Self {
        let check = Box::pin(sleep(limit));
        Self {
            requests,
            limit,
            check,
        }
    }
}

impl Reason for Idle {
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.check.as_mut().poll(context));
            let left = self.requests.idle_time_left(self.limit);
            if left.is_zero() {
                let reason = "the connection was idle for too long";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)));
            }
            self.check.as_mut().reset(Instant::now() + left);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::until::Until;

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn ends_a_connection_on_which_nothing_is_asked_whatever_is_sent() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let mut stream = Until::new(ours, Idle::new(Arc::new(Requests::none_yet()), IDLE));
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
        let mut stream = Until::new(ours, Idle::new(Arc::clone(&requests), IDLE));
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
}
