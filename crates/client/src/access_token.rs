//! A token in the client's hands: never printed, and used no longer than it is good.

use std::fmt;
use std::time::{Duration, Instant};

use oauth_core::thumbprint::CertificateThumbprint;
use secrecy::{ExposeSecret, SecretString};

/// A token is fetched anew this long before it expires, so that none expires on its way to the API.
const LONGEST_MARGIN: Duration = Duration::from_secs(30);

/// An access token. `Debug` does not show it.
#[derive(Clone)]
pub struct AccessToken(SecretString);

impl AccessToken {
    pub(crate) fn new(token: SecretString) -> Self {
        Self(token)
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessToken([redacted])")
    }
}

/// A token, the certificate it is bound to, and until when it is good.
#[derive(Clone, Debug)]
pub(crate) struct HeldToken {
    pub(crate) token: AccessToken,
    thumbprint: CertificateThumbprint,
    renewed_from: Instant,
    expires_at: Instant,
}

impl HeldToken {
    /// A token received for a request that was sent at `requested_at`, from when its lifetime is counted.
    pub(crate) fn new(
        token: AccessToken,
        lifetime: Duration,
        thumbprint: CertificateThumbprint,
        requested_at: Instant,
    ) -> Self {
        let margin = LONGEST_MARGIN.min(lifetime / 10);
        let expires_at = requested_at + lifetime;
        Self {
            token,
            thumbprint,
            renewed_from: expires_at - margin,
            expires_at,
        }
    }

    /// Whether the token can be used over a connection with that certificate, without a thought of another.
    ///
    /// RFC 8705 §6.3
    pub(crate) fn is_fresh(&self, thumbprint: &CertificateThumbprint, now: Instant) -> bool {
        self.thumbprint == *thumbprint && now < self.renewed_from
    }

    /// Whether the token can still be used, where no other can be had.
    pub(crate) fn is_usable(&self, thumbprint: &CertificateThumbprint, now: Instant) -> bool {
        self.thumbprint == *thumbprint && now < self.expires_at
    }

    /// Whether this is that token.
    pub(crate) fn is(&self, token: &AccessToken) -> bool {
        self.token.expose() == token.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(lifetime: u64) -> (HeldToken, CertificateThumbprint, Instant) {
        let (mine, now) = (CertificateThumbprint::of_der(b"mine"), Instant::now());
        let token = AccessToken::new("secret-token".into());
        (
            HeldToken::new(token, Duration::from_secs(lifetime), mine, now),
            mine,
            now,
        )
    }

    #[test]
    fn is_renewed_thirty_seconds_before_it_expires() {
        let (held, mine, issued) = held(900);
        let is_fresh_after = |seconds| held.is_fresh(&mine, issued + Duration::from_secs(seconds));
        assert!(is_fresh_after(869) && !is_fresh_after(870));
        assert!(held.is_usable(&mine, issued + Duration::from_secs(899)));
        assert!(!held.is_usable(&mine, issued + Duration::from_secs(900)));
    }

    #[test]
    fn is_renewed_after_nine_tenths_of_a_short_life() {
        let (held, mine, issued) = held(20);
        let is_fresh_after = |seconds| held.is_fresh(&mine, issued + Duration::from_secs(seconds));
        assert!(is_fresh_after(17) && !is_fresh_after(18));
    }

    /// M44.
    #[test]
    fn is_of_no_use_to_another_certificate() {
        let (held, mine, now) = held(900);
        let other = CertificateThumbprint::of_der(b"other");
        assert!(held.is_fresh(&mine, now) && held.is_usable(&mine, now));
        assert!(!held.is_fresh(&other, now) && !held.is_usable(&other, now));
    }

    #[test]
    fn is_never_printed() {
        let (held, ..) = held(900);
        assert!(!format!("{held:?}").contains("secret-token"));
    }
}
