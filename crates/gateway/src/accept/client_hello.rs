//! Reading a `ClientHello`, however it is cut into segments and records, and keeping every byte of it.

use std::io;

use rustls::PeerMisbehaved;
use rustls::server::{Accepted, Acceptor};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bounds what is kept of a peer before it is known what it wants. Real ones have up to 2 KiB.
const LARGEST: usize = 16 * 1024;

/// A complete `ClientHello`.
pub(super) struct ClientHello {
    /// For the rest of the handshake.
    pub(super) accepted: Accepted,
    /// Every byte received so far, for an upstream.
    pub(super) received: Vec<u8>,
}

/// Reads a `ClientHello` from a stream.
///
/// # Errors
///
/// [`ClientHelloError`], whereupon the stream is of no further use.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<ClientHello, ClientHelloError> {
    let mut acceptor = Acceptor::default();
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let room = (LARGEST - received.len()).min(buffer.len());
        if room == 0 {
            return Err(ClientHelloError::TooLarge);
        }
        let read = stream.read(&mut buffer[..room]).await?;
        if read == 0 {
            return Err(ClientHelloError::Closed);
        }
        received.extend_from_slice(&buffer[..read]);
        feed(&mut acceptor, &buffer[..read])?;
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(ClientHello { accepted, received }),
            Ok(None) => {}
            Err((
                rustls::Error::PeerMisbehaved(PeerMisbehaved::ServerNameMustContainOneHostName),
                _alert,
            )) => {
                return Err(ClientHelloError::ServerNameMalformed);
            }
            Err((error, _alert)) => return Err(ClientHelloError::NotTls(error)),
        }
    }
}

/// The acceptor takes as many bytes at a time as it likes.
fn feed(acceptor: &mut Acceptor, mut bytes: &[u8]) -> Result<(), ClientHelloError> {
    while !bytes.is_empty() {
        if acceptor.read_tls(&mut bytes)? == 0 {
            return Err(ClientHelloError::TooLarge);
        }
    }
    Ok(())
}

/// Why there is no `ClientHello`.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientHelloError {
    #[error("its ClientHello is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("it closed before its ClientHello was complete")]
    Closed,
    #[error("it does not start with a ClientHello: {0}")]
    NotTls(rustls::Error),
    /// Such as with a trailing dot. RFC 6066 §3
    #[error("its server name is not a host name")]
    ServerNameMalformed,
    #[error("it broke off: {0}")]
    Io(#[from] io::Error),
}
