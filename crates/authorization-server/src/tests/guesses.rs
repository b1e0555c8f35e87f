//! Guesses of secrets, at the introspection endpoint.

use std::net::IpAddr;

use axum::http::{StatusCode, header};

use super::{Harness, INTROSPECT_CLIENT, OTHER_RESOURCE_SERVER, certificate, post_as};
use crate::router::INTROSPECTION;

/// `introspect-client:wrong` and `nobody:wrong`.
const GUESSES: [&str; 2] = ["Basic aW50cm9zcGVjdC1jbGllbnQ6d3Jvbmc=", "Basic bm9ib2R5Ondyb25n"];

fn address(number: u8) -> IpAddr {
    [192, 0, 2, number].into()
}

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
    let request = post_as(INTROSPECT_CLIENT, INTROSPECTION, "token=x");
    let elsewhere = harness.send_from(address(1), request, None).await;
    assert_eq!(elsewhere.status, StatusCode::OK, "{}", elsewhere.body);
}

/// O19: wherever the guesses come from; but not where the client itself has been, and no other client.
#[tokio::test]
async fn holds_up_guesses_at_one_client_from_many_addresses_and_nobody_else() {
    let harness = Harness::new();
    let introspect = async |number, authorization| {
        let request = post_as(authorization, INTROSPECTION, "token=x");
        harness.send_from(address(number), request, None).await
    };
    assert_eq!(introspect(0, INTROSPECT_CLIENT).await.status, StatusCode::OK);
    let mut guesses = Vec::new();
    // A guess from each. On a slow machine a second goes by, and one more is allowed.
    for number in 1..=200 {
        let answer = introspect(number, GUESSES[0]).await;
        let refusal = answer.refusal();
        guesses.push(refusal.0);
        if refusal.0 == 429 {
            assert_eq!(refusal.2, "too_many_guesses");
            assert_eq!(answer.header(header::RETRY_AFTER), Some("1"));
            break;
        }
    }
    let (last, before) = guesses.split_last().unwrap();
    assert_eq!((*last, before.iter().max()), (429, Some(&401)), "{guesses:?}");
    assert!(before.len() >= 100, "{guesses:?}");
    assert_eq!(introspect(0, INTROSPECT_CLIENT).await.status, StatusCode::OK);
    assert_eq!(
        introspect(201, OTHER_RESOURCE_SERVER).await.status,
        StatusCode::OK
    );
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
