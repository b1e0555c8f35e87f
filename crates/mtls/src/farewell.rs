//! The end of a connection whose certificate is no longer trusted.
//!
//! Its requests are refused one by one, above; here it ends as if the peer had closed it, a moment after the first
//! refusal, so that the peer reads that answer and comes back with the certificate it has now.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::sleep;

use crate::standing::Standing;
use crate::until::Reason;

/// For the refusal to reach the peer.
const FAREWELL: Duration = Duration::from_secs(1);

/// The peer's standing is lost.
pub(crate) struct Untrusted {
    // `None`: it has been.
    lost: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Untrusted {
    pub(crate) fn new(standing: &Standing) -> Self {
        let lost = standing.lost();
        let lost = async move {
            lost.await;
            sleep(FAREWELL).await;
        };
        Self {
            lost: Some(Box::pin(lost)),
        }
    }
}

impl Reason for Untrusted {
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(lost) = &mut self.lost {
            ready!(lost.as_mut().poll(context));
            self.lost = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Untrusted").finish_non_exhaustive()
    }
}
