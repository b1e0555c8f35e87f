//! Bodies on their way through: streamed, never collected, and never waited for without end.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use crate::activity::{Activity, UnderWay};
use crate::headers;

/// A request's body on its way to the API. What becomes of it can be watched from the [`UploadProgress`].
///
/// Dropped before anything was read of it, it goes back there, so that another server can be tried.
#[derive(Debug)]
pub(crate) struct Upload<B> {
    body: Option<B>,
    is_untouched: bool,
    progress: Arc<UploadProgress<B>>,
}

/// How far a request's body has come.
#[derive(Debug)]
pub(crate) struct UploadProgress<B> {
    activity: Activity,
    waits_for_caller: AtomicBool,
    returned: Mutex<Option<B>>,
}

impl<B> Upload<B> {
    /// A body, and the progress it is going to make.
    pub(crate) fn new(body: B) -> (Self, Arc<UploadProgress<B>>) {
        let progress = Arc::new(UploadProgress {
            activity: Activity::new(),
            waits_for_caller: AtomicBool::new(false),
            returned: Mutex::new(None),
        });
        (
            Self {
                body: Some(body),
                is_untouched: true,
                progress: Arc::clone(&progress),
            },
            progress,
        )
    }
}

impl<B> UploadProgress<B> {
    /// Resolves once nothing of the body has passed for as long as `limit`.
    pub(crate) async fn stalled_for(&self, limit: Duration) {
        self.activity.quiet_for(limit).await;
    }

    /// Whether it is the caller who is waited for, not the API.
    pub(crate) fn waits_for_caller(&self) -> bool {
        self.waits_for_caller.load(Ordering::Relaxed)
    }

    /// The body, if nothing was read of it.
    pub(crate) fn take_back(&self) -> Option<B> {
        self.returned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Upload<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.is_untouched = false;
        let Some(body) = self.body.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        self.progress
            .waits_for_caller
            .store(polled.is_pending(), Ordering::Relaxed);
        if polled.is_ready() {
            self.progress.activity.touch();
        }
        polled.map_ok(|frame| clean_trailers(frame, headers::clean_request_trailers))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> Drop for Upload<B> {
    fn drop(&mut self) {
        if self.is_untouched {
            *self
                .progress
                .returned
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = self.body.take();
        }
    }
}

/// The body of every answer; the request counts as under way for as long as it lives.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    content: Content,
    /// Held for its drop alone.
    _under_way: Option<UnderWay>,
}

#[derive(Debug)]
enum Content {
    Own(Full<Bytes>),
    Upstream(Download),
}

impl ResponseBody {
    /// The gateway's own words.
    pub(crate) fn own(bytes: Bytes) -> Self {
        Self {
            content: Content::Own(Full::new(bytes)),
            _under_way: None,
        }
    }

    /// The API's, given up when nothing comes for as long as `idle_limit`.
    pub(crate) fn upstream(body: Incoming, idle_limit: Duration) -> Self {
        let download = Download {
            body,
            idle_limit,
            deadline: None,
        };
        Self {
            content: Content::Upstream(download),
            _under_way: None,
        }
    }

    /// Keeps the request under way until the body has gone out.
    pub(crate) fn keeping(self, under_way: UnderWay) -> Self {
        Self {
            _under_way: Some(under_way),
            ..self
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.content {
            Content::Own(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Content::Upstream(download) => download.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(body) => body.is_end_stream(),
            Content::Upstream(download) => download.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(body) => body.size_hint(),
            Content::Upstream(download) => download.body.size_hint(),
        }
    }
}

#[derive(Debug)]
struct Download {
    body: Incoming,
    idle_limit: Duration,
    // Made when the API is first waited for; most bodies come at once.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Download {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                self.deadline = None;
                Poll::Ready(frame.map(|frame| {
                    Ok(clean_trailers(
                        frame.map_err(BodyError::Upstream)?,
                        headers::clean_response_trailers,
                    ))
                }))
            }
            Poll::Pending => {
                let limit = self.idle_limit;
                let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(limit)));
                deadline
                    .as_mut()
                    .poll(context)
                    .map(|()| Some(Err(BodyError::Idle)))
            }
        }
    }
}

/// Why an answer's body breaks off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the API broke off in the middle of its answer")]
    Upstream(#[source] hyper::Error),
    #[error("the API stopped in the middle of its answer")]
    Idle,
}

fn clean_trailers(frame: Frame<Bytes>, clean: impl FnOnce(&mut HeaderMap)) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            clean(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(data) => data,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    fn body() -> Full<Bytes> {
        Full::new(Bytes::from_static(b"body"))
    }

    #[test]
    fn an_untouched_body_comes_back() {
        let (upload, progress) = Upload::new(body());
        assert_eq!(upload.size_hint().exact(), Some(4));
        assert!(progress.take_back().is_none());
        drop(upload);
        assert!(progress.take_back().is_some());
    }

    #[tokio::test]
    async fn a_body_of_which_something_was_read_does_not_come_back() {
        let (mut upload, progress) = Upload::new(body());
        assert!(upload.frame().await.is_some());
        drop(upload);
        assert!(progress.take_back().is_none());
    }

    /// H3: servers merge trailers into the fields.
    #[tokio::test]
    async fn trailers_are_cleaned_on_their_way_to_the_api() {
        let mut trailers = HeaderMap::new();
        trailers.insert("client-cert", http::HeaderValue::from_static(":ZGVy:"));
        trailers.insert("checksum", http::HeaderValue::from_static("1"));
        let frames = [
            Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"x"))),
            Ok(Frame::trailers(trailers)),
        ];
        let (upload, _progress) = Upload::new(StreamBody::new(stream::iter(frames)));
        let collected = upload.collect().await.unwrap();
        let trailers = collected.trailers().unwrap();
        assert!(trailers.contains_key("checksum") && !trailers.contains_key("client-cert"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_stops_sending_is_the_one_waited_for() {
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, io::Error>>());
        let (mut upload, progress) = Upload::new(silent);
        tokio::select! {
            _ = upload.frame() => panic!("there is no frame"),
            () = progress.stalled_for(Duration::from_secs(30)) => {}
        }
        assert!(progress.waits_for_caller());
    }
}
