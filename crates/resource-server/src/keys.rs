//! The issuer's keys: at hand, or to be fetched.

#[cfg(feature = "jwks")]
use jwks::RemoteJwks;
use oauth_core::jwt::{VerificationError, VerificationKeys};

use crate::rejection::Rejection;

/// The keys that an issuer signs with; clones share them. Made of [`VerificationKeys`], which stay as they are, or of
/// `jwks::RemoteJwks`, which follows the issuer's rotation.
#[derive(Clone, Debug)]
pub struct Keys(Source);

#[derive(Clone, Debug)]
enum Source {
    AtHand(VerificationKeys),
    #[cfg(feature = "jwks")]
    Remote(RemoteJwks),
}

impl From<VerificationKeys> for Keys {
    fn from(keys: VerificationKeys) -> Self {
        Self(Source::AtHand(keys))
    }
}

#[cfg(feature = "jwks")]
impl From<RemoteJwks> for Keys {
    fn from(keys: RemoteJwks) -> Self {
        Self(Source::Remote(keys))
    }
}

impl Keys {
    /// What `verify` makes of a token, given the keys; it is asked a second time, with newer keys, where the first do
    /// not hold the token's.
    pub(crate) async fn ask<T>(
        &self,
        verify: impl Fn(&VerificationKeys) -> Result<T, VerificationError>,
    ) -> Result<T, Rejection> {
        match &self.0 {
            Source::AtHand(keys) => verify(keys).map_err(Rejection::Token),
            #[cfg(feature = "jwks")]
            Source::Remote(keys) => Ok(keys.verify_with(verify).await?),
        }
    }
}
