//! A stream that is read when something may have come, and not whenever somebody asks.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Once its stream had nothing, asks it again only after it has woken whoever waits.
///
/// Whoever serves HTTP asks at every turn, several times a request, and as a rule in vain; each time the question would
/// pass through TLS and all else that stands before the socket.
#[derive(Debug)]
pub struct OnArrival<S> {
    stream: S,
    arrival: Arc<Arrival>,
    /// Wakes `arrival`; the stream gets it in place of the reader's.
    waker: Waker,
}

#[derive(Debug)]
struct Arrival {
    /// Whether the stream may have more than it said it has.
    is_possible: AtomicBool,
    reader: AtomicWaker,
}

impl<S> OnArrival<S> {
    /// Over this stream, of which nothing is known yet.
    pub fn new(stream: S) -> Self {
        let arrival = Arc::new(Arrival {
            is_possible: AtomicBool::new(true),
            reader: AtomicWaker::new(),
        });
        Self {
            stream,
            waker: Waker::from(Arc::clone(&arrival)),
            arrival,
        }
    }
}

impl Wake for Arrival {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_possible.store(true, Ordering::Release);
        self.reader.wake();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for OnArrival<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            stream,
            arrival,
            waker,
        } = &mut *self;
        // First: what arrives from here on wakes this reader.
        arrival.reader.register(context.waker());
        if !arrival.is_possible.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        // Before the stream is asked: a wake overwritten here is of what the stream is about to tell, and a later one sets it
        // again.
        arrival.is_possible.store(false, Ordering::Release);
        let polled = Pin::new(stream).poll_read(&mut Context::from_waker(waker), buffer);
        if polled.is_ready() {
            arrival.is_possible.store(true, Ordering::Release);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for OnArrival<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// A stream, and how often it was asked.
    #[derive(Debug)]
    struct Asked {
        stream: DuplexStream,
        times: usize,
    }

    impl AsyncRead for Asked {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.times += 1;
            Pin::new(&mut self.stream).poll_read(context, buffer)
        }
    }

    fn asked() -> (OnArrival<Asked>, DuplexStream) {
        let (stream, theirs) = duplex(64);
        (OnArrival::new(Asked { stream, times: 0 }), theirs)
    }

    /// Reads a byte, if there is one.
    async fn now(stream: &mut OnArrival<Asked>) -> Option<u8> {
        poll_fn(|context| {
            let (mut byte, pinned) = ([0], Pin::new(&mut *stream));
            let mut buffer = ReadBuf::new(&mut byte);
            Poll::Ready(match pinned.poll_read(context, &mut buffer) {
                Poll::Ready(read) => read.ok().and_then(|()| buffer.filled().first().copied()),
                Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn asks_in_vain_once_until_something_comes() {
        let (mut stream, mut theirs) = asked();
        for _ in 0..3 {
            assert_eq!(now(&mut stream).await, None);
        }
        assert_eq!(stream.stream.times, 1);
        theirs.write_all(b"ab").await.unwrap();
        for (expected, times) in [(Some(b'a'), 2), (Some(b'b'), 3), (None, 4), (None, 4)] {
            assert_eq!(now(&mut stream).await, expected);
            assert_eq!(stream.stream.times, times);
        }
        drop(theirs);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn wakes_the_reader_who_asked_last() {
        let (mut stream, mut theirs) = asked();
        // Asks in this task, and waits in another.
        assert_eq!(now(&mut stream).await, None);
        let waiting = tokio::spawn(async move {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.map(|_| byte)
        });
        tokio::task::yield_now().await;
        theirs.write_all(b"x").await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), *b"x");
    }

    /// As where a turn is used up.
    #[tokio::test]
    async fn asks_again_where_the_stream_woke_while_it_was_asked() {
        struct Late(bool);
        impl AsyncRead for Late {
            fn poll_read(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                if std::mem::replace(&mut self.0, true) {
                    buffer.put_slice(b"x");
                    return Poll::Ready(Ok(()));
                }
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
        let mut byte = [0];
        assert_eq!(OnArrival::new(Late(false)).read(&mut byte).await.unwrap(), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn misses_nothing_that_comes_from_another_thread_while_it_asks() {
        const BYTES: usize = 20_000;
        let (mut stream, mut theirs) = asked();
        let sending = tokio::spawn(async move {
            for _ in 0..BYTES {
                theirs.write_all(b"x").await.unwrap();
                theirs.read_exact(&mut [0]).await.unwrap();
            }
        });
        let answering = async {
            for _ in 0..BYTES {
                stream.read_exact(&mut [0]).await.unwrap();
                stream.stream.stream.write_all(b"y").await.unwrap();
            }
        };
        let answered = tokio::time::timeout(Duration::from_secs(60), answering).await;
        answered.expect("a wake is lost");
        sending.await.unwrap();
    }
}
