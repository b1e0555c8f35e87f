//! The changes that wait for an engine to commit them together: bounded, and each with somebody who waits.

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

use super::{AssertionUse, StoreError};

/// Bounds the memory that waiting changes take; further ones are refused.
const LONGEST_QUEUE: usize = 4096;
/// Bounds for how long the first change of a batch waits for the others.
pub(super) const LARGEST_BATCH: usize = 1000;

/// What became of a committed change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Made,
    AlreadyThere,
}

impl From<Effect> for AssertionUse {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Made => Self::First,
            Effect::AlreadyThere => Self::Replay,
        }
    }
}

/// A change, and who waits for it. Dropping a request tells them that it failed.
#[derive(Debug)]
pub(super) struct Request<Change> {
    pub(super) change: Change,
    answer: oneshot::Sender<Effect>,
}

impl<Change> Request<Change> {
    /// Tells that the change is durable.
    pub(super) fn answer(self, effect: Effect) {
        // Whoever has gone away does not need the answer.
        let _gone = self.answer.send(effect);
    }
}

/// Where changes are handed in.
#[derive(Debug)]
pub(super) struct Queue<Change>(mpsc::Sender<Request<Change>>);

impl<Change> Queue<Change> {
    pub(super) fn new() -> (Self, mpsc::Receiver<Request<Change>>) {
        let (requests, waiting) = mpsc::channel(LONGEST_QUEUE);
        (Self(requests), waiting)
    }

    /// Resolves once the change is durable.
    pub(super) async fn write(&self, change: Change) -> Result<Effect, StoreError> {
        let (sender, answer) = oneshot::channel();
        let request = Request {
            change,
            answer: sender,
        };
        self.0.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Closed(_) => StoreError::Failed,
        })?;
        answer.await.map_err(|_| StoreError::Failed)
    }
}
