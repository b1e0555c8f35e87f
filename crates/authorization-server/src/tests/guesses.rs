//! Guesses of secrets, at the introspection endpoint.

use axum::http::{StatusCode, header};

use super::{Harness, certificate, post_as};
use crate::router::INTROSPECTION;

/// `introspect-client:wrong` and `nobody:wrong`.
const GUESSES: [&str; 2] = ["Basic aW50cm9zcGVjdC1jbGllbnQ6d3Jvbmc=", "Basic bm9ib2R5Ondyb25n"];

/// O19: also for the right secret then, or guessing would go on.
#[tokio::test]
async fn holds_up_an_address_that_guesses_secrets() {
    let harness = Harness::new();
    let mut refusals = Vec::new();
    for guess in GUESSES.into_iter().cycle().take(31) {
        let answer = harness.send(post_as(guess, INTROSPECTION, "token=x"), None).await;
        refusals.push(answer.refusal().0);
    }
    assert!(refusals[..30].iter().all(|status| *status == 401), "{refusals:?}");
    assert_eq!(refusals[30], 429);
    let right = harness.introspect("x", "application/json").await;
    assert_eq!(
        right.refusal(),
        (429, "temporarily_unavailable".into(), "too_many_guesses")
    );
    let retry_after: u64 = right.header(header::RETRY_AFTER).unwrap().parse().unwrap();
    assert!((1..=4).contains(&retry_after), "{retry_after}");
}

/// O19: a client that sends no secret cannot have guessed one.
#[tokio::test]
async fn does_not_hold_up_right_secrets_nor_clients_without_one() {
    let harness = Harness::new();
    for _ in 0..40 {
        let answer = harness.introspect("x", "application/json").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    for guess in GUESSES.into_iter().cycle().take(32) {
        harness.send(post_as(guess, INTROSPECTION, "token=x"), None).await;
    }
    harness.token(&certificate("demo-partner")).await;
}
