//! JWTs that callers present themselves: verified with the keys of the one trusted issuer that they name.
//!
//! The issuer is looked up by the `iss` of a JWT of which nothing has been checked yet, and verifying proves or refutes
//! it: only that issuer's keys are tried. What costs nothing is checked before any key is fetched or used.

use std::collections::HashMap;

use jwks::RemoteJwks;
use oauth_core::jwt::{VerificationError, unverified_issuer};
use oauth_core::time::Timestamp;
use tokio::sync::Semaphore;

use crate::accepted_token::AcceptedToken;
use crate::audiences::LiveVerifier;
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
    /// The `iss` of its tokens, letter by letter.
    pub(crate) issuer: String,
    pub(crate) keys: RemoteJwks,
    pub(crate) verifier: LiveVerifier,
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
        let by_name = |issuer: TrustedIssuer| (issuer.issuer.clone(), issuer);
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
            ..
        } = issuer;
        let verifier = verifier.now();
        let facts = match profile {
            JwtProfile::AccessToken => keys.verify(&verifier, jwt, now).await.map(Into::into),
            JwtProfile::Plain => {
                keys.verify_with(|keys| verifier.verify_plain(jwt, keys, now))
                    .await
            }
        };
        AcceptedToken::from_jwt(facts.map_err(TokenError::of_presented)?, jwt)
            .ok_or(TokenRefusal::Jwt(VerificationError::Malformed).into())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use mtls::{ClientTls, Timeouts, TrustAnchors};
    use pki::{DemoSet, KeyAlgorithm};

    use super::*;
    use crate::audiences::Audiences;

    const ISSUER: &str = "https://issuer.example.com";
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    /// Whose keys nobody could fetch.
    fn issuers() -> Issuers {
        let root = DemoSet::create(KeyAlgorithm::EcdsaP256, NOW).unwrap();
        let pem = root.root().certificate().pem().unwrap();
        let tls = ClientTls::new(TrustAnchors::from_pem(pem.as_bytes()).unwrap());
        let http_client = tls.http_client(Timeouts::default(), &[]).unwrap();
        let audiences = Audiences::new(&["api.example.com".to_owned()]);
        Issuers::new([TrustedIssuer {
            keys: RemoteJwks::new(http_client, "https://127.0.0.1:1/jwks"),
            issuer: ISSUER.to_owned(),
            verifier: LiveVerifier::new(ISSUER, &audiences),
            profile: JwtProfile::AccessToken,
        }])
    }

    fn jwt(claims: &str) -> String {
        let encoded = |part: &str| URL_SAFE_NO_PAD.encode(part);
        format!(
            "{}.{}.c2ln",
            encoded(r#"{"alg":"ES256","kid":"1"}"#),
            encoded(claims)
        )
    }

    /// A8: letter by letter, and before any key is fetched.
    #[tokio::test]
    async fn asks_the_issuers_that_are_configured_alone() {
        let issuers = issuers();
        for claims in [
            r#"{"iss":"https://issuer.example.com/"}"#,
            r#"{"iss":"https://ISSUER.example.com"}"#,
            r#"{"iss":""}"#,
        ] {
            let verified = issuers.verify(&jwt(claims), NOW).await.unwrap_err();
            let refusal = TokenRefusal::Jwt(VerificationError::OtherIssuer);
            assert!(
                matches!(verified, TokenError::Refused(refused) if refused == refusal),
                "{claims}"
            );
        }
        for claims in ["{}", r#"{"iss":1}"#, "x"] {
            let verified = issuers.verify(&jwt(claims), NOW).await.unwrap_err();
            let refusal = TokenRefusal::Jwt(VerificationError::Claims);
            assert!(
                matches!(verified, TokenError::Refused(refused) if refused == refusal),
                "{claims}"
            );
        }
        let known = jwt(&format!(r#"{{"iss":"{ISSUER}"}}"#));
        let verified = issuers.verify(&known, NOW).await;
        assert!(matches!(verified, Err(TokenError::KeysUnavailable(_))));
    }

    /// P15.
    #[tokio::test]
    async fn verifies_so_many_at_once_and_no_more() {
        let issuers = issuers();
        let all = issuers
            .in_hand
            .try_acquire_many(MOST_IN_HAND.try_into().unwrap())
            .unwrap();
        let known = jwt(&format!(r#"{{"iss":"{ISSUER}"}}"#));
        let verified = issuers.verify(&known, NOW).await;
        assert!(matches!(verified, Err(TokenError::VerificationBusy)));
        drop(all);
        let verified = issuers.verify(&known, NOW).await;
        assert!(!matches!(verified, Err(TokenError::VerificationBusy)));
    }
}
