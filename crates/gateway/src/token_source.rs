//! Where it is learnt what a token is: opaque ones are looked up, JWTs verified, and neither ever falls through to the
//! other.

use oauth_core::time::Timestamp;

use crate::accepted_token::AcceptedToken;
use crate::introspection_client::IntrospectionClient;
use crate::issuers::Issuers;
use crate::metrics;
use crate::token_error::{TokenError, TokenRefusal};
use crate::token_kind::TokenKind;

/// Both sources.
#[derive(Debug)]
pub(crate) struct TokenSource {
    /// `None` where no route takes opaque tokens.
    pub(crate) introspection: Option<IntrospectionClient>,
    pub(crate) issuers: Issuers,
}

impl TokenSource {
    /// What `token`, which is of this `kind`, stands for.
    ///
    /// # Errors
    ///
    /// As [`IntrospectionClient::introspect`] or [`Issuers::verify`].
    pub(crate) async fn learn(
        &self,
        kind: TokenKind,
        token: &str,
        now: Timestamp,
    ) -> Result<AcceptedToken, TokenError> {
        match (kind, &self.introspection) {
            (TokenKind::Opaque, Some(introspection)) => {
                let introspected = introspection.introspect(token, now).await;
                metrics::introspection(&introspected);
                introspected
            }
            (TokenKind::Opaque, None) => Err(TokenRefusal::Kind.into()),
            (TokenKind::Jwt, _) => {
                let verified = self.issuers.verify(token, now).await;
                metrics::jwt_verification(&verified);
                verified
            }
        }
    }
}
