//! The audiences that tokens may be for: those of all routes.
//!
//! Only a first sieve, for tokens that no route could take: which audience a request's token must have, its route says,
//! at every request. So an audience once known stays known until the next start, and a request that began under former
//! routes does not fail for want of theirs.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use oauth_core::jwt::{AccessTokenVerifier, SignatureAlgorithm};

/// The audiences that some route expects or has expected; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audiences(Arc<ArcSwap<BTreeSet<String>>>);

#[cfg(test)]
impl Audiences {
    /// These, and no other so far.
    pub(crate) fn new(audiences: &[String]) -> Self {
        let known = Self::default();
        known.add(audiences);
        known
    }
}

impl Audiences {
    /// These as well, from now on.
    pub(crate) fn add(&self, audiences: &[String]) {
        self.0.rcu(|known| {
            let known = known.iter().chain(audiences);
            known.cloned().collect::<BTreeSet<_>>()
        });
    }
}

/// What demands a token of one issuer, for any of the audiences as they stand.
#[derive(Clone, Debug)]
pub(crate) struct LiveVerifier {
    issuer: String,
    audiences: Audiences,
}

impl LiveVerifier {
    /// Of this issuer's tokens.
    pub(crate) fn new(issuer: impl Into<String>, audiences: &Audiences) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: audiences.clone(),
        }
    }

    /// As the audiences stand now.
    pub(crate) fn now(&self) -> AccessTokenVerifier {
        AccessTokenVerifier {
            issuer: self.issuer.clone(),
            audiences: self.audiences.0.load().iter().cloned().collect(),
            algorithms: SignatureAlgorithm::ALL.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_audiences_and_forgets_none() {
        let audiences = Audiences::new(&["one".into()]);
        let verifier = LiveVerifier::new("issuer", &audiences);
        audiences.add(&["two".into(), "one".into()]);
        assert_eq!(verifier.now().audiences, ["one", "two"]);
        audiences.add(&["two".into()]);
        assert_eq!(verifier.now().audiences, ["one", "two"]);
    }
}
