//! A service that has started: where it listens, and the tasks that make it up.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};

use anyhow::Context;
use axum::Router;
use tokio::signal::unix::Signal;
use tokio::task::{JoinError, JoinSet};

use crate::admin::{self, install_metrics};
use crate::operation::guarded;
use crate::readiness::Readiness;
use crate::reload::{Occasion, Reload, Reloads};
use crate::shutdown::Shutdown;

/// A started service; what every service's `start(configuration, shutdown)` returns.
///
/// Dropping it aborts its tasks.
#[derive(Debug)]
pub struct Running {
    addresses: BTreeMap<&'static str, SocketAddr>,
    tasks: JoinSet<anyhow::Result<()>>,
    // Live until the tasks have ended, so that `/readyz` can say that the service drains.
    companions: JoinSet<anyhow::Result<()>>,
    reloads: Reloads,
    shutdown: Shutdown,
}

impl Running {
    /// Nothing listens and nothing runs yet; metrics are recorded from here on.
    pub fn new(shutdown: Shutdown) -> Self {
        install_metrics();
        Self {
            addresses: BTreeMap::new(),
            tasks: JoinSet::new(),
            companions: JoinSet::new(),
            reloads: Reloads::default(),
            shutdown,
        }
    }

    /// Notes where the listener of this name is; names are the keys of the configuration's `[listen]`.
    pub fn add_address(&mut self, name: &'static str, address: SocketAddr) {
        tracing::info!(listen.name = name, listen.address = %address, "{name} listens on {address}");
        self.addresses.insert(name, address);
    }

    /// Where the listener of this name is.
    ///
    /// # Panics
    ///
    /// When the service has no listener of that name: the caller misspelled it.
    pub fn address(&self, name: &str) -> SocketAddr {
        let Some(address) = self.addresses.get(name) else {
            panic!(
                "no listener is named {name}; there are {:?}",
                self.addresses.keys()
            );
        };
        *address
    }

    /// Runs a task until it ends; it is to end soon after the shutdown is requested.
    pub fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks
            .spawn(async move { task.await.with_context(|| format!("{name} failed")) });
    }

    /// Serves the admin endpoints on this listener, named `admin`, until every task has ended.
    ///
    /// # Errors
    ///
    /// When the listener cannot be used.
    pub fn serve_admin(&mut self, listener: TcpListener, readiness: Readiness) -> anyhow::Result<()> {
        self.serve_admin_showing(listener, readiness, Router::new())
    }

    /// The same, and beside it `operations`, which change the service: for this machine alone.
    ///
    /// # Errors
    ///
    /// When the listener cannot be used.
    pub fn serve_admin_with(
        &mut self,
        listener: TcpListener,
        readiness: Readiness,
        operations: Router,
    ) -> anyhow::Result<()> {
        self.serve_admin_showing(listener, readiness, guarded(operations))
    }

    /// As [`Self::serve_admin`], and beside it `pages`, which show something of the service to whoever reaches the
    /// listener: they change nothing.
    ///
    /// # Errors
    ///
    /// When the listener cannot be used.
    pub fn serve_admin_showing(
        &mut self,
        listener: TcpListener,
        readiness: Readiness,
        pages: Router,
    ) -> anyhow::Result<()> {
        let address = listener
            .local_addr()
            .context("the admin listener has no address")?;
        self.add_address("admin", address);
        let router = admin::router(readiness).merge(pages);
        self.companions.spawn(admin::serve(listener, router));
        Ok(())
    }

    /// Reads files again when they change, until every task has ended.
    pub fn reload_on_change(&mut self, reload: Reload) {
        if self.reloads.is_empty() {
            self.companions.spawn(self.reloads.clone().poll());
        }
        self.reloads.add(reload);
    }

    /// Reads all files of [`Self::reload_on_change`] again on every `hangup`.
    pub(crate) fn reload_on(&mut self, mut hangup: Signal) {
        let reloads = self.reloads.clone();
        self.companions.spawn(async move {
            while hangup.recv().await.is_some() {
                tracing::info!(signal = "SIGHUP", "SIGHUP received: all files are read again");
                reloads.attempt_aside(Occasion::Demand).await?;
            }
            std::future::pending().await
        });
    }

    /// What is read again, to do so without waiting for a change to be noticed.
    pub fn reloads(&self) -> Reloads {
        self.reloads.clone()
    }

    /// Waits for every task to end. The first error asks the others to stop, and is the answer.
    ///
    /// # Errors
    ///
    /// What the first failed task says, or that the end came at once and requests were abandoned.
    pub async fn finished(mut self) -> anyhow::Result<()> {
        let at_once = self.shutdown.requested_at_once();
        tokio::select! {
            result = self.join_tasks() => result,
            () = at_once => anyhow::bail!("stopped at once; requests in hand were abandoned"),
        }
    }

    async fn join_tasks(&mut self) -> anyhow::Result<()> {
        let mut first_error = None;
        while let Some(ended) = self.next_end().await {
            if let Err(error) = flatten(ended) {
                self.shutdown.trigger();
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// The next task to end, the companions among them; none once every other task has ended.
    async fn next_end(&mut self) -> Option<Result<anyhow::Result<()>, JoinError>> {
        tokio::select! {
            biased;
            ended = self.tasks.join_next() => ended,
            Some(ended) = self.companions.join_next() => Some(ended),
        }
    }
}

fn flatten(ended: Result<anyhow::Result<()>, JoinError>) -> anyhow::Result<()> {
    ended.context("a task of the service panicked")?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::healthcheck::{self, HealthcheckError};

    #[tokio::test]
    async fn finishes_when_every_task_has_ended_after_shutdown() {
        let shutdown = Shutdown::new();
        let mut running = Running::new(shutdown.clone());
        for name in ["one", "other"] {
            let requested = shutdown.requested();
            running.spawn(name, async move {
                requested.await;
                Ok(())
            });
        }
        shutdown.trigger();
        running.finished().await.unwrap();
    }

    #[tokio::test]
    async fn the_first_error_stops_the_other_tasks_and_is_the_answer() {
        let shutdown = Shutdown::new();
        let mut running = Running::new(shutdown.clone());
        let requested = shutdown.requested();
        running.spawn("waiting", async move {
            requested.await;
            anyhow::bail!("only because the other failed")
        });
        running.spawn("failing", async { anyhow::bail!("disk full") });
        let error = format!("{:#}", running.finished().await.unwrap_err());
        assert_eq!(error, "failing failed: disk full");
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let mut running = Running::new(Shutdown::new());
        running.spawn("panicking", async { panic!("in a test") });
        assert!(
            running
                .finished()
                .await
                .unwrap_err()
                .to_string()
                .contains("panicked")
        );
    }

    #[tokio::test]
    async fn an_end_at_once_waits_for_no_task() {
        let shutdown = Shutdown::new();
        let mut running = Running::new(shutdown.clone());
        running.spawn("stuck", std::future::pending());
        shutdown.trigger_at_once();
        assert!(
            running
                .finished()
                .await
                .unwrap_err()
                .to_string()
                .contains("at once")
        );
    }

    #[tokio::test]
    async fn says_that_it_drains_until_the_last_task_has_ended() {
        let shutdown = Shutdown::new();
        let mut running = Running::new(shutdown.clone());
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        running.spawn("draining", async move { Ok(released.await?) });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        running
            .serve_admin(listener, Readiness::new(shutdown.clone()))
            .unwrap();
        let admin = running.address("admin");
        assert_eq!(healthcheck::ask(admin).await, Ok(()));

        let finished = tokio::spawn(running.finished());
        shutdown.trigger();
        let answer = healthcheck::ask(admin).await;
        assert!(matches!(answer, Err(HealthcheckError::NotReady(_))), "{answer:?}");

        release.send(()).unwrap();
        finished.await.unwrap().unwrap();
        let answer = healthcheck::ask(admin).await;
        assert!(
            matches!(answer, Err(HealthcheckError::NoAnswer { .. })),
            "{answer:?}"
        );
    }

    #[tokio::test]
    async fn knows_its_listeners_by_name() {
        let mut running = Running::new(Shutdown::new());
        running.add_address("mutual_tls", "127.0.0.1:8444".parse().unwrap());
        assert_eq!(running.address("mutual_tls").port(), 8444);
    }
}
