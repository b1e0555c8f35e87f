//! How long things are valid, with every constant in one place.
//!
//! Lifetimes are whole days and bounded, so that neither a slip of the hand nor an environment variable makes a
//! certificate that outlives everybody's memory of it.

use std::time::Duration;

use oauth_core::time::Timestamp;
use time::OffsetDateTime;

use crate::error::Error;

/// How far a certificate's notBefore lies in the past, so that a peer whose clock is a little slow accepts it.
pub(crate) const BACKDATE: Duration = Duration::from_secs(5 * 60);

/// The root: long enough that nobody re-distributes trust in the middle of a project.
pub(crate) const ROOT_DAYS: u32 = 3650;

/// The longest life of any leaf: bounds how long a lost key is useful where nobody reads the revocation list.
const MAX_LEAF_DAYS: u32 = 825;

/// The longest life of a revocation list: bounds how long an old list can be replayed to hide a revocation.
const MAX_REVOCATION_LIST_DAYS: u32 = 365;

/// What expires within this time counts as expired already, so that nothing runs out in the middle of a demo.
pub const RENEWAL_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// A lifetime in whole days, at least one and never more than what it is for allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(u32);

impl Days {
    /// A client certificate, unless `--days` says otherwise.
    pub const CLIENT: Self = Self(365);
    /// A server certificate, unless `--days` says otherwise: the longest that Apple's systems accept from a private root.
    pub const SERVER: Self = Self(825);
    /// From a revocation list's thisUpdate to its nextUpdate, unless `--days` says otherwise.
    pub const REVOCATION_LIST: Self = Self(30);
    pub(crate) const ROOT: Self = Self(ROOT_DAYS);

    /// The lifetime of a leaf: up to 825 days.
    ///
    /// # Errors
    ///
    /// [`Error::Days`] outside the bounds.
    pub const fn of_leaf(days: u32) -> Result<Self, Error> {
        Self::bounded(days, MAX_LEAF_DAYS)
    }

    /// The lifetime of a revocation list: up to 365 days.
    ///
    /// # Errors
    ///
    /// [`Error::Days`] outside the bounds.
    pub const fn of_revocation_list(days: u32) -> Result<Self, Error> {
        Self::bounded(days, MAX_REVOCATION_LIST_DAYS)
    }

    const fn bounded(days: u32, most: u32) -> Result<Self, Error> {
        if days == 0 || days > most {
            return Err(Error::Days(most));
        }
        Ok(Self(days))
    }

    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 24 * 60 * 60)
    }
}

/// From when until when a certificate is valid; both ends belong to it.
///
/// [RFC 5280 §4.1.2.5](https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: Timestamp,
    /// The last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// From five minutes before `now` until `days` after it.
    pub fn starting(days: Days, now: Timestamp) -> Self {
        Self {
            not_before: now.minus(BACKDATE),
            not_after: now.plus(days.duration()),
        }
    }

    /// The same, but ending no later than `limit`: a leaf that outlives its root only looks valid.
    pub(crate) fn ending_by(self, limit: Timestamp) -> Self {
        Self {
            not_after: self.not_after.min(limit),
            ..self
        }
    }
}

/// What certificates are made with; everything else here counts in [`Timestamp`].
pub(crate) fn date_time(timestamp: Timestamp) -> Result<OffsetDateTime, Error> {
    let seconds = i64::try_from(timestamp.as_unix_seconds()).unwrap_or(i64::MAX);
    Ok(OffsetDateTime::from_unix_timestamp(seconds)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_lifetimes_within_their_bounds() {
        assert!(Days::of_leaf(1).is_ok());
        assert!(Days::of_leaf(MAX_LEAF_DAYS).is_ok());
        assert!(Days::of_revocation_list(MAX_REVOCATION_LIST_DAYS).is_ok());
    }

    #[test]
    fn refuses_lifetimes_outside_their_bounds() {
        assert!(matches!(Days::of_leaf(0), Err(Error::Days(MAX_LEAF_DAYS))));
        assert!(matches!(Days::of_leaf(MAX_LEAF_DAYS + 1), Err(Error::Days(_))));
        assert!(matches!(
            Days::of_revocation_list(MAX_REVOCATION_LIST_DAYS + 1),
            Err(Error::Days(_))
        ));
    }

    #[test]
    fn starts_five_minutes_in_the_past() {
        let now = Timestamp::from_unix_seconds(1_000_000);
        let validity = Validity::starting(Days::of_leaf(1).unwrap(), now);
        assert_eq!(validity.not_before.as_unix_seconds(), 1_000_000 - 300);
        assert_eq!(validity.not_after.as_unix_seconds(), 1_000_000 + 86_400);
    }

    #[test]
    fn refuses_a_time_no_certificate_can_hold() {
        assert!(matches!(
            date_time(Timestamp::from_unix_seconds(u64::MAX)),
            Err(Error::Time(_))
        ));
    }
}
