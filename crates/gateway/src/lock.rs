//! Locks that a panic elsewhere does not close: what they guard is whole after every step.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is guarded, for as long as the guard is held.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
