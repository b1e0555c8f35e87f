//! Closing a connection so that the peer can still read why.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Sleep, sleep, timeout};

/// Bounds what a refused peer can make us read.
const MOST_DISCARDED: usize = 64 * 1024;
/// Bounds how long a refused peer can hold its connection.
const LONGEST_LINGER: Duration = Duration::from_secs(1);

/// Closes the sending side, then reads and discards what the peer has sent already, within limits.
///
/// A TLS 1.3 client has usually sent its request before it can learn of its refusal. Closing a socket with unread
/// bytes makes the kernel answer with a reset, which destroys an alert the client has not read yet.
pub async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let mut lingering = Lingering::new(stream, LONGEST_LINGER, MOST_DISCARDED);
    // A peer that is slower than this, or gone already, has no use for the rest.
    let _elapsed = timeout(LONGEST_LINGER, lingering.shutdown()).await;
}

/// A stream that reads on for a while once it is shut down, and throws away what comes.
///
/// Closed while bytes of the peer's are unread, a connection is reset, and the peer may never see the answer that was on
/// its way: the refusal of a request whose body nobody read, say.
#[derive(Debug)]
pub struct Lingering<S> {
    stream: S,
    limit: Duration,
    most_discarded: usize,
    // Once shut down.
    farewell: Option<Farewell>,
}

#[derive(Debug)]
struct Farewell {
    deadline: Pin<Box<Sleep>>,
    left: usize,
}

impl<S> Lingering<S> {
    /// Waits for the peer of `stream` to close its side too, up to `limit`, and reads up to `most_discarded` bytes of
    /// it meanwhile.
    pub const fn new(stream: S, limit: Duration, most_discarded: usize) -> Self {
        Self {
            stream,
            limit,
            most_discarded,
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
        let Self {
            stream,
            limit,
            most_discarded,
            farewell,
        } = &mut *self;
        if farewell.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        }
        let farewell = farewell.get_or_insert_with(|| Farewell {
            deadline: Box::pin(sleep(*limit)),
            left: *most_discarded,
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
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);
    const MOST_READ: usize = 1024 * 1024;

    #[tokio::test]
    async fn discards_what_was_sent_and_ends_when_the_peer_closes() {
        let (ours, mut theirs) = duplex(1024);
        theirs.write_all(&[7; 500]).await.unwrap();
        theirs.shutdown().await.unwrap();
        timeout(Duration::from_millis(900), linger(ours))
            .await
            .expect("ends before its own limit");
        assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn ends_after_its_limit_of_bytes() {
        let (ours, mut theirs) = duplex(MOST_DISCARDED * 4);
        theirs.write_all(&vec![7; MOST_DISCARDED * 2]).await.unwrap();
        timeout(Duration::from_millis(900), linger(ours))
            .await
            .expect("ends before its limit of time");
    }

    #[tokio::test(start_paused = true)]
    async fn ends_after_its_limit_of_time() {
        let (ours, _theirs) = duplex(1024);
        let started = Instant::now();
        linger(ours).await;
        assert_eq!(started.elapsed().as_secs(), LONGEST_LINGER.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_the_peer_to_close_and_not_for_ever() {
        let (ours, theirs) = duplex(64);
        let started = Instant::now();
        let mut lingering = Lingering::new(ours, LIMIT, MOST_READ);
        let (closed, ()) = tokio::join!(lingering.shutdown(), async {
            sleep(LIMIT / 2).await;
            drop(theirs);
        });
        closed.unwrap();
        assert_eq!(started.elapsed().as_secs(), LIMIT.as_secs() / 2);

        let (ours, _theirs) = duplex(64);
        let started = Instant::now();
        Lingering::new(ours, LIMIT, MOST_READ).shutdown().await.unwrap();
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
        let mut lingering = Lingering::new(ours, LIMIT, MOST_READ);
        lingering.shutdown().await.unwrap();
        drop(lingering);
        let sent = sending.await.unwrap();
        assert!(started.elapsed() < LIMIT);
        assert!((MOST_READ..2 * MOST_READ).contains(&sent), "{sent}");
    }
}
