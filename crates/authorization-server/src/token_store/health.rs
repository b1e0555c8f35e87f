//! Whether a store works: what readiness asks, and what ends the service.

use tokio::sync::watch;

use super::StoreError;

/// What a store tells of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    /// Whether it can be read and written, as far as is known.
    pub(super) works: bool,
    /// How many batches of changes were committed.
    pub(super) commits: u64,
}

/// The store's side: dropping it says that the store has stopped for good.
pub(super) fn channel() -> (watch::Sender<Condition>, StoreHealth) {
    let condition = Condition {
        works: true,
        commits: 0,
    };
    let (sender, receiver) = watch::channel(condition);
    (sender, StoreHealth(receiver))
}

/// Counts a commit, and wakes nobody for it.
pub(super) fn count_commit(condition: &watch::Sender<Condition>) {
    condition.send_if_modified(|condition| {
        condition.commits += 1;
        false
    });
}

/// Whether a store works, seen from outside.
#[derive(Clone, Debug)]
pub struct StoreHealth(watch::Receiver<Condition>);

impl StoreHealth {
    /// Whether the store works right now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] while it does not, and once it has stopped.
    pub fn verify(&self) -> Result<(), StoreError> {
        let stopped = self.0.has_changed().is_err();
        if stopped || !self.0.borrow().works {
            return Err(StoreError::Failed);
        }
        Ok(())
    }

    /// Resolves once the store has stopped for good: then the service is to be started again.
    pub async fn stopped(mut self) {
        while self.0.changed().await.is_ok() {}
    }

    /// Resolves once the store works, or has stopped for good.
    pub(crate) async fn works(mut self) {
        let _stopped = self.0.wait_for(|condition| condition.works).await;
    }

    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.0.borrow().commits
    }

    #[cfg(test)]
    pub(crate) fn of_a_stopped_store() -> Self {
        channel().1
    }

    /// Resolves once the store is known to work, or not to.
    #[cfg(test)]
    pub(super) async fn until(&mut self, works: bool) {
        self.0
            .wait_for(|condition| condition.works == works)
            .await
            .unwrap();
    }
}
