//! Callers that come at once with the same new token: one introspection for all.
//!
//! A test binary of its own, since it counts in the process's metrics.

#![expect(clippy::unwrap_used, reason = "tests, and what they share")]

#[expect(dead_code, unused_imports, reason = "shared with the other tests")]
#[path = "gateway/support/mod.rs"]
mod support;

use pki::Member;

use crate::support::{DEADLINE, Harness, get_plain};

const CALLERS: usize = 8;

/// P14, Users 35.
#[tokio::test]
async fn concurrent_callers_with_a_new_token_cause_one_introspection() {
    let harness = Harness::start().await;
    harness.stubs.issue("opaque", Member::Example);
    let permits = harness.stubs.turnstile.available_permits();
    let closed = harness
        .stubs
        .turnstile
        .acquire_many(permits.try_into().unwrap())
        .await
        .unwrap();

    let calls = async {
        let calls = (0..CALLERS).map(|_| harness.call(Member::Example, "opaque"));
        futures_util::future::join_all(calls).await
    };
    let open_when_all_wait = async {
        let all_wait = format!(r#"certbound_gateway_token_lookups_total{{result="miss"}} {CALLERS}"#);
        while !get_plain(harness.admin, "/metrics")
            .await
            .body
            .contains(&all_wait)
        {}
        drop(closed);
    };
    let both = async { tokio::join!(calls, open_when_all_wait) };
    let (answers, ()) = tokio::time::timeout(DEADLINE, both)
        .await
        .expect("all callers are answered");
    assert!(
        answers.iter().all(|answered| answered.status == 200),
        "{answers:?}"
    );
    assert_eq!(harness.stubs.introspections_of("opaque"), 1);
}
