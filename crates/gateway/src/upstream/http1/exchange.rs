//! A request and the head of its answer.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::UPGRADE;
use http::response::Parts;
use http::{Request, Response, StatusCode};

use super::framing::{Framing, settle_content_length};
use super::sending::Sending;
use super::{Body, Connection, ExchangeError, Malformed};
use crate::body::UploadError;
use crate::upstream::{OwnField, Server, Unanswered};

/// Before the answer itself. RFC 9110 §15.2
const MOST_INTERIM_ANSWERS: u8 = 32;

/// A connection lent to one request, and the server to whose others it returns. Dropped instead, it is closed.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(super) connection: Box<Connection>,
    pub(super) server: Arc<Server>,
}

impl Lent {
    pub(in crate::upstream) const fn new(connection: Box<Connection>, server: Arc<Server>) -> Self {
        Self { connection, server }
    }

    /// Returns a connection on which nothing is under way.
    pub(super) fn give_back(self) {
        let pool = self.server.pool(self.connection.worker);
        pool.keep(self.connection, &self.server);
    }
}

/// A request that goes out, until the head of its answer is there.
#[derive(Debug)]
pub(crate) struct Exchange<'a, B> {
    /// Taken with the answer, as is the request.
    lent: Option<Lent>,
    request: &'a mut Option<Request<B>>,
    upload: SendState,
    asks_to_switch: bool,
    interim_answers: u8,
}

/// The body of a request on its way to an API.
pub(crate) trait OutgoingBody:
    http_body::Body<Data = Bytes, Error = UploadError> + Send + Unpin
{
}

impl<B: http_body::Body<Data = Bytes, Error = UploadError> + Send + Unpin> OutgoingBody for B {}

/// What is left of a request whose answer came early.
pub(super) struct Unsent<B: ?Sized = dyn OutgoingBody> {
    pub(super) upload: SendState,
    pub(super) body: B,
}

impl fmt::Debug for Unsent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.upload.fmt(formatter)
    }
}

/// How far a request has come.
#[derive(Debug)]
pub(super) enum SendState {
    UnderWay(Sending),
    Done,
    /// The server takes no more of it; perhaps it says why.
    Refused,
}

impl SendState {
    /// Sends on.
    ///
    /// # Errors
    ///
    /// Where the request itself breaks off, or nothing of it can be sent.
    pub(super) fn poll(
        &mut self,
        lent: &mut Lent,
        body: &mut (impl OutgoingBody + ?Sized),
        context: &mut Context<'_>,
    ) -> Result<(), ExchangeError> {
        let Self::UnderWay(sending) = self else {
            return Ok(());
        };
        match sending.poll(&mut lent.connection.stream, body, context) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => *self = Self::Done,
            Poll::Ready(Err(ExchangeError::Broken(_) | ExchangeError::Closed)) if !sending.is_untouched() => {
                *self = Self::Refused;
            }
            Poll::Ready(Err(error)) => return Err(error),
        }
        Ok(())
    }

    /// How many bytes of the request have been written, while some are left.
    pub(super) const fn sent(&self) -> u64 {
        match self {
            Self::UnderWay(sending) => sending.sent(),
            Self::Done | Self::Refused => 0,
        }
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    fn is_untouched(&self) -> bool {
        matches!(self, Self::UnderWay(sending) if sending.is_untouched())
    }
}

impl<'a, B: OutgoingBody + 'static> Exchange<'a, B> {
    /// Sends `request`, which there is, with the gateway's own fields, over a connection on which nothing is under way.
    pub(crate) fn new<'f>(
        lent: Lent,
        request: &'a mut Option<Request<B>>,
        own_fields: impl Iterator<Item = OwnField<'f>> + Clone,
    ) -> Self {
        let (upload, asks_to_switch) = match request {
            Some(request) => (
                SendState::UnderWay(Sending::new(request, own_fields)),
                request.headers().contains_key(UPGRADE),
            ),
            None => (SendState::Done, false),
        };
        Self {
            lent: Some(lent),
            request,
            upload,
            asks_to_switch,
            interim_answers: 0,
        }
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Result<Response<Body>, ExchangeError>> {
        let (Some(lent), Some(request)) = (&mut self.lent, self.request.as_mut()) else {
            return Poll::Ready(Err(ExchangeError::Closed));
        };
        self.upload.poll(lent, request.body_mut(), context)?;
        if self.upload.is_untouched() {
            return Poll::Pending;
        }
        // The head stands in what is being sent; its map has room for the answer's fields.
        let fields = request.headers_mut();
        let head = loop {
            let head = ready!(lent.connection.poll_head(fields, context))?;
            if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                break head;
            }
            self.interim_answers += 1;
            if self.interim_answers > MOST_INTERIM_ANSWERS {
                return Poll::Ready(Err(Malformed::Interim.into()));
            }
        };
        Poll::Ready(self.answer(head))
    }

    fn answer(&mut self, mut head: Parts) -> Result<Response<Body>, ExchangeError> {
        let (Some(lent), Some(request)) = (self.lent.take(), self.request.take()) else {
            return Err(ExchangeError::Closed);
        };
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return match self.asks_to_switch && self.upload.is_done() {
                true => Ok(Response::from_parts(head, Body::switched(lent))),
                false => Err(Malformed::Switched.into()),
            };
        }
        let framing = Framing::of_answer(request.method(), head.status, head.version, &head.headers)?;
        settle_content_length(&mut head.headers);
        let upload = mem::replace(&mut self.upload, SendState::Done);
        let unsent: Option<Box<Unsent>> = match upload.is_done() {
            true => None,
            false => Some(Box::new(Unsent {
                upload,
                body: request.into_body(),
            })),
        };
        Ok(Response::from_parts(head, Body::new(lent, framing, unsent)))
    }
}

impl<B: OutgoingBody + 'static> Future for Exchange<'_, B> {
    type Output = Result<Response<Body>, Unanswered>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answered = ready!(self.poll_answer(context));
        Poll::Ready(answered.map_err(|error| match self.upload.is_untouched() {
            true => Unanswered::NotSent,
            false => Unanswered::Failed(error.into()),
        }))
    }
}
