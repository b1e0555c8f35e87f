//! The body of an answer, and with its end that of the exchange.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::chunked::{Chunked, Decoded};
use super::connection::Switched;
use super::exchange::{Lent, SendState, Unsent};
use super::framing::{Framing, Length};
use super::{ExchangeError, Malformed};

/// Read at once: little, until an answer turns out to be long and quick.
const SHORT_READ: usize = 8 * 1024;
const LONG_READ: usize = 64 * 1024;

/// The body of an answer. Its connection goes back to the others once both sides have said all, and is closed
/// whenever that cannot be told.
#[derive(Debug)]
pub(crate) struct Body {
    /// Until the answer is over.
    lent: Option<Lent>,
    rest: Rest,
    /// What of the request is still to be sent; whoever reads the answer drives it. Boxed, since answers hardly ever come
    /// before their requests are whole.
    unsent: Option<Box<Unsent>>,
    /// Why the rest of the request broke off: with it goes the answer.
    broken: Option<ExchangeError>,
    may_be_followed: bool,
    next_read: usize,
}

/// What of the body is still to be read.
#[derive(Debug)]
enum Rest {
    Exactly(u64),
    Chunks(Chunked),
    UntilClosed,
    /// The connection speaks another protocol from here on.
    Switched,
}

impl Body {
    /// Of this form, on a connection whose request may not be whole yet.
    pub(super) fn new(lent: Lent, framing: Framing, unsent: Option<Box<Unsent>>) -> Self {
        let mut body = Self {
            lent: Some(lent),
            rest: match framing.length {
                Length::Exactly(length) => Rest::Exactly(length),
                Length::Chunked => Rest::Chunks(Chunked::new()),
                Length::UntilClosed => Rest::UntilClosed,
            },
            unsent,
            broken: None,
            may_be_followed: framing.may_be_followed,
            next_read: SHORT_READ,
        };
        if framing.length == Length::Exactly(0) {
            body.end();
        }
        body
    }

    /// None, and a connection that is to be used otherwise.
    pub(super) const fn switched(lent: Lent) -> Self {
        Self {
            lent: Some(lent),
            rest: Rest::Switched,
            unsent: None,
            broken: None,
            may_be_followed: false,
            next_read: 0,
        }
    }

    /// The connection, where the answer switched it.
    pub(crate) fn into_switched(self) -> Option<Switched> {
        match (self.rest, self.lent) {
            (Rest::Switched, Some(lent)) => Some(lent.connection.into_switched()),
            _ => None,
        }
    }

    /// Whether the request is still to be sent, in part.
    pub(in crate::upstream) const fn is_early(&self) -> bool {
        self.unsent.is_some()
    }

    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        let _under_way = self.poll_rest_of_request(context);
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        loop {
            let Some(lent) = &mut self.lent else {
                return Poll::Ready(None);
            };
            match decode(&mut self.rest, &mut lent.connection.read)? {
                Decoded::Frame(frame) => {
                    if self.is_read() {
                        self.end();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Decoded::End => {
                    self.end();
                    return Poll::Ready(None);
                }
                Decoded::More => {}
            }
            let most = match self.rest {
                Rest::Exactly(length) => self.next_read.min(usize::try_from(length).unwrap_or(usize::MAX)),
                _ => self.next_read,
            };
            let most = most.min(lent.connection.stream.most_at_once());
            let length = ready!(lent.connection.poll_more(most, context))?;
            self.next_read = match length {
                SHORT_READ.. => LONG_READ,
                _ => SHORT_READ,
            };
            if length == 0 {
                self.lent = None;
                return Poll::Ready(match self.rest {
                    Rest::UntilClosed => None,
                    _ => Some(Err(ExchangeError::Closed)),
                });
            }
        }
    }

    /// Sends on what is left of the request; ready once there is no more to be sent.
    pub(super) fn poll_rest_of_request(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (Some(lent), Some(unsent)) = (&mut self.lent, &mut self.unsent) else {
            return Poll::Ready(());
        };
        let Unsent { upload, body } = &mut **unsent;
        if let Err(error) = upload.poll(lent, body, context) {
            // Closed at once: what is cut short must not look whole.
            (self.lent, self.unsent, self.broken) = (None, None, Some(error));
            return Poll::Ready(());
        }
        match upload {
            SendState::UnderWay(_) => return Poll::Pending,
            SendState::Refused => {}
            SendState::Done => {
                self.unsent = None;
                if self.is_read() {
                    self.end();
                }
            }
        }
        Poll::Ready(())
    }

    /// Bytes of the request that were sent so far, while some are left.
    pub(super) fn sent_of_request(&self) -> u64 {
        match &self.unsent {
            Some(unsent) => unsent.upload.sent(),
            None => 0,
        }
    }

    pub(super) fn is_read(&self) -> bool {
        match &self.rest {
            Rest::Exactly(length) => *length == 0,
            Rest::Chunks(chunks) => chunks.is_over(),
            Rest::UntilClosed | Rest::Switched => false,
        }
    }

    /// Lets go of the connection, once the request is whole too: to the others, if another may follow.
    fn end(&mut self) {
        if self.unsent.is_some() {
            return;
        }
        if let Some(mut lent) = self.lent.take()
            && self.may_be_followed
            && lent.connection.read.is_empty()
        {
            // It is empty, and may hold memory all the same.
            lent.connection.read = Bytes::new();
            lent.give_back();
        }
    }
}

fn decode(rest: &mut Rest, read: &mut Bytes) -> Result<Decoded, Malformed> {
    match rest {
        Rest::Exactly(0) | Rest::Switched => Ok(Decoded::End),
        Rest::Chunks(chunks) => chunks.decode(read),
        _ if read.is_empty() => Ok(Decoded::More),
        Rest::Exactly(length) => {
            let taken = read.len().min(usize::try_from(*length).unwrap_or(usize::MAX));
            *length -= taken as u64;
            Ok(Decoded::Frame(Frame::data(read.split_to(taken))))
        }
        Rest::UntilClosed => Ok(Decoded::Frame(Frame::data(std::mem::take(read)))),
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = ExchangeError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        let polled = self.poll(context);
        if matches!(polled, Poll::Ready(Some(Err(_)))) {
            self.lent = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.lent.is_none() || self.is_read() || matches!(self.rest, Rest::Switched)
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            Rest::Exactly(length) => SizeHint::with_exact(length),
            Rest::Switched => SizeHint::with_exact(0),
            Rest::Chunks(_) | Rest::UntilClosed => SizeHint::default(),
        }
    }
}
