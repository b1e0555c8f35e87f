//! Closing a connection so that the peer can still read why.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Bounds what a refused peer can make us read.
const MOST_DISCARDED: usize = 64 * 1024;
/// Bounds how long a refused peer can hold its connection.
const LONGEST_LINGER: Duration = Duration::from_secs(1);

/// Closes the sending side, then reads and discards what the peer has sent already, within limits.
///
/// A TLS 1.3 client has usually sent its request before it can learn of its refusal. Closing a socket with unread
/// bytes makes the kernel answer with a reset, which destroys an alert the client has not read yet.
pub async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    // A peer that is slower than this, or gone already, has no use for the rest.
    let _elapsed = timeout(LONGEST_LINGER, close_and_discard(&mut stream)).await;
}

async fn close_and_discard<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut discarded = 0;
    let mut buffer = [0; 4096];
    while discarded < MOST_DISCARDED {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => discarded += read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn discards_what_was_sent_and_ends_when_the_peer_closes() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(&[7; 500]).await.unwrap();
        theirs.shutdown().await.unwrap();
        timeout(Duration::from_millis(900), linger(ours))
            .await
            .expect("ends before its own limit");
        assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn ends_after_its_limit_of_bytes() {
        let (ours, mut theirs) = tokio::io::duplex(MOST_DISCARDED * 4);
        theirs.write_all(&vec![7; MOST_DISCARDED * 2]).await.unwrap();
        timeout(Duration::from_millis(900), linger(ours))
            .await
            .expect("ends before its limit of time");
    }

    #[tokio::test(start_paused = true)]
    async fn ends_after_its_limit_of_time() {
        let (ours, _theirs) = tokio::io::duplex(1024);
        let started = tokio::time::Instant::now();
        linger(ours).await;
        assert_eq!(started.elapsed().as_secs(), LONGEST_LINGER.as_secs());
    }
}
