//! What the gateway counts, in one place.
//!
//! | metric | labels | what |
//! |---|---|---|
//! | `certbound_gateway_connections_total` | `outcome` | `passed_through`, `terminated`, `refused`, `address_limit` |
//! | `certbound_gateway_requests_total` | `status` | requests answered, by status code |
//! | `certbound_gateway_request_duration_seconds` | | from a request's head to its answer's |
//! | `certbound_gateway_rejections_total` | `reason` | requests not forwarded, by reason code |
//! | `certbound_gateway_token_lookups_total` | `result` | `hit`, `refused` (remembered as such), `miss` (not remembered when asked for); `stale`: served while the authorization server gives no answer, beside the `miss` that tried |
//! | `certbound_gateway_introspections_total` | `outcome` | `active`, `inactive`, `refused` (active, but bound to something else than a certificate), `busy` (not asked, too many at once), `failed` |
//! | `certbound_gateway_jwt_verifications_total` | `outcome` | of JWTs that callers present: `verified`, `refused`, `failed` |

use std::sync::OnceLock;
use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Histogram};

use crate::accepted_token::AcceptedToken;
use crate::rejection::Rejection;
use crate::token_error::{TokenError, TokenRefusal};
use crate::token_source::Learnt;

pub(crate) fn connection(outcome: &'static str) {
    metrics::counter!("certbound_gateway_connections_total", "outcome" => outcome).increment(1);
}

pub(crate) fn answered(status: StatusCode, duration: Duration) {
    // Looked up once: this is done for every request.
    static STATUSES: [OnceLock<Counter>; 1000] = [const { OnceLock::new() }; 1000];
    static DURATION: OnceLock<Histogram> = OnceLock::new();
    let requests = STATUSES[usize::from(status.as_u16())].get_or_init(
        || metrics::counter!("certbound_gateway_requests_total", "status" => status.as_str().to_owned()),
    );
    requests.increment(1);
    let durations =
        DURATION.get_or_init(|| metrics::histogram!("certbound_gateway_request_duration_seconds"));
    durations.record(duration);
}

pub(crate) fn rejection(rejection: &Rejection) {
    metrics::counter!("certbound_gateway_rejections_total", "reason" => rejection.reason()).increment(1);
}

/// What came of looking for a token among those remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenLookup {
    Hit,
    Stale,
    Refused,
    Miss,
}

impl TokenLookup {
    const fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::Miss => "miss",
        }
    }
}

pub(crate) fn token_lookup(result: TokenLookup) {
    // Looked up once: this is done for every request.
    static RESULTS: [OnceLock<Counter>; 4] = [const { OnceLock::new() }; 4];
    let lookups = RESULTS[result as usize].get_or_init(
        || metrics::counter!("certbound_gateway_token_lookups_total", "result" => result.label()),
    );
    lookups.increment(1);
}

pub(crate) fn introspection(introspected: &Result<Learnt, TokenError>) {
    let outcome = match introspected {
        Ok(_) => "active",
        Err(TokenError::Refused(TokenRefusal::Inactive)) => "inactive",
        Err(TokenError::Refused(_)) => "refused",
        Err(TokenError::IntrospectionBusy) => "busy",
        Err(_) => "failed",
    };
    metrics::counter!("certbound_gateway_introspections_total", "outcome" => outcome).increment(1);
}

pub(crate) fn jwt_verification(verified: &Result<AcceptedToken, TokenError>) {
    let outcome = match verified {
        Ok(_) => "verified",
        Err(TokenError::Refused(_)) => "refused",
        Err(_) => "failed",
    };
    metrics::counter!("certbound_gateway_jwt_verifications_total", "outcome" => outcome).increment(1);
}
