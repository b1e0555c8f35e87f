//! Passing a connection on unopened: the bytes of its `ClientHello` first, then everything, both ways.
//!
//! The gateway sees nothing of it but the server name. Either side may close its half; silence on both ends it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::activity::Activity;
use crate::watched::Watched;

/// For a TCP connection to the upstream.
const CONNECT: Duration = Duration::from_secs(5);
/// Without a byte in either direction.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// For each direction; TLS records have up to 16 KiB.
const BUFFER: usize = 32 * 1024;

/// Passes `client` on to `upstream`, after the bytes `received` from it already.
///
/// # Errors
///
/// Where the upstream cannot be reached, a side breaks off, or both are silent for too long. The caller closes.
pub(crate) async fn pass_through(client: TcpStream, received: &[u8], upstream: &str) -> io::Result<()> {
    let mut server = timeout(CONNECT, TcpStream::connect(upstream))
        .await
        .map_err(|_| too_late("connecting"))??;
    server.set_nodelay(true)?;
    server.write_all(received).await?;
    let activity = Activity::new();
    let mut client = Watched::new(client, &activity);
    tokio::select! {
        ended = copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER) => ended.map(|_| ()),
        () = activity.quiet_for(IDLE) => Err(too_late("silence on both sides")),
    }
}

fn too_late(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} took too long"))
}
