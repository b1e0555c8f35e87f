//! The time of day.

use std::time::SystemTime;

use oauth_core::time::Timestamp;

/// Now; read at the edge alone, and handed on from there.
pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
