//! Passing a connection on unopened: where it comes from, if the upstream is to know; the bytes of its `ClientHello`; then
//! everything, both ways.
//!
//! The gateway sees nothing of it but the server name. Either side may close its half; silence on both ends it.

use std::io;
use std::time::Duration;

use mtls::proxy_protocol::Ends;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::watched::carry;

/// For a TCP connection to the upstream.
const CONNECT: Duration = Duration::from_secs(5);
/// For each direction; TLS records have up to 16 KiB.
const BUFFER: usize = 32 * 1024;

/// Where connections to a host are passed on to.
#[derive(Clone, Debug)]
pub(crate) struct PassThrough {
    /// `host:port`.
    pub(crate) upstream: String,
    pub(crate) ends: EndsOfConnection,
}

/// Whether the upstream is told, by a PROXY header, who connected to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndsOfConnection {
    Told,
    NotTold,
}

/// Passes `client`, of the connection between `ends`, on to its destination, after the bytes `received` from it already.
///
/// # Errors
///
/// Where the upstream cannot be reached, a side breaks off, or both are silent for too long. The caller closes.
pub(crate) async fn pass_through(
    mut client: TcpStream,
    ends: Ends,
    received: &[u8],
    destination: &PassThrough,
) -> io::Result<()> {
    let mut server = timeout(CONNECT, TcpStream::connect(&destination.upstream))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "connecting took too long"))??;
    server.set_nodelay(true)?;
    if destination.ends == EndsOfConnection::Told {
        server.write_all(&ends.header()).await?;
    }
    server.write_all(received).await?;
    carry(&mut client, &mut server, BUFFER).await
}
