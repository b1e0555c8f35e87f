//! A deadline for the first bytes of a connection.
//!
//! hyper-util waits without limit for the bytes that tell HTTP/2 from HTTP/1 (hyperium/hyper#3756); this bounds that
//! wait and nothing after it, where hyper's own timers take over. It can go when hyper-util bounds the wait itself.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use crate::until::Reason;

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The peer has not shown its HTTP version in time.
#[derive(Debug)]
pub(crate) struct StartDeadline(Option<Start>);

#[derive(Debug)]
struct Start {
    deadline: Pin<Box<Sleep>>,
    preface_seen: usize,
}

impl StartDeadline {
    pub(crate) fn new(within: Duration) -> Self {
        Self(Some(Start {
            deadline: Box::pin(sleep(within)),
            preface_seen: 0,
        }))
    }
}

impl Reason for StartDeadline {
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Some(start) => start
                .deadline
                .as_mut()
                .poll(context)
                .map(|()| Err(io::ErrorKind::TimedOut.into())),
            None => Poll::Pending,
        }
    }

    fn observe(&mut self, read: &[u8]) {
        let Some(start) = &mut self.0 else { return };
        let expected = &HTTP2_PREFACE[start.preface_seen..];
        let compared = read.len().min(expected.len());
        start.preface_seen += compared;
        let is_other_than_preface = read[..compared] != expected[..compared];
        if is_other_than_preface || start.preface_seen == HTTP2_PREFACE.len() {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::until::Until;

    const WITHIN: Duration = Duration::from_secs(10);

    async fn read_all_of(sent: &[u8]) -> io::Result<usize> {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(sent).await.unwrap();
        let mut stream = Until::new(ours, StartDeadline::new(WITHIN));
        let mut buffer = [0; 1024];
        stream.read_exact(&mut buffer[..sent.len()]).await?;
        tokio::spawn(async move {
            sleep(WITHIN * 2).await;
            theirs.write_all(b"x").await.unwrap();
        });
        stream.read(&mut buffer).await
    }

    #[tokio::test(start_paused = true)]
    async fn accepts_any_wait_once_the_version_is_known() {
        assert_eq!(read_all_of(b"GET / HTTP/1.1\r\n").await.unwrap(), 1);
        assert_eq!(read_all_of(HTTP2_PREFACE).await.unwrap(), 1);
        assert_eq!(read_all_of(b"PRO").await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_a_wait_past_the_deadline_before_the_version_is_known() {
        for sent in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n"] {
            assert_eq!(
                read_all_of(sent).await.unwrap_err().kind(),
                io::ErrorKind::TimedOut
            );
        }
    }
}
