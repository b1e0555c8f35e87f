//! Requests' bodies on their way to the API: streamed, never collected, and never waited for without end.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::activity::{Activity, UnderWay};
use crate::headers;
use crate::upstream::{OpenStream, UpstreamPlace};

/// For more of a body whose answer is over. Over HTTP/1.1, the connection sees to it.
const STALLED: Duration = Duration::from_secs(60);

/// A request's body on its way to the API. What becomes of it can be watched from the [`UploadProgress`].
#[derive(Debug)]
pub(crate) struct Upload<B> {
    body: B,
    /// What the trailers must not hold, beside what they never may.
    certificate_header: Option<HeaderName>,
    progress: Arc<UploadProgress>,
    end: End,
    /// The caller's connection is in use, and the server's place taken, for as long as the body is on its way, also where
    /// the answer is over.
    under_way: Option<UnderWay>,
    place: Option<UpstreamPlace>,
    /// The stream to the API, over HTTP/2.
    stream: Option<OpenStream>,
    /// Runs while more is waited for over such a stream; boxed, since most bodies are there at once.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Why a request's body does not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("the caller broke it off")]
    Caller(#[source] Box<dyn Error + Send + Sync>),
    #[error("the caller reset its stream before it ended")]
    Reset,
    #[error("nothing more of it came for too long after its answer")]
    Stalled,
}

/// How a body's end is told from a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A break is an error.
    Unmarked,
    /// Over HTTP/2 a stream may be reset without an error, and has not ended then. RFC 9113 §8.1
    Marked,
}

/// How far a request's body has come.
#[derive(Debug)]
pub(crate) struct UploadProgress {
    activity: Activity,
    waits_for_caller: AtomicBool,
    is_broken_off: AtomicBool,
}

impl<B> Upload<B> {
    /// A body, and the progress it is going to make. Load balancers, if any, hand on certificates in
    /// `certificate_header`, and nobody in trailers.
    pub(crate) fn new(body: B, certificate_header: Option<HeaderName>) -> (Self, Arc<UploadProgress>) {
        let progress = Arc::new(UploadProgress {
            activity: Activity::new(),
            waits_for_caller: AtomicBool::new(false),
            is_broken_off: AtomicBool::new(false),
        });
        let upload = Self {
            body,
            certificate_header,
            progress: Arc::clone(&progress),
            end: End::Unmarked,
            under_way: None,
            place: None,
            stream: None,
            timer: None,
        };
        (upload, progress)
    }

    /// Keeps the stream open over which it goes, if any, for as long as something of the body is left.
    pub(crate) fn over_stream(&mut self, stream: Option<OpenStream>) {
        self.stream = stream;
    }

    /// Ready once the answer is over, and no more of the body has come for long enough.
    fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(stream) = &self.stream else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(STALLED)));
        loop {
            ready!(timer.as_mut().poll(context));
            if stream.is_last() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + STALLED);
        }
    }
}

impl<B: Body> Upload<B> {
    /// The same body, of a request that came so over this connection.
    pub(crate) fn over(mut self, version: Version, activity: &Arc<Activity>) -> Self {
        if version == Version::HTTP_2 {
            self.end = End::Marked;
        }
        if !self.body.is_end_stream() {
            self.under_way = Some(activity.begin());
        }
        self
    }

    /// Takes a place at a server for as long as something of the body is left; the one before is free again.
    pub(crate) fn take_place(&mut self, place: &UpstreamPlace) {
        if !self.body.is_end_stream() {
            self.place = Some(place.clone());
        }
    }

    /// Of a body of which nothing more comes: whether that is not its end.
    fn was_reset(&self) -> bool {
        self.end == End::Marked && !self.body.is_end_stream()
    }
}

impl UploadProgress {
    /// A body that begins now, or whose way begins anew.
    pub(crate) fn touch(&self) {
        self.activity.touch();
    }

    fn note(&self, polled: &Poll<Option<Result<Frame<Bytes>, UploadError>>>) {
        self.waits_for_caller
            .store(polled.is_pending(), Ordering::Relaxed);
        if polled.is_ready() {
            self.activity.touch();
        }
        if matches!(polled, Poll::Ready(Some(Err(_)))) {
            self.is_broken_off.store(true, Ordering::Relaxed);
        }
    }

    /// Resolves once nothing of the body has passed for as long as `limit`, by a timer set to any time.
    pub(crate) async fn stalled_by(&self, timer: Pin<&mut Sleep>, limit: Duration) {
        self.activity.quiet_by(timer, limit).await;
    }

    /// Whether it is the caller who is waited for, not the API.
    pub(crate) fn waits_for_caller(&self) -> bool {
        self.waits_for_caller.load(Ordering::Relaxed)
    }

    /// Whether the caller has broken the body off, or sent what is none: nobody can make a request of it.
    pub(crate) fn is_broken_off(&self) -> bool {
        self.is_broken_off.load(Ordering::Relaxed)
    }
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let mut polled = Pin::new(&mut self.body)
            .poll_frame(context)
            .map_err(|error| UploadError::Caller(error.into()));
        if matches!(polled, Poll::Ready(None)) && self.was_reset() {
            // The API must not take it for whole, and nobody is to wait for more of it.
            polled = Poll::Ready(Some(Err(UploadError::Reset)));
        }
        self.progress.note(&polled);
        if polled.is_pending() {
            ready!(self.poll_stalled(context));
            return Poll::Ready(Some(Err(UploadError::Stalled)));
        }
        self.timer = None;
        let name = self.certificate_header.as_ref();
        polled
            .map_ok(|frame| clean_trailers(frame, |trailers| headers::clean_request_trailers(trailers, name)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Passes a frame on, its trailers cleaned.
pub(crate) fn clean_trailers(frame: Frame<Bytes>, clean: impl FnOnce(&mut HeaderMap)) -> Frame<Bytes> {
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
    use std::pin::pin;

    use futures_util::{FutureExt, stream};
    use http_body_util::{BodyExt, Full, StreamBody};
    use tokio::time::timeout;

    use super::*;

    /// H3, W5: servers merge trailers into the fields.
    #[tokio::test]
    async fn trailers_are_cleaned_on_their_way_to_the_api() {
        let mut trailers = HeaderMap::new();
        for name in ["client-cert", "balancer-says", "balancer_says", "checksum"] {
            trailers.insert(name, http::HeaderValue::from_static(":ZGVy:"));
        }
        let frames = [
            Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"x"))),
            Ok(Frame::trailers(trailers)),
        ];
        let header = HeaderName::from_static("balancer-says");
        let (upload, _progress) = Upload::new(StreamBody::new(stream::iter(frames)), Some(header));
        let collected = upload.collect().await.unwrap();
        let trailers = collected.trailers().unwrap();
        assert_eq!(trailers.keys().collect::<Vec<_>>(), ["checksum"]);
    }

    /// RFC 9113 §8.1.
    #[tokio::test]
    async fn a_stream_that_was_reset_has_not_ended() {
        let activity = Arc::new(Activity::new());
        let ended = || StreamBody::new(stream::empty::<Result<Frame<Bytes>, io::Error>>());
        let (upload, progress) = Upload::new(ended(), None);
        let reset = upload.over(Version::HTTP_2, &activity).frame().now_or_never();
        assert!(matches!(reset, Some(Some(Err(UploadError::Reset)))), "{reset:?}");
        assert!(progress.is_broken_off());

        let (upload, progress) = Upload::new(ended(), None);
        let over_http1 = upload.over(Version::HTTP_11, &activity).frame().now_or_never();
        assert!(over_http1.unwrap().is_none());
        assert!(!progress.is_broken_off());

        let (upload, _progress) = Upload::new(Full::<Bytes>::default(), None);
        let whole = upload.over(Version::HTTP_2, &activity).frame().now_or_never();
        assert!(whole.unwrap().is_none());
    }

    /// Over HTTP/2 nothing else ends it; before its answer is over, whoever waits for that does.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_given_up_once_its_answer_is_over_and_no_sooner() {
        let activity = Arc::new(Activity::new());
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, io::Error>>());
        let (upload, _progress) = Upload::new(silent, None);
        let mut upload = upload.over(Version::HTTP_2, &activity);
        let answer = OpenStream::of_test();
        upload.over_stream(Some(answer.clone()));
        assert!(timeout(10 * STALLED, upload.frame()).await.is_err());
        drop(answer);
        let given_up = timeout(STALLED, upload.frame()).await.unwrap();
        assert!(matches!(given_up, Some(Err(UploadError::Stalled))));
        // Over HTTP/1.1 there is no stream.
        upload.over_stream(None);
        assert!(timeout(10 * STALLED, upload.frame()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_stops_sending_is_the_one_waited_for() {
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, io::Error>>());
        let (mut upload, progress) = Upload::new(silent, None);
        let (limit, timer) = (Duration::from_secs(30), pin!(sleep(Duration::ZERO)));
        tokio::select! {
            _ = upload.frame() => panic!("there is no frame"),
            () = progress.stalled_by(timer, limit) => {}
        }
        assert!(progress.waits_for_caller());
    }
}
