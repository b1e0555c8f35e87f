//! When a token is fetched, and when a call is repeated.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use client::{ClientError, Method, TokenError};

use crate::server::{API, Behaviour, Servers, refused, token_answer};

#[tokio::test]
async fn fetches_one_token_for_many_calls() {
    let servers = Servers::start(Behaviour::default());
    let client = servers.client();
    for _ in 0..3 {
        let answer = client.call(Method::GET, API, None).await.unwrap();
        assert_eq!(
            (answer.status, &answer.body[..]),
            (StatusCode::OK, &br#"{"token":"token-1"}"#[..])
        );
    }
    assert_eq!(
        servers.forms(),
        ["grant_type=client_credentials&client_id=partner-client&scope=transactions"]
    );
}

#[tokio::test]
async fn fetches_one_token_for_callers_that_wait_together() {
    let servers = Servers::start(Behaviour::default());
    let client = servers.client();
    let (one, other) = tokio::join!(client.token(), client.token());
    assert_eq!(
        (one.unwrap().expose(), other.unwrap().expose()),
        ("token-1", "token-1")
    );
    assert_eq!(servers.token_requests(), 1);
}

#[tokio::test]
async fn fetches_a_new_token_once_the_old_one_is_about_to_expire() {
    let behaviour = Behaviour {
        token: Box::new(|number| token_answer(number, 0)),
        ..Behaviour::default()
    };
    let servers = Servers::start(behaviour);
    let client = servers.client();
    assert_eq!(client.token().await.unwrap().expose(), "token-1");
    assert_eq!(client.token().await.unwrap().expose(), "token-2");
}

/// M44, user 19.
#[tokio::test]
async fn fetches_a_new_token_for_a_new_certificate() {
    let servers = Servers::start(Behaviour::default());
    let client = servers.client();
    assert_eq!(client.token().await.unwrap().expose(), "token-1");
    client
        .replace_credentials(&servers.authority.client().credentials())
        .unwrap();
    assert_eq!(client.token().await.unwrap().expose(), "token-2");
    assert_eq!(client.token().await.unwrap().expose(), "token-2");
}

/// M44.
#[tokio::test]
async fn repeats_a_call_once_with_a_new_token_when_the_old_one_is_called_invalid() {
    let behaviour = Behaviour {
        api: Box::new(|token, _| match token {
            "token-1" => refused(StatusCode::UNAUTHORIZED, "invalid_token"),
            _ => "done".into_response(),
        }),
        ..Behaviour::default()
    };
    let servers = Servers::start(behaviour);
    let answer = servers
        .client()
        .call(Method::POST, API, Some("{\"amount\":1}".into()))
        .await
        .unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"done"[..]));
    let body = "{\"amount\":1}";
    assert_eq!(
        servers.calls(),
        [("token-1".into(), body.into()), ("token-2".into(), body.into())]
    );
}

#[tokio::test]
async fn repeats_no_call_twice() {
    let behaviour = Behaviour {
        api: Box::new(|_, _| refused(StatusCode::UNAUTHORIZED, "invalid_token")),
        ..Behaviour::default()
    };
    let servers = Servers::start(behaviour);
    let answer = servers.client().call(Method::GET, API, None).await.unwrap();
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!((servers.calls().len(), servers.token_requests()), (2, 2));
}

#[tokio::test]
async fn repeats_no_call_that_another_token_cannot_help() {
    for (status, error) in [
        (StatusCode::FORBIDDEN, "insufficient_scope"),
        (StatusCode::UNAUTHORIZED, "other"),
        (StatusCode::BAD_REQUEST, "invalid_token"),
    ] {
        let behaviour = Behaviour {
            api: Box::new(move |_, _| refused(status, error)),
            ..Behaviour::default()
        };
        let servers = Servers::start(behaviour);
        assert_eq!(
            servers
                .client()
                .call(Method::GET, API, None)
                .await
                .unwrap()
                .status,
            status
        );
        assert_eq!((servers.calls().len(), servers.token_requests()), (1, 1));
    }
}

#[tokio::test]
async fn uses_a_refused_token_no_more_even_where_no_new_one_can_be_had() {
    let behaviour = Behaviour {
        token: Box::new(|number| match number {
            1 => token_answer(number, 900),
            _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }),
        api: Box::new(|_, _| refused(StatusCode::UNAUTHORIZED, "invalid_token")),
        ..Behaviour::default()
    };
    let servers = Servers::start(behaviour);
    let client = servers.client();
    assert_eq!(client.token().await.unwrap().expose(), "token-1");
    let error = client.call(Method::GET, API, None).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Token(TokenError::Status { .. })),
        "{error}"
    );
    assert_eq!(servers.calls().len(), 1);
}

#[tokio::test]
async fn says_whom_the_authorization_server_does_not_know() {
    let behaviour = Behaviour {
        token: Box::new(|_| refused(StatusCode::UNAUTHORIZED, "invalid_client")),
        ..Behaviour::default()
    };
    let servers = Servers::start(behaviour);
    let error = servers.client().token().await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Token(TokenError::Refused { code, .. }) if code == "invalid_client")
    );
    assert!(
        error.to_string().contains("partner-client with this certificate"),
        "{error}"
    );
    assert_eq!(servers.token_requests(), 1);
}

#[tokio::test]
async fn sends_no_token_to_a_url_without_tls() {
    let servers = Servers::start(Behaviour::default());
    let error = servers
        .client()
        .call(Method::GET, "http://api.example.com/api", None)
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::NotHttps { .. }), "{error}");
    assert_eq!(servers.token_requests(), 0);
}
