//! The one wish to stop that every task of a service listens to.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A wish to stop, shared by all its clones.
///
/// Once triggered it stays so. A second, stronger wish, to stop at once, is for an operator who will not wait for
/// the requests in hand.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    requested: CancellationToken,
    at_once: CancellationToken,
}

impl Shutdown {
    /// No wish yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks every task to finish what it has in hand and end.
    pub fn trigger(&self) {
        self.requested.cancel();
    }

    /// Asks to end without finishing anything.
    pub fn trigger_at_once(&self) {
        self.requested.cancel();
        self.at_once.cancel();
    }

    /// Resolves once shutdown is asked for, at once if it was already.
    pub fn requested(&self) -> impl Future<Output = ()> + Send + 'static {
        self.requested.clone().cancelled_owned()
    }

    /// Whether shutdown has been asked for.
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Resolves once an end without finishing is asked for.
    pub fn requested_at_once(&self) -> impl Future<Output = ()> + Send + 'static {
        self.at_once.clone().cancelled_owned()
    }

    /// Triggers on SIGTERM and SIGINT (Ctrl-C), and at once on a second one; to be called within a runtime.
    ///
    /// # Errors
    ///
    /// When the signal handlers cannot be installed.
    pub fn on_signals(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            let name = either(&mut terminate, &mut interrupt).await;
            tracing::info!(signal = name, "{name} received: finishing the requests in hand");
            shutdown.trigger();
            let name = either(&mut terminate, &mut interrupt).await;
            tracing::warn!(signal = name, "{name} received again: stopping at once");
            shutdown.trigger_at_once();
        });
        Ok(())
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trigger_reaches_every_clone_and_whoever_asks_later() {
        let shutdown = Shutdown::new();
        let clone = shutdown.clone();
        let waiting = clone.requested();
        assert!(!clone.is_requested());
        shutdown.trigger();
        waiting.await;
        clone.requested().await;
        assert!(clone.is_requested());
        assert!(!clone.at_once.is_cancelled());
    }

    #[tokio::test]
    async fn an_end_at_once_is_a_shutdown_too() {
        let shutdown = Shutdown::new();
        shutdown.trigger_at_once();
        shutdown.requested().await;
        shutdown.requested_at_once().await;
    }
}
