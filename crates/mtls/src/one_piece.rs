//! A socket to which one piece is sent, where it would be written as a list of one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Sends a list of one piece as that piece.
///
/// What writes TLS hands its records over as a list, which mostly is of one; the system takes twice as many steps for a list.
#[derive(Debug)]
pub struct OnePiece<S>(S);

impl<S> OnePiece<S> {
    /// Over this socket.
    pub const fn new(socket: S) -> Self {
        Self(socket)
    }
}

impl<S: Connection> Connection for OnePiece<S> {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for OnePiece<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for OnePiece<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = Pin::new(&mut self.0);
        match slices {
            [slice] => socket.poll_write(context, slice),
            _ => socket.poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// How it was written to, and how much.
    #[derive(Debug, Default)]
    struct Socket(Vec<(&'static str, usize)>);

    impl AsyncWrite for Socket {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(("one", bytes.len()));
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let length = slices.iter().map(|slice| slice.len()).sum();
            self.0.push(("list", length));
            Poll::Ready(Ok(length))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn sends_a_list_of_one_as_one_piece_and_any_other_as_a_list() {
        let mut stream = OnePiece::new(Socket::default());
        for pieces in [&["head"] as &[&str], &["head", "body"]] {
            let slices: Vec<_> = pieces
                .iter()
                .map(|piece| IoSlice::new(piece.as_bytes()))
                .collect();
            let written =
                poll_fn(|context| Pin::new(&mut stream).poll_write_vectored(context, &slices)).await;
            assert_eq!(written.unwrap(), pieces.concat().len());
        }
        assert_eq!(stream.0.0, [("one", 4), ("list", 8)]);
    }
}
