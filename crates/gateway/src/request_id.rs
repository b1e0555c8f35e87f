//! The name of a request: in the log, in the answer, and told to the API.
//!
//! Always made here: what a stranger sends does not reach the log.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderName, HeaderValue};
use uuid::{NoContext, Timestamp, Uuid};

/// The field that carries the name.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A version 7 UUID.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// A new name, for a request that came at `time`.
    pub(crate) fn new(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = Timestamp::from_unix(NoContext, since.as_secs(), since.subsec_nanos());
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let text: &str = Uuid::new_v7(timestamp).hyphenated().encode_lower(&mut text);
        Self(HeaderValue::from_str(text).expect("a UUID is visible ASCII"))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().expect("made of visible ASCII")
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
