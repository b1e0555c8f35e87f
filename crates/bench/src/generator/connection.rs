//! One TLS connection, and one request at a time on it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::ClientConfig;
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::request::Request;
use super::response::{Head, head_end};

/// The body that is kept of an answer; of a larger one only the length is counted.
const LARGEST_KEPT_BODY: usize = 64 * 1024;
/// Bounds a head that does not end.
const LARGEST_HEAD: usize = 64 * 1024;
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Where a connection goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The listener.
    pub(crate) address: SocketAddr,
    /// The name sent in the handshake, for which the server's certificate must be valid.
    pub(crate) server_name: ServerName<'static>,
}

impl Target {
    /// The server that is called `name`, at an address.
    pub(crate) fn new(address: SocketAddr, name: &'static str) -> anyhow::Result<Self> {
        Ok(Self {
            address,
            server_name: ServerName::try_from(name)?,
        })
    }
}

/// What a request came to; the body is left in the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// Whether the server closes the connection.
    pub(crate) closes: bool,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
    body: Vec<u8>,
}

impl Connection {
    /// Connects and completes the handshake.
    pub(crate) async fn open(target: &Target, tls: Arc<ClientConfig>) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(target.address)
            .await
            .with_context(|| format!("connecting to {}", target.address))?;
        tcp.set_nodelay(true)?;
        let stream = TlsConnector::from(tls)
            .connect(target.server_name.clone(), tcp)
            .await
            .with_context(|| format!("the handshake with {}", target.address))?;
        Ok(Self {
            stream,
            unread: Vec::with_capacity(16 * 1024),
            body: Vec::new(),
        })
    }

    /// Whether the handshake resumed a session.
    pub(crate) fn is_resumed(&self) -> bool {
        self.stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The body of the last answer, up to 64 KiB of it.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Sends a request and reads the whole answer, adding the bytes of both bodies to `moved` as they pass.
    pub(crate) async fn exchange(&mut self, request: &Request, moved: &Cell<u64>) -> anyhow::Result<Answer> {
        self.stream.write_all(&request.bytes).await?;
        let mut left = request.zeros;
        while left > 0 {
            let piece = usize::try_from(left).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            self.stream.write_all(&ZEROS[..piece]).await?;
            moved.set(moved.get() + piece as u64);
            left -= piece as u64;
        }
        if request.zeros > 0 {
            self.stream.flush().await?;
        }
        self.answer(moved).await
    }

    /// Ends the connection as TLS wants it ended.
    pub(crate) async fn close(mut self) {
        // The peer may have closed already; either way the connection is over.
        let _over = self.stream.shutdown().await;
    }

    async fn answer(&mut self, moved: &Cell<u64>) -> anyhow::Result<Answer> {
        let end = loop {
            if let Some(end) = head_end(&self.unread) {
                break end;
            }
            if self.unread.len() > LARGEST_HEAD {
                bail!("the answer's head does not end");
            }
            self.read().await?;
        };
        let head = Head::parse(&self.unread[..end])?;
        self.unread.drain(..end);
        self.body.clear();
        let mut decoder = head.body;
        loop {
            let kept = &mut self.body;
            let taken = decoder.advance(&self.unread, |content| {
                moved.set(moved.get() + content.len() as u64);
                if kept.len() + content.len() <= LARGEST_KEPT_BODY {
                    kept.extend_from_slice(content);
                }
            })?;
            self.unread.drain(..taken);
            if decoder.is_complete() {
                break;
            }
            self.read().await?;
        }
        Ok(Answer {
            status: head.status,
            closes: head.closes,
        })
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        self.unread.reserve(16 * 1024);
        if self.stream.read_buf(&mut self.unread).await? == 0 {
            bail!("the server closed the connection before its answer was complete");
        }
        Ok(())
    }
}
