//! The bytes of a connection, in the clear or in TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use mtls::OnePiece;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What the connector makes.
pub(in crate::upstream) type Connected = MaybeHttpsStream<TokioIo<Socket>>;

/// The socket below, whether there is TLS over it or not.
pub(in crate::upstream) type Socket = OnePiece<TcpStream>;

/// The way to an API.
#[derive(Debug)]
pub(crate) enum Stream {
    Clear(Socket),
    /// Boxed: it is thirty times as large.
    Tls(Box<Tls>),
    #[cfg(any(test, fuzzing))]
    Memory(tokio::io::DuplexStream),
    #[cfg(test)]
    Watched(super::tests::Watched),
}

/// A stream in TLS, and whether writing to it has failed.
#[derive(Debug)]
pub(crate) struct Tls {
    stream: TokioIo<Connected>,
    is_broken: bool,
}

/// Runs the same for each kind of stream.
macro_rules! on_each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream.get_mut() {
            Stream::Clear($inner) => $call,
            Stream::Tls(tls) => {
                let $inner = &mut tls.stream;
                $call
            }
            #[cfg(any(test, fuzzing))]
            Stream::Memory($inner) => $call,
            #[cfg(test)]
            Stream::Watched($inner) => $call,
        }
    };
}

impl From<Connected> for Stream {
    fn from(connected: Connected) -> Self {
        match connected {
            MaybeHttpsStream::Http(stream) => Self::Clear(stream.into_inner()),
            stream @ MaybeHttpsStream::Https(_) => Self::Tls(Box::new(Tls {
                stream: TokioIo::new(stream),
                is_broken: false,
            })),
        }
    }
}

impl Stream {
    /// What one read gives at most: TLS gives a record.
    pub(super) const fn most_at_once(&self) -> usize {
        if matches!(self, Self::Tls(_)) {
            16 * 1024
        } else {
            usize::MAX
        }
    }

    fn note<T>(&mut self, polled: &Poll<io::Result<T>>) {
        if let (Self::Tls(tls), Poll::Ready(Err(_))) = (self, polled) {
            tls.is_broken = true;
        }
    }
}

impl Drop for Tls {
    /// Says goodbye, as far as that goes without waiting; but not where it would send what could not be sent before.
    /// RFC 8446 §6.1
    fn drop(&mut self) {
        if !self.is_broken {
            let mut context = Context::from_waker(Waker::noop());
            let _unheard = Pin::new(&mut self.stream).poll_shutdown(&mut context);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = on_each!(self.as_mut(), stream => Pin::new(stream).poll_write(context, bytes));
        self.note(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = on_each!(self.as_mut(), stream => Pin::new(stream).poll_write_vectored(context, slices));
        self.note(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = on_each!(self.as_mut(), stream => Pin::new(stream).poll_flush(context));
        self.note(&polled);
        polled
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_shutdown(context))
    }
}
