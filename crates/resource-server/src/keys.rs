//! The issuer's keys: at hand, or to be fetched.

use std::sync::Arc;

#[cfg(feature = "jwks")]
use jwks::RemoteJwks;
use oauth_core::jwt::{AccessTokenVerifier, VerificationKeys, VerifiedAccessToken};
use oauth_core::time::Timestamp;

use crate::rejection::Rejection;

/// The keys that an issuer signs with; clones share them. Made of [`VerificationKeys`], which stay as they are, or of
/// `jwks::RemoteJwks`, which follows the issuer's rotation.
#[derive(Clone, Debug)]
pub struct Keys(Source);

#[derive(Clone, Debug)]
enum Source {
    AtHand(Arc<VerificationKeys>),
    #[cfg(feature = "jwks")]
    Remote(RemoteJwks),
}

impl From<VerificationKeys> for Keys {
    fn from(keys: VerificationKeys) -> Self {
        Self(Source::AtHand(Arc::new(keys)))
    }
}

#[cfg(feature = "jwks")]
impl From<RemoteJwks> for Keys {
    fn from(keys: RemoteJwks) -> Self {
        Self(Source::Remote(keys))
    }
}

impl Keys {
    pub(crate) async fn verify(
        &self,
        verifier: &AccessTokenVerifier,
        token: &str,
        now: Timestamp,
    ) -> Result<VerifiedAccessToken, Rejection> {
        match &self.0 {
            Source::AtHand(keys) => verifier.verify(token, keys, now).map_err(Rejection::Token),
            #[cfg(feature = "jwks")]
            Source::Remote(keys) => Ok(keys.verify(verifier, token, now).await?),
        }
    }
}
