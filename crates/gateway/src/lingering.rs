//! A stream that closes without taking back what it said last.
//!
//! Closed while bytes of the peer's are unread, a connection is reset, and the peer may never see the answer that was
//! on its way: the refusal of a request whose body nobody read, say. So what still comes is read, for a while, and
//! thrown away.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// For the peer to close its side too. Bounds how long it holds its place by not doing so.
const LIMIT: Duration = Duration::from_secs(2);
/// Bounds what a peer that goes on sending costs.
const MOST_READ: usize = 1024 * 1024;

/// Reads on for a while once it is shut down.
#[derive(Debug)]
pub(crate) struct Lingering<S> {
    stream: S,
    // Once shut down.
    farewell: Option<Farewell>,
}

#[derive(Debug)]
struct Farewell {
    deadline: Pin<Box<Sleep>>,
    left: usize,
}

impl<S> Lingering<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self {
            stream,
            farewell: None,
        }
    }
}

impl Farewell {
    /// Ready when the peer has closed, or has had its time.
    fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, context: &mut Context<'_>) -> Poll<()> {
        while self.deadline.as_mut().poll(context).is_pending() && self.left > 0 {
            let mut buffer = [0; 4 * 1024];
            let mut buffer = ReadBuf::new(&mut buffer);
            let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            self.left = self.left.saturating_sub(buffer.filled().len());
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
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
        let Self { stream, farewell } = &mut *self;
        if farewell.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        }
        let farewell = farewell.get_or_insert_with(|| Farewell {
            deadline: Box::pin(sleep(LIMIT)),
            left: MOST_READ,
        });
        farewell.poll(stream, context).map(Ok)
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_for_the_peer_to_close_and_not_for_ever() {
        let (ours, theirs) = duplex(64);
        let started = Instant::now();
        let mut lingering = Lingering::new(ours);
        let (closed, ()) = tokio::join!(lingering.shutdown(), async {
            sleep(LIMIT / 2).await;
            drop(theirs);
        });
        closed.unwrap();
        assert_eq!(started.elapsed().as_secs(), LIMIT.as_secs() / 2);

        let (ours, _theirs) = duplex(64);
        let started = Instant::now();
        Lingering::new(ours).shutdown().await.unwrap();
        assert_eq!(started.elapsed().as_secs(), LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn throws_away_what_still_comes_up_to_a_limit() {
        let (ours, mut theirs) = duplex(64 * 1024);
        let sending = tokio::spawn(async move {
            let mut sent = 0;
            while theirs.write_all(&[0; 1024]).await.is_ok() {
                sent += 1024;
            }
            sent
        });
        let started = Instant::now();
        let mut lingering = Lingering::new(ours);
        lingering.shutdown().await.unwrap();
        drop(lingering);
        let sent = sending.await.unwrap();
        assert!(started.elapsed() < LIMIT);
        assert!((MOST_READ..2 * MOST_READ).contains(&sent), "{sent}");
    }
}
