//! An access token the gateway believes: its verified claims, and the JWT in the form in which it travels on.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use oauth_core::jwt::VerifiedAccessToken;
use oauth_core::time::Timestamp;

/// A verified access token; `Debug` does not show the JWT.
pub(crate) struct AcceptedToken {
    verified: VerifiedAccessToken,
    authorization: HeaderValue,
    max_age: Option<Duration>,
}

impl AcceptedToken {
    /// Puts the JWT beside what was verified of it; `None` where it is not text fit for a field.
    pub(crate) fn new(verified: VerifiedAccessToken, jwt: &str, max_age: Option<Duration>) -> Option<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {jwt}")).ok()?;
        authorization.set_sensitive(true);
        Some(Self {
            verified,
            authorization,
            max_age,
        })
    }

    /// What the token says. Times are to be verified again whenever the token is used.
    pub(crate) const fn verified(&self) -> &VerifiedAccessToken {
        &self.verified
    }

    /// The value of `Authorization` for the API.
    pub(crate) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    /// For how long from `now` the token may be remembered: as long as `most`, the answer and the token all allow.
    ///
    /// RFC 7662 §4
    pub(crate) fn kept_for(&self, most: Duration, now: Timestamp) -> Duration {
        let until_expiry = now.until(self.verified.claims().exp);
        self.max_age.unwrap_or(most).min(most).min(until_expiry)
    }
}

impl fmt::Debug for AcceptedToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AcceptedToken")
            .field("jti", &self.verified.claims().jti)
            .finish_non_exhaustive()
    }
}
