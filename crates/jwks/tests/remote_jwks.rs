//! `RemoteJwks` against a small issuer on loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jwks::{FetchError, JwksVerificationError, KeysUnavailable, RefetchLimits, RemoteJwks};
use oauth_core::jwt::{
    AccessTokenClaims, AccessTokenVerifier, JwksError, SignatureAlgorithm, SigningKey, VerificationError,
};
use oauth_core::time::Timestamp;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_000_000);
const ISSUER: &str = "https://login.example.com";
/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);

/// Serves whatever `answer` says, and counts how often it was asked.
struct Issuer {
    uri: String,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn answering(answer: impl Fn(usize) -> Response + Clone + Send + Sync + 'static) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let handler = move || async move { answer(counter.fetch_add(1, Ordering::SeqCst)) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/jwks", get(handler))).await });
        Self { uri, asked }
    }

    async fn with_keys(keys: &[&SigningKey]) -> Self {
        let document = jwks_of(keys);
        Self::answering(move |_| document.clone().into_response()).await
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn keys(&self, limits: RefetchLimits) -> RemoteJwks {
        RemoteJwks::reading(http_client(), &self.uri, limits)
    }
}

fn http_client() -> reqwest::Client {
    mtls::install_crypto_provider();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap()
}

fn signing_key() -> SigningKey {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    SigningKey::from_pkcs8_pem(pem.as_bytes(), SignatureAlgorithm::ES256).unwrap()
}

fn jwks_of(keys: &[&SigningKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.public_jwk().unwrap()).collect();
    serde_json::json!({ "keys": keys }).to_string()
}

fn token(key: &SigningKey) -> String {
    let claims = AccessTokenClaims {
        iss: ISSUER.into(),
        exp: NOW.plus(Duration::from_secs(60)),
        aud: vec!["api.example.com".into()],
        sub: "partner-client".into(),
        client_id: "partner-client".into(),
        iat: NOW,
        nbf: None,
        jti: "1".into(),
        scope: "transactions".parse().unwrap(),
        cnf: None,
    };
    claims.sign(key).unwrap()
}

fn verifier() -> AccessTokenVerifier {
    AccessTokenVerifier {
        issuer: ISSUER.into(),
        audiences: vec!["api.example.com".into()],
        algorithms: SignatureAlgorithm::ALL.into(),
    }
}

async fn verify(keys: &RemoteJwks, token: &str) -> Result<(), JwksVerificationError> {
    keys.verify(&verifier(), token, NOW).await.map(|_| ())
}

fn unavailable(result: Result<(), JwksVerificationError>) -> FetchError {
    match result.unwrap_err() {
        JwksVerificationError::Unavailable(KeysUnavailable { reason, .. }) => reason,
        other => panic!("{other}"),
    }
}

const UNKNOWN_KEY: JwksVerificationError = JwksVerificationError::Verification(VerificationError::UnknownKey);

#[tokio::test]
async fn fetches_on_first_use_and_once_for_many_tokens() {
    let key = signing_key();
    let issuer = Issuer::with_keys(&[&key]).await;
    let keys = issuer.keys(RefetchLimits::default());
    assert_eq!(issuer.asked(), 0);
    for _ in 0..3 {
        verify(&keys, &token(&key)).await.unwrap();
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn fetches_once_for_callers_that_wait_together() {
    let key = signing_key();
    let issuer = Issuer::with_keys(&[&key]).await;
    let keys = issuer.keys(RefetchLimits::default());
    let token = token(&key);
    let (one, two, three) = tokio::join!(
        verify(&keys, &token),
        verify(&keys, &token),
        verify(&keys, &token)
    );
    assert_eq!((one, two, three), (Ok(()), Ok(()), Ok(())));
    assert_eq!(issuer.asked(), 1);
}

/// A8.
#[tokio::test]
async fn accepts_a_token_of_a_key_that_a_refetch_finds() {
    let (current, next) = (signing_key(), signing_key());
    let (before, after) = (jwks_of(&[&current]), jwks_of(&[&current, &next]));
    let issuer =
        Issuer::answering(move |turn| if turn == 0 { before.clone() } else { after.clone() }.into_response())
            .await;
    let keys = issuer.keys(RefetchLimits {
        after_success: Duration::ZERO,
        ..RefetchLimits::default()
    });
    verify(&keys, &token(&current)).await.unwrap();
    verify(&keys, &token(&next)).await.unwrap();
    assert_eq!(issuer.asked(), 2);
}

/// A8.
#[tokio::test]
async fn refuses_a_token_of_an_unknown_key_after_one_refetch() {
    let key = signing_key();
    let issuer = Issuer::with_keys(&[&key]).await;
    let keys = issuer.keys(RefetchLimits {
        after_success: Duration::ZERO,
        ..RefetchLimits::default()
    });
    verify(&keys, &token(&key)).await.unwrap();
    assert_eq!(verify(&keys, &token(&signing_key())).await, Err(UNKNOWN_KEY));
    assert_eq!(issuer.asked(), 2);
}

/// A8.
#[tokio::test]
async fn asks_for_made_up_keys_no_more_than_the_cool_down_allows() {
    let key = signing_key();
    let issuer = Issuer::with_keys(&[&key]).await;
    let keys = issuer.keys(RefetchLimits {
        after_success: NEVER,
        ..RefetchLimits::default()
    });
    for _ in 0..5 {
        assert_eq!(verify(&keys, &token(&signing_key())).await, Err(UNKNOWN_KEY));
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn asks_an_issuer_that_failed_again_only_after_the_cool_down() {
    let key = signing_key();
    let document = jwks_of(&[&key]);
    let answer = move |turn| match turn {
        0 => StatusCode::BAD_GATEWAY.into_response(),
        _ => document.clone().into_response(),
    };
    let hasty = Issuer::answering(answer.clone()).await;
    let keys = hasty.keys(RefetchLimits {
        after_failure: Duration::ZERO,
        ..RefetchLimits::default()
    });
    assert_eq!(
        unavailable(verify(&keys, &token(&key)).await),
        FetchError::Status(StatusCode::BAD_GATEWAY)
    );
    verify(&keys, &token(&key)).await.unwrap();

    let patient = Issuer::answering(answer).await;
    let keys = patient.keys(RefetchLimits {
        after_failure: NEVER,
        ..RefetchLimits::default()
    });
    for _ in 0..2 {
        assert_eq!(
            unavailable(verify(&keys, &token(&key)).await),
            FetchError::Status(StatusCode::BAD_GATEWAY)
        );
    }
    assert_eq!(patient.asked(), 1);
}

#[tokio::test]
async fn blames_the_missing_keys_and_not_the_token_while_the_issuer_is_away() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let keys = RemoteJwks::new(http_client(), format!("http://{gone}/jwks"));
    let reason = unavailable(verify(&keys, &token(&signing_key())).await);
    assert!(
        matches!(&reason, FetchError::NoAnswer(words) if words.contains("refused")),
        "{reason}"
    );
}

#[tokio::test]
async fn a_new_key_that_cannot_be_asked_for_is_not_the_tokens_fault() {
    let key = signing_key();
    let document = jwks_of(&[&key]);
    let issuer = Issuer::answering(move |turn| match turn {
        0 => document.clone().into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    })
    .await;
    let keys = issuer.keys(RefetchLimits {
        after_success: Duration::ZERO,
        ..RefetchLimits::default()
    });
    verify(&keys, &token(&key)).await.unwrap();
    let reason = unavailable(verify(&keys, &token(&signing_key())).await);
    assert_eq!(reason, FetchError::Status(StatusCode::INTERNAL_SERVER_ERROR));
    verify(&keys, &token(&key)).await.unwrap();
}

#[tokio::test]
async fn renews_old_keys_in_the_background_and_keeps_the_last_good_set() {
    let (old, new) = (signing_key(), signing_key());
    let (before, after) = (jwks_of(&[&old]), jwks_of(&[&new]));
    let issuer = Issuer::answering(move |turn| match turn {
        0 => before.clone().into_response(),
        1 => after.clone().into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    })
    .await;
    let limits = RefetchLimits {
        max_age: Duration::ZERO,
        after_success: Duration::ZERO,
        ..RefetchLimits::default()
    };
    let keys = issuer.keys(limits);
    verify(&keys, &token(&old)).await.unwrap();
    eventually(async || verify(&keys, &token(&old)).await.is_err()).await;
    eventually(async || issuer.asked() > 2 && verify(&keys, &token(&new)).await.is_ok()).await;
}

/// After a quiet hour there is no other token that would have had the keys renewed.
#[tokio::test]
async fn believes_a_withdrawn_key_not_even_once_after_a_quiet_time() {
    let (withdrawn, current) = (signing_key(), signing_key());
    let (before, after) = (jwks_of(&[&withdrawn]), jwks_of(&[&current]));
    let issuer = Issuer::answering(move |turn| match turn {
        0 => before.clone().into_response(),
        _ => after.clone().into_response(),
    })
    .await;
    let limits = RefetchLimits {
        max_age: Duration::ZERO,
        after_success: Duration::ZERO,
        ..RefetchLimits::default()
    };
    let keys = issuer.keys(limits);
    verify(&keys, &token(&withdrawn)).await.unwrap();
    let refused = verify(&keys, &token(&withdrawn)).await;
    assert_eq!(refused, Err(VerificationError::UnknownKey.into()));
    verify(&keys, &token(&current)).await.unwrap();
}

#[tokio::test]
async fn believes_no_keys_that_are_too_old() {
    let key = signing_key();
    let document = jwks_of(&[&key]);
    let issuer = Issuer::answering(move |turn| match turn {
        0 => document.clone().into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    })
    .await;
    let limits = RefetchLimits {
        kept_at_most: Duration::ZERO,
        after_success: Duration::ZERO,
        ..RefetchLimits::default()
    };
    let keys = issuer.keys(limits);
    verify(&keys, &token(&key)).await.unwrap();
    let reason = unavailable(verify(&keys, &token(&key)).await);
    assert_eq!(reason, FetchError::Status(StatusCode::SERVICE_UNAVAILABLE));
}

#[tokio::test]
async fn refuses_an_answer_that_is_too_large_and_one_that_is_no_jwks() {
    let too_large = Issuer::answering(|_| " ".repeat(256 * 1024 + 1).into_response()).await;
    let keys = too_large.keys(RefetchLimits::default());
    assert_eq!(
        unavailable(verify(&keys, &token(&signing_key())).await),
        FetchError::TooLarge
    );

    let no_jwks = Issuer::answering(|_| "<html>".into_response()).await;
    let keys = no_jwks.keys(RefetchLimits::default());
    let reason = unavailable(verify(&keys, &token(&signing_key())).await);
    assert_eq!(reason, FetchError::Jwks(JwksError::Malformed));
}

#[tokio::test]
async fn gives_up_on_an_issuer_that_does_not_answer() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/jwks", silent.local_addr().unwrap());
    let limits = RefetchLimits {
        timeout: Duration::from_millis(50),
        ..RefetchLimits::default()
    };
    let keys = RemoteJwks::reading(http_client(), uri, limits);
    let reason = unavailable(verify(&keys, &token(&signing_key())).await);
    assert!(
        matches!(&reason, FetchError::NoAnswer(words) if words.contains("timed out")),
        "{reason}"
    );
}

async fn eventually(holds: impl AsyncFn() -> bool) {
    let observed = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), observed)
        .await
        .expect("observed within the deadline");
}
