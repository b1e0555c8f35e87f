//! The bodies of a connection's answers: streamed, and given up where they get no further, whoever is to blame.
//!
//! The connection looks after them, since a body may be left alone for good: over HTTP/2, nobody asks for more of one
//! whose client opens no window, and what it holds is a connection to the API.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::time::{Instant, sleep};

use crate::activity::UnderWay;
use crate::body::clean_trailers;
use crate::headers;
use crate::lock::lock;
use crate::upstream::{AnswerBody, AnswerError, UpstreamPlace};

/// What an answer consists of.
#[derive(Debug)]
pub(crate) enum Content {
    Own(Full<Bytes>),
    Upstream { body: AnswerBody, _place: UpstreamPlace },
}

impl Content {
    /// The gateway's own words.
    pub(crate) fn own(words: Bytes) -> Self {
        Self::Own(Full::new(words))
    }

    /// The API's, with the connection and the place that it takes until it is dropped.
    pub(crate) const fn upstream(body: AnswerBody, place: UpstreamPlace) -> Self {
        Self::Upstream { body, _place: place }
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Own(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Upstream { body, .. } => Pin::new(body)
                .poll_frame(context)
                .map_ok(|frame| clean_trailers(frame, headers::clean_response_trailers))
                .map_err(BodyError::Upstream),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Upstream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Upstream { body, .. } => body.size_hint(),
        }
    }
}

/// The bodies on their way out over one connection.
#[derive(Debug, Default)]
pub(crate) struct ResponseBodies(Mutex<Vec<Arc<Mutex<Progress>>>>);

impl ResponseBodies {
    /// A body that goes out over this connection from `now` on; the request is under way until it has, or is given up.
    pub(crate) fn begin(
        self: &Arc<Self>,
        content: Content,
        under_way: UnderWay,
        now: Instant,
    ) -> ResponseBody {
        let progress = Arc::new(Mutex::new(Progress {
            outgoing: Some((content, under_way)),
            last: now,
            waiting: None,
        }));
        lock(&self.0).push(Arc::clone(&progress));
        ResponseBody {
            progress,
            siblings: Arc::clone(self),
        }
    }

    /// Gives up every body that makes no progress for as long as `limit`: what it holds is let go at once, and an
    /// error ends it as soon as somebody asks for more of it.
    pub(crate) async fn give_up_stalled(&self, limit: Duration) -> Infallible {
        loop {
            sleep(self.sweep(limit)).await;
        }
    }

    /// Returns for how long nothing more can stall: a body that begins now, for the whole limit.
    fn sweep(&self, limit: Duration) -> Duration {
        let bodies = lock(&self.0).clone();
        let mut rest = limit;
        for body in bodies {
            let quiet = lock(&body).last.elapsed();
            if quiet >= limit {
                give_up(&body);
            } else {
                rest = rest.min(limit - quiet);
            }
        }
        rest
    }
}

fn give_up(body: &Mutex<Progress>) {
    let (outgoing, waiting) = {
        let mut progress = lock(body);
        (progress.outgoing.take(), progress.waiting.take())
    };
    drop(outgoing);
    if let Some(waker) = waiting {
        waker.wake();
    }
}

/// How far a body has come; nothing is left to go out of one that was given up.
struct Progress {
    outgoing: Option<(Content, UnderWay)>,
    last: Instant,
    waiting: Option<Waker>,
}

impl fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Progress")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

/// The body of an answer; [`ResponseBodies`] makes it.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    progress: Arc<Mutex<Progress>>,
    siblings: Arc<ResponseBodies>,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut progress = lock(&self.progress);
        let Some((content, _)) = progress.outgoing.as_mut() else {
            return Poll::Ready(Some(Err(BodyError::Stalled)));
        };
        let polled = content.poll_frame(context);
        if polled.is_ready() {
            // At its end nothing more of it can stall, for whoever sends it lets go of it; and reading a clock costs.
            if !content.is_end_stream() {
                progress.last = Instant::now();
            }
            progress.waiting = None;
        } else {
            progress.waiting = Some(context.waker().clone());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.progress)
            .outgoing
            .as_ref()
            .is_some_and(|(content, _)| content.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.progress)
            .outgoing
            .as_ref()
            .map_or_else(SizeHint::default, |(content, _)| content.size_hint())
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // A connection has few at a time: one over HTTP/1.1, its streams over HTTP/2.
        lock(&self.siblings.0).retain(|sibling| !Arc::ptr_eq(sibling, &self.progress));
    }
}

/// Why an answer's body breaks off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the API broke off in the middle of its answer")]
    Upstream(#[source] AnswerError),
    #[error("the answer got no further for too long")]
    Stalled,
}
