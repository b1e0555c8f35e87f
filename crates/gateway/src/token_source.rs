//! Where it is learnt what a token is: opaque ones are looked up, JWTs verified, and neither ever falls through to the
//! other.

use std::time::Duration;

use oauth_core::time::Timestamp;

use crate::accepted_token::AcceptedToken;
use crate::introspection_client::IntrospectionClient;
use crate::issuers::Issuers;
use crate::metrics;
use crate::token_error::{TokenError, TokenRefusal};
use crate::token_kind::TokenKind;

/// What was learnt of a token, and for how long that may be kept: `None` where nobody says.
#[derive(Debug)]
pub(crate) struct Learnt {
    pub(crate) token: AcceptedToken,
    pub(crate) max_age: Option<Duration>,
}

impl Learnt {
    /// For how long from `now` it may be remembered: as long as `most`, the answer and the token all allow.
    ///
    /// RFC 7662 §4
    pub(crate) fn kept_for(&self, most: Duration, now: Timestamp) -> Duration {
        self.max_age
            .unwrap_or(most)
            .min(most)
            .min(now.until(self.token.expires_at()))
    }

    /// Whether it may be kept at all.
    pub(crate) fn may_be_kept(&self) -> bool {
        self.max_age != Some(Duration::ZERO)
    }
}

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
    ) -> Result<Learnt, TokenError> {
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
                let max_age = None;
                verified.map(|token| Learnt { token, max_age })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use oauth_core::token_facts::Introspected;

    use super::*;

    /// I12.
    #[test]
    fn is_kept_as_long_as_policy_answer_and_expiry_allow() {
        let (now, seconds) = (Timestamp::from_unix_seconds(1_900), Duration::from_secs);
        let learnt = |max_age: Option<u64>| {
            let answer = Introspected::from_json(br#"{"active":true,"exp":2000}"#).unwrap();
            let Introspected::Active(facts) = answer else {
                panic!("{answer:?}")
            };
            Learnt {
                token: AcceptedToken::from_json(facts).unwrap(),
                max_age: max_age.map(seconds),
            }
        };
        assert_eq!(learnt(None).kept_for(seconds(60), now), seconds(60));
        assert_eq!(learnt(Some(30)).kept_for(seconds(60), now), seconds(30));
        assert_eq!(learnt(Some(300)).kept_for(seconds(600), now), seconds(100));
        assert_eq!(
            learnt(None).kept_for(seconds(60), now.plus(seconds(100))),
            seconds(0)
        );
        assert!(
            learnt(None).may_be_kept() && learnt(Some(1)).may_be_kept() && !learnt(Some(0)).may_be_kept()
        );
    }
}
