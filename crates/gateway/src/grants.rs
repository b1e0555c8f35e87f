//! What tokens were issued for, each once: the tokens of one client for one API differ in little else than their times, and
//! a cache of many keeps the rest together.
//!
//! Saves memory and decides nothing. Looked at when a token is learnt, never when it is used.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oauth_core::token_facts::Grant;

/// The grants of a cache's tokens.
#[derive(Debug)]
pub(crate) struct Grants {
    // Bounds the memory. Then it begins anew, which costs what is learnt next a grant of its own.
    most: usize,
    known: Mutex<HashSet<Arc<Grant>>>,
}

impl Grants {
    /// None yet, and never more than `most`.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            known: Mutex::default(),
        }
    }

    /// The one that is held already, where it is the same.
    pub(crate) fn shared(&self, grant: Arc<Grant>) -> Arc<Grant> {
        let mut known = self.known();
        if let Some(same) = known.get(&grant) {
            return Arc::clone(same);
        }
        if known.len() >= self.most {
            known.clear();
        }
        known.insert(Arc::clone(&grant));
        grant
    }

    /// Lets go of those that no token has any more.
    pub(crate) fn forget(&self) {
        self.known().retain(|grant| Arc::strong_count(grant) > 1);
    }

    fn known(&self) -> MutexGuard<'_, HashSet<Arc<Grant>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(client_id: &str) -> Arc<Grant> {
        Arc::new(Grant {
            iss: None,
            aud: vec!["api.example.com".to_owned()],
            sub: None,
            client_id: Some(client_id.to_owned()),
            scope: "transactions".parse().unwrap(),
            cnf: None,
        })
    }

    #[test]
    fn holds_the_same_grant_once_and_as_long_as_somebody_else_does() {
        let grants = Grants::new(10);
        let (one, other) = (grants.shared(grant("one")), grants.shared(grant("other")));
        assert!(Arc::ptr_eq(&one, &grants.shared(grant("one"))));
        assert_ne!(one, other);
        drop(other);
        grants.forget();
        assert_eq!(grants.known().len(), 1);
        assert!(Arc::ptr_eq(&one, &grants.shared(grant("one"))));
    }

    #[test]
    fn never_holds_more_than_its_bound() {
        let grants = Grants::new(2);
        let held = ["one", "two", "three"].map(|client_id| grants.shared(grant(client_id)));
        assert_eq!(grants.known().len(), 1);
        assert_eq!(grants.shared(grant("one")), held[0]);
    }
}
