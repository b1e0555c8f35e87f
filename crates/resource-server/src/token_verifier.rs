//! Verifies tokens, and remembers those that it has verified: one that comes again costs no signature check.
//!
//! The memory saves work and decides nothing. It is of one verifier and of one set of keys: whatever keys are fetched
//! next, every token is verified anew. Times are looked at whenever a token comes; binding and scope are decided
//! behind this, for every request. Refusals are not remembered.

use std::sync::Arc;

use oauth_core::access_token::TokenDigest;
use oauth_core::jwt::{AccessTokenVerifier, VerificationError, VerificationKeys, VerifiedAccessToken};
use oauth_core::time::Timestamp;
use quick_cache::sync::Cache;

use crate::keys::Keys;
use crate::rejection::Rejection;

/// Bounds the memory: a token takes about a kibibyte. One that makes room for another costs one more check of it.
const MOST: usize = 8 * 1024;

#[derive(Debug)]
pub(crate) struct TokenVerifier {
    keys: Keys,
    verifier: AccessTokenVerifier,
    // By the token's digest.
    remembered: Cache<[u8; 32], Remembered>,
}

/// A token that was verified, and with which keys.
#[derive(Clone, Debug)]
struct Remembered {
    token: Arc<VerifiedAccessToken>,
    keys: VerificationKeys,
}

impl TokenVerifier {
    pub(crate) fn new(keys: Keys, verifier: AccessTokenVerifier) -> Self {
        let remembered = Cache::new(MOST);
        Self {
            keys,
            verifier,
            remembered,
        }
    }

    pub(crate) async fn verify(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<VerifiedAccessToken>, Rejection> {
        let digest = TokenDigest::of(token);
        self.keys
            .ask(|keys| match self.remembered(&digest, keys) {
                Some(token) => token.verify_time(now).map(|()| token),
                None => self.verify_anew(token, &digest, keys, now),
            })
            .await
    }

    fn remembered(&self, digest: &TokenDigest, keys: &VerificationKeys) -> Option<Arc<VerifiedAccessToken>> {
        let remembered = self.remembered.get(digest.as_bytes())?;
        remembered.keys.is_same(keys).then_some(remembered.token)
    }

    fn verify_anew(
        &self,
        token: &str,
        digest: &TokenDigest,
        keys: &VerificationKeys,
        now: Timestamp,
    ) -> Result<Arc<VerifiedAccessToken>, VerificationError> {
        let token = Arc::new(self.verifier.verify(token, keys, now)?);
        let remembered = Remembered {
            token: Arc::clone(&token),
            keys: keys.clone(),
        };
        self.remembered.insert(*digest.as_bytes(), remembered);
        Ok(token)
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests;
