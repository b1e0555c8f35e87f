//! A connection over which one request goes at a time.

use std::io;
use std::mem::{MaybeUninit, take};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::response::Parts;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::ExchangeError;
use super::response_head::take_head;
use super::stream::Stream;

/// For the first piece of an answer; on the stack, and copied from there, so that nobody who waits holds it.
const FIRST_READ: usize = 8 * 1024;

/// A connection, and what was read from it and not been used.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) stream: Stream,
    pub(super) read: Bytes,
    /// Which worker's it is.
    pub(in crate::upstream) worker: usize,
    /// Which client certificate it shows.
    pub(in crate::upstream) generation: u64,
}

impl Connection {
    /// A connection on which nothing has been said.
    pub(in crate::upstream) const fn new(stream: Stream, worker: usize, generation: u64) -> Self {
        Self {
            stream,
            read: Bytes::new(),
            worker,
            generation,
        }
    }

    /// Whether a request may go over it: the server has not closed it, and has said nothing that nobody asked for.
    pub(in crate::upstream) fn is_quiet(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut byte = [0];
        let reading = Pin::new(&mut self.stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte));
        self.read.is_empty() && reading.is_pending()
    }

    /// Reads until the head of an answer is there.
    pub(super) fn poll_head(
        &mut self,
        fields: &mut HeaderMap,
        context: &mut Context<'_>,
    ) -> Poll<Result<Parts, ExchangeError>> {
        loop {
            if !self.read.is_empty()
                && let Some(head) = take_head(&mut self.read, fields)?
            {
                return Poll::Ready(Ok(head));
            }
            let mut space = [const { MaybeUninit::uninit() }; FIRST_READ];
            let mut buffer = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(ExchangeError::Closed));
            }
            self.read = joined(take(&mut self.read), buffer.filled());
        }
    }

    /// Reads up to `most` bytes more; how many it were, or none at the end.
    pub(super) fn poll_more(&mut self, most: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = BytesMut::with_capacity(most);
        let length = ready!(poll_read_buf(Pin::new(&mut self.stream), context, &mut buffer))?;
        self.read = match self.read.is_empty() {
            true => buffer.freeze(),
            false => joined(take(&mut self.read), &buffer),
        };
        Poll::Ready(Ok(length))
    }
}

fn joined(read: Bytes, more: &[u8]) -> Bytes {
    let mut joined = Vec::from(read);
    joined.extend_from_slice(more);
    Bytes::from(joined)
}

/// A connection that has been switched to another protocol; what was read behind the answer comes first.
#[derive(Debug)]
pub(crate) struct Switched {
    stream: Stream,
    read: Bytes,
}

impl From<Connection> for Switched {
    fn from(connection: Connection) -> Self {
        Self {
            stream: connection.stream,
            read: connection.read,
        }
    }
}

impl AsyncRead for Switched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read[..length]);
        self.read.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Switched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
