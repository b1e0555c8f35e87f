//! JWTs that callers present themselves: verified with the keys of the one trusted issuer that they name.
//!
//! The issuer is looked up by the `iss` of a JWT of which nothing has been checked yet, and verifying proves or refutes
//! it: only that issuer's keys are tried. What costs nothing is checked before any key is fetched or used.

use std::collections::HashMap;

use jwks::RemoteJwks;
use oauth_core::jwt::{AccessTokenVerifier, VerificationError, unverified_issuer};
use oauth_core::time::Timestamp;
use tokio::sync::Semaphore;

use crate::accepted_token::AcceptedToken;
use crate::token_error::{TokenError, TokenRefusal};

/// Verifications in hand at once, waiting for an issuer's keys included. Bounds what a burst of made-up JWTs can take
/// of processors and memory.
const MOST_IN_HAND: usize = 500;

/// The issuers whose JWTs are believed.
#[derive(Debug)]
pub(crate) struct Issuers {
    by_name: HashMap<String, TrustedIssuer>,
    in_hand: Semaphore,
}

/// An issuer whose JWTs are believed.
#[derive(Debug)]
pub(crate) struct TrustedIssuer {
    pub(crate) keys: RemoteJwks,
    pub(crate) verifier: AccessTokenVerifier,
    pub(crate) profile: JwtProfile,
}

/// Which JWTs of an issuer are access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwtProfile {
    /// Those of `typ` `at+jwt` with every claim it demands. RFC 9068
    AccessToken,
    /// Also those of `typ` `JWT`, or of none.
    Plain,
}

impl Issuers {
    /// Looks up keys where each issuer has them. Nothing is fetched yet.
    pub(crate) fn new(issuers: impl IntoIterator<Item = TrustedIssuer>) -> Self {
        let by_name = |issuer: TrustedIssuer| (issuer.verifier.issuer.clone(), issuer);
        Self {
            by_name: issuers.into_iter().map(by_name).collect(),
            in_hand: Semaphore::new(MOST_IN_HAND),
        }
    }

    /// The keys of the issuer of that name.
    pub(crate) fn keys_of(&self, issuer: &str) -> Option<&RemoteJwks> {
        self.by_name.get(issuer).map(|issuer| &issuer.keys)
    }

    /// Verifies a JWT that a caller presented.
    ///
    /// # Errors
    ///
    /// [`TokenError::Refused`] where the JWT is at fault, and every other where nobody can tell.
    ///
    /// [RFC 9068 §4](https://www.rfc-editor.org/rfc/rfc9068#section-4)
    pub(crate) async fn verify(&self, jwt: &str, now: Timestamp) -> Result<AcceptedToken, TokenError> {
        let issuer = unverified_issuer(jwt).ok_or(TokenRefusal::Jwt(VerificationError::Claims))?;
        let issuer = self
            .by_name
            .get(&issuer)
            .ok_or(TokenRefusal::Jwt(VerificationError::OtherIssuer))?;
        let _permit = self
            .in_hand
            .try_acquire()
            .map_err(|_| TokenError::VerificationBusy)?;
        let TrustedIssuer {
            keys,
            verifier,
            profile,
        } = issuer;
        let facts = match profile {
            JwtProfile::AccessToken => keys.verify(verifier, jwt, now).await.map(Into::into),
            JwtProfile::Plain => {
                keys.verify_with(|keys| verifier.verify_plain(jwt, keys, now))
                    .await
            }
        };
        AcceptedToken::traveling_as_jwt(facts.map_err(TokenError::of_presented)?, jwt)
            .ok_or(TokenRefusal::Jwt(VerificationError::Malformed).into())
    }
}
