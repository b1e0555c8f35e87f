//! What the gateway counts, in one place.
//!
//! | metric | labels | what |
//! |---|---|---|
//! | `certbound_gateway_connections_total` | `outcome` | `passed_through`, `terminated`, `refused`, `address_limit` |
//! | `certbound_gateway_requests_total` | `status` | requests answered, by status code |
//! | `certbound_gateway_request_duration_seconds` | | from a request's head to its answer's |
//! | `certbound_gateway_rejections_total` | `reason` | requests not forwarded, by reason code |
//! | `certbound_gateway_token_lookups_total` | `result` | `hit`, `inactive` (remembered as such), `miss` |
//! | `certbound_gateway_introspections_total` | `outcome` | `active`, `inactive`, `failed` |

use std::sync::OnceLock;
use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Histogram};

use crate::accepted_token::AcceptedToken;
use crate::introspection_client::IntrospectionError;
use crate::rejection::Rejection;

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

pub(crate) fn token_lookup(result: &'static str) {
    metrics::counter!("certbound_gateway_token_lookups_total", "result" => result).increment(1);
}

pub(crate) fn introspection(introspected: &Result<AcceptedToken, IntrospectionError>) {
    let outcome = match introspected {
        Ok(_) => "active",
        Err(IntrospectionError::Inactive) => "inactive",
        Err(_) => "failed",
    };
    metrics::counter!("certbound_gateway_introspections_total", "outcome" => outcome).increment(1);
}
