//! What every endpoint does alike, also when something inside fails.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use tempfile::TempDir;
use uuid::Uuid;

use super::authentication::{Asserting, asserted};
use super::{FORM, Harness, certificate, form, introspection, post, request, revocation};
use crate::router::TOKEN;
use crate::token_store::{
    AssertionDigest, AssertionUse, Pending, StoreError, StoreHealth, TokenStore, TokensOf,
};

const REQUEST: &str = "grant_type=client_credentials&client_id=partner-client";

/// A store that misbehaves in one way.
#[derive(Clone, Copy, Debug)]
enum Misbehaving {
    Fails(StoreError),
    Hangs,
    Panics,
}

impl Misbehaving {
    fn answer<T: Send + 'static>(self) -> Pending<'static, T> {
        match self {
            Self::Fails(error) => Box::pin(ready(Err(error))),
            Self::Hangs => Box::pin(pending()),
            Self::Panics => panic!("secret of the store"),
        }
    }
}

impl TokenStore for Misbehaving {
    fn insert(&self, _record: TokenRecord) -> Pending<'_, ()> {
        self.answer()
    }

    fn record(&self, _id: Uuid) -> Pending<'_, Option<Arc<TokenRecord>>> {
        self.answer()
    }

    fn revoke(&self, _id: Uuid, _now: Timestamp) -> Pending<'_, ()> {
        self.answer()
    }

    fn revoke_all(&self, _of: TokensOf, _now: Timestamp) -> Pending<'_, ()> {
        self.answer()
    }

    fn remember_assertion(
        &self,
        _assertion: AssertionDigest,
        _expires_at: Timestamp,
    ) -> Pending<'_, AssertionUse> {
        self.answer()
    }

    fn purge(&self, _now: Timestamp) -> Pending<'_, ()> {
        self.answer()
    }

    fn health(&self) -> StoreHealth {
        StoreHealth::of_a_stopped_store()
    }
}

#[tokio::test]
async fn refuses_what_does_not_exist_in_json() {
    let harness = Harness::new();
    for path in ["/", "/oauth/v2", "/oauth/v2/oauth-introspect/", "/livez"] {
        let answer = harness.send(request(Method::GET, path), None).await;
        assert_eq!(
            answer.refusal(),
            (404, "invalid_request".into(), "not_found"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn names_every_answer() {
    let harness = Harness::new();
    for (method, path) in [
        (Method::GET, "/nowhere"),
        (Method::GET, TOKEN),
        (Method::POST, TOKEN),
    ] {
        let answer = harness.send(request(method, path), None).await;
        let id = answer.header("x-request-id").unwrap();
        assert_eq!(Uuid::parse_str(id).unwrap().get_version_num(), 7);
    }
}

/// R7: nothing is issued or revoked that is not on disk.
#[tokio::test]
async fn refuses_for_a_while_when_the_store_does() {
    let partner = certificate("demo-partner");
    let token = "A".repeat(64);
    for (error, reason) in [
        (StoreError::Overloaded, "store_overloaded"),
        (StoreError::Failed, "store_failed"),
    ] {
        let harness = Harness::with_store(Misbehaving::Fails(error));
        for answer in [
            harness.send(post(TOKEN, REQUEST), Some(&partner)).await,
            harness
                .send(revocation(&token, "partner-client"), Some(&partner))
                .await,
            harness
                .send(introspection().body(form("token", &token)).unwrap(), None)
                .await,
        ] {
            assert_eq!(answer.refusal(), (503, "temporarily_unavailable".into(), reason));
            assert_eq!(answer.header(header::RETRY_AFTER), Some("2"));
        }
    }
}

/// R7: what is held up costs the store nothing, also where an assertion would have to be remembered.
#[tokio::test]
async fn asks_no_store_about_token_requests_that_are_too_many() {
    let (key, text) = Asserting::registered();
    let limits = "[limits]\ntoken_requests_per_client = 1\n[store]";
    let client = Asserting {
        harness: Harness::of(
            &text.replacen("[store]", limits, 1),
            Arc::new(Misbehaving::Panics),
            TempDir::new().unwrap(),
        ),
        key,
    };
    let partner = certificate("demo-partner");
    let mut held_up = [false; 2];
    for times in 1..=40 {
        let assertion = client.assertion(|_| ());
        let requests = [
            post(TOKEN, REQUEST),
            asserted(TOKEN, "grant_type=client_credentials", &assertion),
        ];
        for (held_up, request) in held_up.iter_mut().zip(requests) {
            match client.harness.send(request, Some(&partner)).await.refusal().2 {
                "too_many_requests" => *held_up = true,
                reason => assert_eq!(reason, "panicked"),
            }
            // On a slow machine a second goes by, and one more is answered.
            assert!(times > 10 || !*held_up, "{times}");
        }
    }
    assert_eq!(held_up, [true; 2]);
}

#[tokio::test(start_paused = true)]
async fn gives_up_on_a_request_that_takes_too_long() {
    let harness = Harness::with_store(Misbehaving::Hangs);
    let answer = harness
        .send(post(TOKEN, REQUEST), Some(&certificate("demo-partner")))
        .await;
    assert_eq!(
        answer.refusal(),
        (503, "temporarily_unavailable".into(), "too_slow")
    );
}

#[tokio::test]
async fn answers_after_a_panic_and_gives_nothing_away() {
    let harness = Harness::with_store(Misbehaving::Panics);
    let answer = harness
        .send(post(TOKEN, REQUEST), Some(&certificate("demo-partner")))
        .await;
    assert_eq!(answer.refusal(), (500, "server_error".into(), "panicked"));
    assert!(!answer.body.contains("secret of the store"));
    assert!(answer.header("x-request-id").is_some());
}

#[tokio::test]
async fn refuses_a_body_beyond_the_limit_and_accepts_one_within() {
    let harness = Harness::new();
    let partner = certificate("demo-partner");
    let padded = |length: usize| {
        let body = format!("{REQUEST}&padding=");
        let body = format!("{body}{}", "x".repeat(length - body.len()));
        Request::post(TOKEN)
            .header(header::CONTENT_TYPE, FORM)
            .body(Body::from(body))
            .unwrap()
    };
    assert_eq!(
        harness.send(padded(16 * 1024), Some(&partner)).await.status,
        StatusCode::OK
    );
    let answer = harness.send(padded(16 * 1024 + 1), Some(&partner)).await;
    assert_eq!(answer.refusal(), (413, "invalid_request".into(), "body_too_long"));
}

#[tokio::test]
async fn reads_a_body_that_comes_in_pieces_to_its_end_and_not_beyond_the_limit() {
    let (harness, partner) = (Harness::new(), certificate("demo-partner"));
    let in_pieces = |body: String| {
        let pieces: Vec<_> = body.as_bytes().chunks(1000).map(<[u8]>::to_vec).collect();
        let pieces = futures_util::stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
        Request::post(TOKEN)
            .header(header::CONTENT_TYPE, FORM)
            .body(Body::from_stream(pieces))
            .unwrap()
    };
    // What counts stands behind the first piece.
    let padded = |length: usize| {
        let padding = "x".repeat(length - "padding=&".len() - REQUEST.len());
        in_pieces(format!("padding={padding}&{REQUEST}"))
    };
    let answer = harness.send(padded(16 * 1024), Some(&partner)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let answer = harness.send(padded(16 * 1024 + 1), Some(&partner)).await;
    assert_eq!(answer.refusal(), (413, "invalid_request".into(), "body_too_long"));
}
