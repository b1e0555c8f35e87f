//! The places of the public port, whichever worker accepts: how many connections there are at once, from one address and
//! from all, and how they end.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use service::Shutdown;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::addresses::{AddressPlace, Addresses};
use crate::configuration::ListenSection;

/// For connections in hand when the gateway stops.
const DRAIN: Duration = Duration::from_secs(30);

/// The connections in hand, of all workers.
#[derive(Debug)]
pub(crate) struct Gate {
    vacancies: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    connections: TaskTracker,
    abandoned: CancellationToken,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _vacancy: OwnedSemaphorePermit,
}

impl Gate {
    /// None has come in yet.
    pub(crate) fn new(section: &ListenSection) -> Self {
        Self {
            vacancies: Arc::new(Semaphore::new(section.connections)),
            addresses: Addresses::new(section.connections_per_address),
            connections: TaskTracker::new(),
            abandoned: CancellationToken::new(),
        }
    }

    /// A place for one more connection, once there is one. While a worker waits here it accepts no further connection.
    pub(crate) async fn place(&self) -> Option<Place> {
        let vacancy = Arc::clone(&self.vacancies).acquire_owned().await.ok()?;
        Some(Place { _vacancy: vacancy })
    }

    /// One of the places of the address `peer`; `None` where it has its share of them.
    pub(crate) fn share(&self, peer: IpAddr) -> Option<AddressPlace> {
        self.addresses.place(peer)
    }

    /// Lets a connection in: on this worker, until it ends or the worker does.
    pub(crate) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static, place: Place) {
        self.connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }

    /// Resolves once, after the shutdown, no connection is left, or those that are have had their time: they end, in
    /// the middle, with their worker's runtime.
    pub(crate) async fn is_done(&self) {
        tokio::select! {
            () = self.connections.wait() => {}
            () = self.abandoned.cancelled() => {}
        }
    }

    /// Waits for the shutdown, then gives the connections in hand time to end.
    pub(crate) async fn drain(&self, shutdown: &Shutdown) {
        shutdown.requested().await;
        self.connections.close();
        if timeout(DRAIN, self.connections.wait()).await.is_err() {
            tracing::warn!(
                "{} connections did not end within {} s and are cut",
                self.connections.len(),
                DRAIN.as_secs()
            );
            self.abandoned.cancel();
        }
    }
}
