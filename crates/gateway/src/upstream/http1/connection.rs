//! A connection over which one request goes at a time.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Cursor};
use std::mem::{MaybeUninit, take};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::response::Parts;
use tokio::io::{AsyncRead, AsyncReadExt, Chain, Join, ReadBuf, ReadHalf, WriteHalf, join, split};
use tokio::task::unconstrained;
use tokio_util::io::poll_read_buf;

use super::response_head::{LONGEST, take_head};
use super::stream::Stream;
use super::{ExchangeError, Malformed};

/// For the first piece of an answer; on the stack, and copied from there, so that nobody who waits holds it.
const FIRST_READ: usize = 8 * 1024;

/// A connection, and what was read from it and not been used.
pub(crate) struct Connection {
    pub(super) stream: Stream,
    pub(super) read: Bytes,
    /// How much of it was looked at for the end of a head.
    scanned: usize,
    /// Which worker's it is.
    pub(in crate::upstream) worker: usize,
    /// Which client certificate it shows.
    pub(in crate::upstream) generation: u64,
}

impl fmt::Debug for Connection {
    /// Of what was read, the length alone: it is the caller's.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("stream", &self.stream)
            .field("read", &self.read.len())
            .field("scanned", &self.scanned)
            .field("worker", &self.worker)
            .field("generation", &self.generation)
            .finish()
    }
}

impl Connection {
    /// A connection on which nothing has been said.
    pub(in crate::upstream) const fn new(stream: Stream, worker: usize, generation: u64) -> Self {
        Self {
            stream,
            read: Bytes::new(),
            scanned: 0,
            worker,
            generation,
        }
    }

    /// Whether a request may go over it: the server has not closed it, and has said nothing that nobody asked for.
    pub(in crate::upstream) fn is_quiet(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let reading = poll_fn(|context| Pin::new(&mut self.stream).poll_read(context, &mut buffer));
        // However much of its turn a task has used up: an answer of the runtime's would be none of the server's.
        let is_pending = pin!(unconstrained(reading)).poll(&mut context).is_pending();
        self.read.is_empty() && is_pending
    }

    /// Reads until the head of an answer is there.
    pub(super) fn poll_head(
        &mut self,
        fields: &mut HeaderMap,
        context: &mut Context<'_>,
    ) -> Poll<Result<Parts, ExchangeError>> {
        loop {
            // A head that comes byte by byte is not read from its beginning with every byte.
            let is_worth_reading =
                self.scanned == 0 || self.read.ends_with(b"\n") || has_end_of_head(&self.read, self.scanned);
            if !self.read.is_empty() && is_worth_reading {
                if let Some(head) = take_head(&mut self.read, fields)? {
                    self.scanned = 0;
                    return Poll::Ready(Ok(head));
                }
            } else if self.read.len() >= LONGEST {
                return Poll::Ready(Err(Malformed::TooLong.into()));
            }
            self.scanned = self.read.len();
            if ready!(self.poll_more(FIRST_READ, context))? == 0 {
                return Poll::Ready(Err(ExchangeError::Closed));
            }
        }
    }

    /// Reads up to `most` bytes more; how many it were, or none at the end.
    pub(super) fn poll_more(&mut self, most: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if most <= FIRST_READ {
            let mut space = [const { MaybeUninit::uninit() }; FIRST_READ];
            let mut buffer = ReadBuf::uninit(&mut space[..most]);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            self.read = joined(take(&mut self.read), buffer.filled());
            return Poll::Ready(Ok(buffer.filled().len()));
        }
        let mut buffer = BytesMut::with_capacity(most);
        let length = ready!(poll_read_buf(Pin::new(&mut self.stream), context, &mut buffer))?;
        // A short piece would keep all of the memory for as long as somebody keeps the piece.
        self.read = match self.read.is_empty() && length > most / 4 {
            true => buffer.freeze(),
            false => joined(take(&mut self.read), &buffer),
        };
        Poll::Ready(Ok(length))
    }

    /// The bytes that come and go from here on.
    pub(super) fn into_switched(self) -> Switched {
        let (coming, going) = split(self.stream);
        join(Cursor::new(self.read).chain(coming), going)
    }
}

/// Whether an empty line ends behind the first `scanned` bytes.
fn has_end_of_head(read: &[u8], scanned: usize) -> bool {
    let tail = &read[scanned.saturating_sub(b"\n\r\n".len() - 1)..];
    let ends = |line: &[u8]| line.starts_with(b"\n\n") || line.starts_with(b"\n\r\n");
    (0..tail.len()).any(|index| ends(&tail[index..]))
}

fn joined(read: Bytes, more: &[u8]) -> Bytes {
    let mut joined = Vec::from(read);
    joined.extend_from_slice(more);
    Bytes::from(joined)
}

/// A connection that has been switched to another protocol; what was read behind the answer comes first.
pub(crate) type Switched = Join<Chain<Cursor<Bytes>, ReadHalf<Stream>>, WriteHalf<Stream>>;
