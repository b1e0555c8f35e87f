//! The token at hand: who uses it, who fetches the next one, and who waits for that.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use oauth_core::thumbprint::CertificateThumbprint;

use crate::access_token::{AccessToken, HeldToken};
use crate::error::TokenError;

/// Keeps one token for all callers.
#[derive(Default)]
pub(crate) struct TokenKeeper {
    held: Mutex<Option<HeldToken>>,
    /// Whoever holds the lock fetches a token.
    fetching: tokio::sync::Mutex<()>,
}

impl TokenKeeper {
    /// A token for a connection with that certificate, other than the one that was `refused`: the one at hand, or what
    /// `fetch` answers. One caller fetches; the others wait only where they hold nothing that can still be used.
    pub(crate) async fn token(
        &self,
        thumbprint: &CertificateThumbprint,
        refused: Option<&AccessToken>,
        fetch: impl Future<Output = Result<HeldToken, TokenError>>,
    ) -> Result<AccessToken, TokenError> {
        self.held()
            .take_if(|held| refused.is_some_and(|refused| held.is(refused)));
        let _fetching = match self.fetching.try_lock() {
            Ok(fetching) => fetching,
            Err(_somebody_fetches) => match self.usable(thumbprint) {
                Some(token) => return Ok(token),
                None => self.fetching.lock().await,
            },
        };
        if let Some(token) = self.fresh(thumbprint) {
            return Ok(token);
        }
        match fetch.await {
            Ok(fetched) => Ok(self.held().insert(fetched).token.clone()),
            Err(error) => {
                let token = self.usable(thumbprint).ok_or_else(|| error.clone())?;
                tracing::warn!(reason = %error, "no new token; the old one serves until it expires: {error}");
                Ok(token)
            }
        }
    }

    fn fresh(&self, thumbprint: &CertificateThumbprint) -> Option<AccessToken> {
        self.held_if(|held| held.is_fresh(thumbprint, Instant::now()))
    }

    fn usable(&self, thumbprint: &CertificateThumbprint) -> Option<AccessToken> {
        self.held_if(|held| held.is_usable(thumbprint, Instant::now()))
    }

    fn held_if(&self, is_fit: impl FnOnce(&HeldToken) -> bool) -> Option<AccessToken> {
        let held = self.held();
        let held = held.as_ref()?;
        is_fit(held).then(|| held.token.clone())
    }

    fn held(&self) -> MutexGuard<'_, Option<HeldToken>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(20);

    fn mine() -> CertificateThumbprint {
        CertificateThumbprint::of_der(b"mine")
    }

    fn token(name: &str, age: Duration) -> HeldToken {
        let token = AccessToken::new(name.into());
        HeldToken::new(token, LIFETIME, mine(), Instant::now() - age)
    }

    /// With a token that is to be renewed, and can be used for another second.
    fn keeper() -> TokenKeeper {
        let keeper = TokenKeeper::default();
        *keeper.held() = Some(token("old", LIFETIME - Duration::from_secs(1)));
        keeper
    }

    async fn never() -> Result<HeldToken, TokenError> {
        panic!("somebody else fetches")
    }

    fn poll(future: impl Future<Output = Result<AccessToken, TokenError>>) -> Poll<String> {
        pin!(future)
            .poll(&mut Context::from_waker(Waker::noop()))
            .map(|token| token.unwrap().expose().to_owned())
    }

    #[test]
    fn gives_a_token_that_can_still_be_used_to_all_but_the_one_who_fetches() {
        let (keeper, mine) = (keeper(), mine());
        let (answer, answered) = oneshot::channel();
        let mut fetching = pin!(keeper.token(&mine, None, async { answered.await.unwrap() }));
        assert_eq!(poll(fetching.as_mut()), Poll::Pending);
        for _ in 0..2 {
            assert_eq!(
                poll(keeper.token(&mine, None, never())),
                Poll::Ready("old".to_owned())
            );
        }
        answer.send(Ok(token("new", Duration::ZERO))).unwrap();
        assert_eq!(poll(fetching), Poll::Ready("new".to_owned()));
        assert_eq!(
            poll(keeper.token(&mine, None, never())),
            Poll::Ready("new".to_owned())
        );
    }

    /// M44.
    #[test]
    fn lets_those_wait_for_whom_there_is_no_token() {
        let (keeper, mine) = (keeper(), mine());
        let (answer, answered) = oneshot::channel();
        let mut fetching = pin!(keeper.token(&mine, None, async { answered.await.unwrap() }));
        assert_eq!(poll(fetching.as_mut()), Poll::Pending);
        let other = CertificateThumbprint::of_der(b"other");
        assert_eq!(poll(keeper.token(&other, None, never())), Poll::Pending);
        let refused = AccessToken::new("old".into());
        let mut waiting = pin!(keeper.token(&mine, Some(&refused), never()));
        assert_eq!(poll(waiting.as_mut()), Poll::Pending);
        answer.send(Ok(token("new", Duration::ZERO))).unwrap();
        assert_eq!(poll(fetching), Poll::Ready("new".to_owned()));
        assert_eq!(poll(waiting), Poll::Ready("new".to_owned()));
    }
}
