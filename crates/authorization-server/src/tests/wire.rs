//! What every endpoint does alike, also when something inside fails.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Method, Request, StatusCode, header};
use futures_util::{StreamExt as _, stream};
use oauth_core::access_token::TokenRecord;
use oauth_core::time::Timestamp;
use tempfile::TempDir;
use uuid::Uuid;

use super::authentication::{Asserting, asserted};
use super::{FORM, Harness, INTROSPECT_CLIENT, certificate, form, introspection, post, request, revocation};
use crate::router::{INTROSPECTION, REVOCATION, TOKEN};
use crate::token_store::{
    AssertionDigest, AssertionUse, Pending, StoreError, StoreHealth, TokenStore, TokensOf,
};

const REQUEST: &str = "grant_type=client_credentials&client_id=partner-client";
/// The endpoints for clients, each with a form that it takes of [`to`] and of the demo's partner.
const ENDPOINTS: [(&str, &str); 3] = [
    (TOKEN, REQUEST),
    (INTROSPECTION, "token=x"),
    (REVOCATION, "token=x&client_id=partner-client"),
];

/// A request but for its media type and its body.
fn to(endpoint: &str) -> Builder {
    let request = Request::post(endpoint);
    match endpoint {
        INTROSPECTION => request.header(header::AUTHORIZATION, INTROSPECT_CLIENT),
        _ => request,
    }
}

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
    fn insert(&self, _record: Arc<TokenRecord>) -> Pending<'_, ()> {
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
async fn finds_an_endpoint_at_its_path_in_one_spelling_alone() {
    let (harness, partner) = (Harness::new(), certificate("demo-partner"));
    for (endpoint, form) in ENDPOINTS {
        for (path, status) in [
            (endpoint.to_owned(), 200),
            (format!("{endpoint}?trace=1"), 200),
            (format!("{endpoint}/"), 404),
            (format!("{endpoint}/x"), 404),
            (format!("{endpoint}x"), 404),
            (format!("{endpoint};x"), 404),
            (format!("/{endpoint}"), 404),
            (endpoint.replace("-", "%2D"), 404),
            (endpoint.replace("oauth-", "OAUTH-"), 404),
            (endpoint.replace("v2/", "v2/./"), 404),
        ] {
            let mut request = to(endpoint)
                .header(header::CONTENT_TYPE, FORM)
                .body(form.into())
                .unwrap();
            *request.uri_mut() = path.parse().unwrap();
            let answer = harness.send(request, Some(&partner)).await;
            assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.body);
            if status == 404 {
                assert_eq!(answer.refusal().2, "not_found", "{path}");
            }
        }
    }
}

/// O3, O4, O6.
#[tokio::test]
async fn refuses_what_is_no_form_and_repeated_parameters_and_ignores_unknown_ones() {
    let (harness, partner) = (Harness::new(), certificate("demo-partner"));
    let with_charset = &format!("{FORM}; charset=UTF-8")[..];
    for (endpoint, form) in ENDPOINTS {
        for (types, body, status) in [
            (&[FORM][..], form.to_owned(), 200),
            (&[with_charset], form.to_owned(), 200),
            (&[FORM], format!("{form}&resource=x"), 200),
            (&[], form.to_owned(), 400),
            (&["application/json"], "{}".to_owned(), 400),
            (&["text/plain"], form.to_owned(), 400),
            (&[FORM, FORM], form.to_owned(), 400),
            (&[FORM], format!("{form}&{form}"), 400),
            (&[FORM], format!("{form}&resource=x&resource=y"), 400),
            (&[FORM], format!("{form}&client%5Fid=x&client_id=x"), 400),
        ] {
            let mut request = to(endpoint);
            for media_type in types {
                request = request.header(header::CONTENT_TYPE, *media_type);
            }
            let answer = harness
                .send(request.body(body.clone().into()).unwrap(), Some(&partner))
                .await;
            assert_eq!(
                answer.status.as_u16(),
                status,
                "{endpoint} {types:?} {body}: {}",
                answer.body
            );
            if status == 400 {
                let refusal = (400, "invalid_request".into(), "invalid_request");
                assert_eq!(answer.refusal(), refusal, "{endpoint} {types:?} {body}");
            }
        }
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

#[tokio::test(start_paused = true)]
async fn gives_up_on_a_body_that_does_not_end() {
    let (harness, partner) = (Harness::new(), certificate("demo-partner"));
    for (endpoint, form) in ENDPOINTS {
        let begun = stream::once(ready(Ok::<_, Infallible>(form)));
        let body = Body::from_stream(begun.chain(stream::pending()));
        let request = to(endpoint).header(header::CONTENT_TYPE, FORM).body(body);
        let answer = harness.send(request.unwrap(), Some(&partner)).await;
        assert_eq!(
            answer.refusal(),
            (503, "temporarily_unavailable".into(), "too_slow"),
            "{endpoint}"
        );
    }
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

/// As clients send them whose bodies are of a known length.
#[tokio::test]
async fn refuses_a_body_beyond_the_limit_and_accepts_one_within() {
    for (endpoint, form) in ENDPOINTS {
        let padded = |length: usize| {
            let body = format!("{form}&padding=");
            Body::from(format!("{body}{}", "x".repeat(length - body.len())))
        };
        holds_the_limit(endpoint, padded).await;
    }
}

/// As clients send them whose bodies are of no known length.
#[tokio::test]
async fn reads_a_body_that_comes_in_pieces_to_its_end_and_not_beyond_the_limit() {
    for (endpoint, form) in ENDPOINTS {
        // What counts stands behind the first piece.
        let padded = |length: usize| {
            let padding = "x".repeat(length - "padding=&".len() - form.len());
            let body = format!("padding={padding}&{form}");
            let pieces: Vec<_> = body.as_bytes().chunks(1000).map(<[u8]>::to_vec).collect();
            Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)))
        };
        holds_the_limit(endpoint, padded).await;
    }
}

/// `padded` makes a body of a length.
async fn holds_the_limit(endpoint: &str, padded: impl Fn(usize) -> Body) {
    const LIMIT: usize = 16 * 1024;
    let (harness, partner) = (Harness::new(), certificate("demo-partner"));
    let send = async |length| {
        let request = to(endpoint).header(header::CONTENT_TYPE, FORM);
        let request = request.body(padded(length)).unwrap();
        harness.send(request, Some(&partner)).await
    };
    let answer = send(LIMIT).await;
    assert_eq!(answer.status, StatusCode::OK, "{endpoint}: {}", answer.body);
    for length in [LIMIT + 1, 10 * LIMIT] {
        let refusal = send(length).await.refusal();
        let too_long = (413, "invalid_request".into(), "body_too_long");
        assert_eq!(refusal, too_long, "{endpoint} {length}");
    }
}

#[tokio::test]
async fn refuses_a_body_that_breaks_off() {
    let (harness, partner) = (Harness::new(), certificate("demo-partner"));
    for (endpoint, form) in ENDPOINTS {
        let broken = io::Error::from(io::ErrorKind::UnexpectedEof);
        for (rest, status) in [(Ok(""), 200), (Err(broken), 400)] {
            let request = to(endpoint)
                .header(header::CONTENT_TYPE, FORM)
                .body(Body::from_stream(stream::iter([Ok(form), rest])))
                .unwrap();
            let answer = harness.send(request, Some(&partner)).await;
            assert_eq!(answer.status.as_u16(), status, "{endpoint}: {}", answer.body);
            if status == 400 {
                assert_eq!(answer.refusal().2, "body_unreadable", "{endpoint}");
            }
        }
    }
}
