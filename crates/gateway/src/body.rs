//! Requests' bodies on their way to the API: streamed, never collected, and never waited for without end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Version};
use http_body::{Body, Frame, SizeHint};

use crate::activity::{Activity, UnderWay};
use crate::headers;
use crate::upstream::UpstreamPlace;

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
        };
        (upload, progress)
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
}

impl UploadProgress {
    /// A body that begins now, or whose way begins anew.
    pub(crate) fn touch(&self) {
        self.activity.touch();
    }

    /// Resolves once nothing of the body has passed for as long as `limit`.
    pub(crate) async fn stalled_for(&self, limit: Duration) {
        self.activity.quiet_for(limit).await;
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

impl<B: Body<Data = Bytes> + Unpin> Body for Upload<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) && self.end == End::Marked && !self.body.is_end_stream() {
            // Whoever reset it is told nothing more, and the API must not take it for whole.
            polled = Poll::Pending;
        }
        self.progress
            .waits_for_caller
            .store(polled.is_pending(), Ordering::Relaxed);
        if polled.is_ready() {
            self.progress.activity.touch();
        }
        if matches!(polled, Poll::Ready(Some(Err(_)))) {
            self.progress.is_broken_off.store(true, Ordering::Relaxed);
        }
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

    use futures_util::{FutureExt, stream};
    use http_body_util::{BodyExt, Full, StreamBody};

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
        for (version, ends) in [(Version::HTTP_11, true), (Version::HTTP_2, false)] {
            let reset = StreamBody::new(stream::empty::<Result<Frame<Bytes>, io::Error>>());
            let (upload, _progress) = Upload::new(reset, None);
            let mut upload = upload.over(version, &activity);
            assert_eq!(upload.frame().now_or_never().is_some(), ends, "{version:?}");
        }
        let whole = Full::<Bytes>::default();
        let (upload, _progress) = Upload::new(whole, None);
        let mut upload = upload.over(Version::HTTP_2, &activity);
        assert!(upload.frame().now_or_never().unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_stops_sending_is_the_one_waited_for() {
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, io::Error>>());
        let (mut upload, progress) = Upload::new(silent, None);
        tokio::select! {
            _ = upload.frame() => panic!("there is no frame"),
            () = progress.stalled_for(Duration::from_secs(30)) => {}
        }
        assert!(progress.waits_for_caller());
    }
}
