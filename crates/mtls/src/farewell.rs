//! The end of a connection whose certificate is no longer trusted.
//!
//! Its requests are refused one by one, above; here it ends as if the peer had closed it, a moment after the first
//! refusal, so that the peer reads that answer and comes back with the certificate it has now.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

use crate::standing::Standing;

/// For the refusal to reach the peer.
const FAREWELL: Duration = Duration::from_secs(1);

/// A stream that ends once the standing of its peer is lost.
pub struct UntilUntrusted<S> {
    stream: S,
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<S> UntilUntrusted<S> {
    pub(crate) fn new(stream: S, standing: &Standing) -> Self {
        let lost = standing.lost();
        let over = Box::pin(async move {
            lost.await;
            sleep(FAREWELL).await;
        });
        Self { stream, over }
    }
}

impl<S> fmt::Debug for UntilUntrusted<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UntilUntrusted").finish_non_exhaustive()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for UntilUntrusted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Asked first: a peer that never stops sending is to end as well.
        if self.over.as_mut().poll(context).is_ready() {
            self.over = Box::pin(std::future::ready(()));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for UntilUntrusted<S> {
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
