//! What a token must be; the rules themselves are tested where they stand.

use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use oauth_core::confirmation::Confirmation;
use oauth_core::jwt::AccessTokenClaims;
use oauth_core::time::Timestamp;

use crate::api::{Api, forwarded, signing_key};

/// A8, B5.
#[tokio::test]
async fn refuses_expired_and_foreign_tokens_alike() {
    let api = Api::start().await;
    let a_minute_ago = Timestamp::from(SystemTime::now()).minus(Duration::from_secs(60));
    let forged = {
        let elsewhere = Api {
            key: signing_key(),
            ..Api::start().await
        };
        elsewhere.token(|claims| claims.cnf = Some(Confirmation::of(&api.partner)))
    };
    let changed = |change: fn(&mut AccessTokenClaims)| api.token(change);
    let refused = [
        api.token(|claims| claims.exp = a_minute_ago),
        changed(|claims| claims.iss = "https://other.example.com".into()),
        changed(|claims| claims.aud = vec!["other.example.com".into()]),
        forged,
        "not.a.jwt".into(),
        "opaque".into(),
    ];
    let mut answers = Vec::new();
    for token in refused {
        let answer = api
            .call(Some(&api.gateway), forwarded(&token, &api.partner))
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
        let mut body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        body.as_object_mut().unwrap().remove("request_id").unwrap();
        answers.push((answer.challenge().to_owned(), body));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "told apart from outside: {answers:?}");
    assert!(answers[0].0.contains("error=\"invalid_token\""));
}

/// B5: the accept beside the refuse.
#[tokio::test]
async fn accepts_a_token_as_it_was_issued() {
    let api = Api::start().await;
    let answer = api
        .call(Some(&api.gateway), forwarded(&api.token(|_| {}), &api.partner))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
}
