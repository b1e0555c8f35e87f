//! Bytes carried both ways between two streams, until a side ends it or both fall silent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};

use crate::activity::Activity;

/// Without a byte in either direction.
const IDLE: Duration = Duration::from_secs(5 * 60);

/// Carries bytes both ways, each through a buffer of this size. Either side may end its half.
///
/// # Errors
///
/// Where a side breaks off, or both are silent for too long.
pub(crate) async fn carry<A, B>(one: &mut A, other: &mut B, buffer: usize) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let activity = Activity::new();
    let mut one = Watched::new(one, &activity);
    tokio::select! {
        ended = copy_bidirectional_with_sizes(&mut one, other, buffer, buffer) => ended.map(|_| ()),
        () = activity.quiet_for(IDLE) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "silence on both sides took too long"))
        }
    }
}

/// A stream on which every byte is noticed. One side is enough: what comes from the other is written here.
#[derive(Debug)]
struct Watched<'a, S> {
    stream: S,
    activity: &'a Activity,
}

impl<'a, S> Watched<'a, S> {
    /// Tells `activity` of every byte.
    const fn new(stream: S, activity: &'a Activity) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.activity.touch();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if polled.is_ready() {
            self.activity.touch();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
