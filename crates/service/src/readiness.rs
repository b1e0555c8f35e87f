//! Whether a service can do its work right now.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

use crate::shutdown::Shutdown;

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The named checks behind `/readyz`; clones share them.
///
/// A service that drains is not ready, whatever its checks say.
#[derive(Clone)]
pub struct Readiness {
    checks: Arc<RwLock<BTreeMap<String, Check>>>,
    shutdown: Shutdown,
}

impl Readiness {
    /// Ready until `shutdown` is requested, as long as no check is added.
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            checks: Arc::default(),
            shutdown,
        }
    }

    /// Adds a check, or replaces the one of that name. It is called for every question and must answer at once.
    pub fn add(
        &self,
        name: impl Into<String>,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        let mut checks = self.checks.write().unwrap_or_else(PoisonError::into_inner);
        checks.insert(name.into(), Arc::new(check));
    }

    /// Calls every check.
    ///
    /// # Errors
    ///
    /// What each failing check says, by its name.
    pub fn verify(&self) -> Result<(), Failing> {
        // A check that adds a check must not wait for the lock held while it is called.
        let checks = self.checks.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut failing: BTreeMap<_, _> = checks
            .into_iter()
            .filter_map(|(name, check)| Some((name, check().err()?)))
            .collect();
        if self.shutdown.is_requested() {
            failing.insert("draining".into(), "the service is stopping".into());
        }
        if failing.is_empty() {
            Ok(())
        } else {
            Err(Failing(failing))
        }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks = self.checks.read().unwrap_or_else(PoisonError::into_inner);
        formatter
            .debug_struct("Readiness")
            .field("checks", &checks.keys())
            .finish_non_exhaustive()
    }
}

/// Why a service is not ready: the failing checks by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failing(pub BTreeMap<String, String>);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn is_ready_when_every_check_passes_and_names_those_that_fail() {
        let readiness = Readiness::new(Shutdown::new());
        let store_is_up = Arc::new(AtomicBool::new(true));
        readiness.add("keys", || Ok(()));
        let observed = Arc::clone(&store_is_up);
        readiness.add("store", move || {
            if observed.load(Ordering::SeqCst) {
                Ok(())
            } else {
                Err("cannot be written".into())
            }
        });
        assert_eq!(readiness.verify(), Ok(()));

        store_is_up.store(false, Ordering::SeqCst);
        let failing = readiness.verify().unwrap_err().0;
        assert_eq!(
            failing.into_iter().collect::<Vec<_>>(),
            [("store".into(), "cannot be written".into())]
        );
    }

    #[test]
    fn is_not_ready_while_draining() {
        let shutdown = Shutdown::new();
        let readiness = Readiness::new(shutdown.clone());
        assert_eq!(readiness.verify(), Ok(()));
        shutdown.trigger();
        assert!(readiness.verify().unwrap_err().0.contains_key("draining"));
    }
}
