//! A connection that ends for a reason of ours.
//!
//! The reason is asked before every read: a peer that never stops sending would otherwise never be asked. Writes are
//! none of its business.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A reason of ours to end a connection.
pub(crate) trait Reason {
    /// Ready once the connection is to end: as if the peer had closed it, or by an error. To be asked again after that.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Is shown what the peer sends.
    fn observe(&mut self, _read: &[u8]) {}
}

/// A stream that its peer ends, or the reason `R`.
#[derive(Debug)]
pub(crate) struct Until<S, R> {
    stream: S,
    reason: R,
}

impl<S, R> Until<S, R> {
    pub(crate) const fn new(stream: S, reason: R) -> Self {
        Self { stream, reason }
    }
}

impl<S: AsyncRead + Unpin, R: Reason + Unpin> AsyncRead for Until<S, R> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, reason } = self.get_mut();
        if let Poll::Ready(ended) = reason.poll_end(context) {
            return Poll::Ready(ended);
        }
        let before = buffer.filled().len();
        let polled = Pin::new(stream).poll_read(context, buffer);
        reason.observe(&buffer.filled()[before..]);
        polled
    }
}

impl<S: AsyncWrite + Unpin, R: Unpin> AsyncWrite for Until<S, R> {
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

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
