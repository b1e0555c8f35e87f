//! What tokens were issued for, each once: the tokens of one client for one API differ in little else than their times, and
//! a cache of many keeps the rest together.
//!
//! Saves memory and decides nothing. Looked at when a token is learnt, never when it is used.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use oauth_core::token_facts::Grant;

use crate::lock::lock;

/// The grants of a cache's tokens; `Debug` shows none.
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
        lock(&self.known)
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Grants")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use oauth_core::token_facts::Introspected;

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
        assert!(!Arc::ptr_eq(&grants.shared(grant("one")), &held[0]));
    }

    /// Whatever else two tokens have in common: one is never judged by what the other was issued for.
    #[test]
    fn grants_that_differ_in_anything_stay_apart() {
        let hash = "A".repeat(43);
        let hex = "0".repeat(64);
        let grants = Grants::new(100);
        let members = [
            String::new(),
            r#""iss":"https://issuer.example.com""#.to_owned(),
            r#""aud":"a""#.to_owned(),
            r#""aud":["a","b"]"#.to_owned(),
            r#""aud":["b","a"]"#.to_owned(),
            r#""sub":"a""#.to_owned(),
            r#""client_id":"a""#.to_owned(),
            r#""scope":"a""#.to_owned(),
            r#""scope":"a b""#.to_owned(),
            format!(r#""cnf":{{"x5t#S256":"{hash}"}}"#),
            format!(r#""cnf":{{"x5t#S256":"{hex}"}}"#),
            format!(r#""cnf":{{"x5t#S256":"{}"}}"#, hash.replacen('A', "B", 1)),
        ];
        let of = |members: &String| {
            let separator = if members.is_empty() { "" } else { "," };
            let answer = format!(r#"{{"active":true,"exp":2000{separator}{members}}}"#);
            match Introspected::from_json(answer.as_bytes()).unwrap() {
                Introspected::Active(facts) => grants.shared(Arc::new(facts.grant)),
                other => panic!("{other:?}"),
            }
        };
        let held: Vec<_> = members.iter().map(of).collect();
        assert_eq!(grants.known().len(), members.len());
        for (members, held) in members.iter().zip(&held) {
            assert!(Arc::ptr_eq(&of(members), held), "{members}");
        }
    }
}
