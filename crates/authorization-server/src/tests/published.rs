//! Clients that publish their keys: found when needed, followed when they change, and never guessed at.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use mtls::{Alpn, ServerFiles, ServerTls, TlsSection};
use oauth_core::jwt::{ClientAssertionClaims, SignatureAlgorithm, SigningKey};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::authentication::{asserted, self_signed};
use super::{Answer, DEMO, Harness, certificate, now, post};
use crate::Configuration;
use crate::registrations::Registrations;
use crate::router::{INTROSPECTION, TOKEN};

const TOKEN_REQUEST: &str = "grant_type=client_credentials";

/// A partner's web server, with the keys that it publishes at the moment: none for one that is out of order.
pub(super) struct Partner {
    port: u16,
    pub(super) trust: PathBuf,
    published: Arc<Mutex<Option<Value>>>,
    asked: Arc<AtomicUsize>,
    _directory: TempDir,
}

impl Partner {
    pub(super) async fn publishing(jwks: Value) -> Self {
        let directory = TempDir::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let tls = TlsSection {
            certificate: directory.path().join("server.pem"),
            key: directory.path().join("server.key"),
        };
        std::fs::write(&tls.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&tls.key, key.serialize_pem()).unwrap();
        let trust = tls.certificate.clone();
        let server = ServerTls::load(ServerFiles::new(tls), Alpn::Http2OrHttp1).unwrap();

        let (published, asked) = (Arc::new(Mutex::new(Some(jwks))), Arc::new(AtomicUsize::new(0)));
        let (current, count) = (Arc::clone(&published), Arc::clone(&asked));
        let answer = async move || {
            count.fetch_add(1, Ordering::SeqCst);
            let document = current.lock().unwrap().clone();
            document.map_or_else(
                || StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                |document| axum::Json(document).into_response(),
            )
        };
        let listener = mtls::bind("127.0.0.1:0".parse().unwrap(), "the partner").unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route("/jwks", get(answer));
        tokio::spawn(mtls::serve_tls(listener, server, router, std::future::pending()));
        Self {
            port,
            trust,
            published,
            asked,
            _directory: directory,
        }
    }

    fn publish(&self, jwks: Option<Value>) {
        *self.published.lock().unwrap() = jwks;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A configuration that knows the partner as `publishing`.
    pub(super) fn configuration(&self, method: &str) -> String {
        format!(
            "{DEMO}\n[[clients]]\nclient_id = \"publishing\"\ntoken_endpoint_auth_method = \"{method}\"\n\
             jwks_uri = \"https://localhost:{}/jwks\"\ngrant_types = [\"client_credentials\"]\n\
             scope = \"transactions\"\naudience = \"api.example.com\"\nresource_server = \"api.example.com\"\n\n\
             [outbound_tls]\ntrust = [\"{}\"]\n",
            self.port,
            self.trust.display()
        )
    }

    fn authorization_server(&self, method: &str) -> Harness {
        let text = self.configuration(method);
        let harness = Harness::configured(&text);
        let configuration = Configuration::from_toml(&text).unwrap();
        harness
            .server
            .register_anew(Registrations::load(&configuration).unwrap());
        harness
    }
}

/// Later, as far as the age of keys is concerned.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn key() -> SigningKey {
    let pem = KeyPair::generate().unwrap().serialize_pem();
    SigningKey::from_pkcs8_pem(pem.as_bytes(), SignatureAlgorithm::ES256).unwrap()
}

fn jwks(keys: &[&SigningKey]) -> Value {
    let keys: Vec<_> = keys.iter().map(|key| key.public_jwk().unwrap()).collect();
    json!({ "keys": keys })
}

fn assertion(key: &SigningKey) -> String {
    let claims = ClientAssertionClaims {
        iss: "publishing".to_owned(),
        sub: "publishing".to_owned(),
        aud: "https://login.example.com/oauth/v2/oauth-anonymous".to_owned(),
        exp: now().plus(Duration::from_secs(60)),
        iat: Some(now()),
        nbf: None,
        jti: Uuid::new_v4().to_string(),
    };
    claims.sign(key).unwrap()
}

async fn token(harness: &Harness, key: &SigningKey) -> Answer {
    let request = asserted(TOKEN, TOKEN_REQUEST, &assertion(key));
    harness.send(request, Some(&certificate("whoever"))).await
}

const LATER: Duration = Duration::from_secs(11);
const MUCH_LATER: Duration = Duration::from_secs(301);
const DEADLINE: Duration = Duration::from_secs(30);

/// M20, F13, K1: fetched once, and again at the first assertion of a new key.
#[tokio::test]
async fn accepts_assertions_of_a_published_key_and_of_the_one_that_follows_it() {
    let (old, new) = (key(), key());
    let partner = Partner::publishing(jwks(&[&old])).await;
    let harness = partner.authorization_server("private_key_jwt");
    for _ in 0..2 {
        let answer = token(&harness, &old).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    assert_eq!(partner.asked(), 1);
    let introspection = asserted(INTROSPECTION, "token=x", &assertion(&old));
    assert_eq!(harness.send(introspection, None).await.status, StatusCode::OK);

    partner.publish(Some(jwks(&[&old, &new])));
    pass(LATER).await;
    assert_eq!(token(&harness, &new).await.status, StatusCode::OK);
    assert_eq!(partner.asked(), 2);
}

/// M20: made-up keys do not reach the partner more often than that.
#[tokio::test]
async fn asks_the_partner_no_sooner_than_after_a_while_whatever_is_sent() {
    let (own, strangers) = (key(), key());
    let partner = Partner::publishing(jwks(&[&own])).await;
    let harness = partner.authorization_server("private_key_jwt");
    for _ in 0..3 {
        let answer = token(&harness, &strangers).await;
        assert_eq!(
            answer.refusal(),
            (401, "invalid_client".into(), "assertion_unknown_key")
        );
    }
    assert_eq!(partner.asked(), 1);
    assert_eq!(token(&harness, &own).await.status, StatusCode::OK);
}

/// M20, F13: removed is removed, once the cache is of that age; also where nothing is left.
#[tokio::test]
async fn refuses_a_key_that_the_partner_has_removed() {
    let (old, new) = (key(), key());
    let partner = Partner::publishing(jwks(&[&old])).await;
    let harness = partner.authorization_server("private_key_jwt");
    for left in [jwks(&[&new]), jwks(&[])] {
        partner.publish(Some(jwks(&[&old])));
        pass(MUCH_LATER).await;
        assert_eq!(token(&harness, &old).await.status, StatusCode::OK);
        partner.publish(Some(left));
        assert_eq!(token(&harness, &old).await.status, StatusCode::OK);
        pass(MUCH_LATER).await;
        let answer = token(&harness, &old).await;
        assert_eq!(
            answer.refusal(),
            (401, "invalid_client".into(), "assertion_unknown_key")
        );
    }
}

/// M20, F13: renewed beside the requests of a client that is about, which wait for no answer of the partner's.
#[tokio::test]
async fn accepts_a_key_while_it_is_asked_for_again_and_not_once_it_is_too_old() {
    let own = key();
    let partner = Partner::publishing(jwks(&[&own])).await;
    let harness = partner.authorization_server("private_key_jwt");
    assert_eq!(token(&harness, &own).await.status, StatusCode::OK);
    partner.publish(None);
    pass(Duration::from_secs(241)).await;
    assert_eq!(token(&harness, &own).await.status, StatusCode::OK);
    let asked_again = async {
        while partner.asked() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, asked_again).await.unwrap();
    pass(Duration::from_secs(60)).await;
    assert_eq!(token(&harness, &own).await.refusal().0, 503);
}

/// M20: nobody can tell whether it is the client, so nobody says that it is not; and nothing is issued.
#[tokio::test]
async fn answers_try_again_while_the_keys_are_out_of_reach() {
    let own = key();
    let partner = Partner::publishing(jwks(&[&own])).await;
    let harness = partner.authorization_server("private_key_jwt");
    for unusable in [
        None,
        Some(json!([])),
        Some(json!({ "keys": [{ "d": "x".repeat(300_000) }] })),
    ] {
        partner.publish(unusable);
        pass(MUCH_LATER).await;
        let answer = token(&harness, &own).await;
        assert_eq!(
            answer.refusal(),
            (503, "temporarily_unavailable".into(), "client_keys_unavailable")
        );
        assert!(answer.header(header::RETRY_AFTER).is_some());
        partner.publish(Some(jwks(&[&own])));
        pass(LATER).await;
        assert_eq!(token(&harness, &own).await.status, StatusCode::OK);
    }
    let others = post(TOKEN, "grant_type=client_credentials&client_id=partner-client");
    partner.publish(None);
    pass(MUCH_LATER).await;
    let answer = harness.send(others, Some(&certificate("demo-partner"))).await;
    assert_eq!(
        answer.status,
        StatusCode::OK,
        "others need no keys of this partner's"
    );
}

/// F13: a partner's server that nobody here trusts has nothing to say.
#[tokio::test]
async fn believes_no_server_of_another_authority() {
    let own = key();
    let (partner, other) = (
        Partner::publishing(jwks(&[&own])).await,
        Partner::publishing(jwks(&[])).await,
    );
    let text = partner.configuration("private_key_jwt").replace(
        &partner.trust.display().to_string(),
        &other.trust.display().to_string(),
    );
    let harness = Harness::configured(&text);
    let configuration = Configuration::from_toml(&text).unwrap();
    harness
        .server
        .register_anew(Registrations::load(&configuration).unwrap());
    assert_eq!(token(&harness, &own).await.refusal().0, 503);
    assert_eq!(partner.asked(), 0);
}

/// M16, M17, M20.
#[tokio::test]
async fn knows_a_client_by_the_self_signed_certificate_that_it_publishes() {
    let (_, old, of_old) = self_signed("partner", |_| ());
    let (_, new, of_new) = self_signed("partner", |_| ());
    let partner = Partner::publishing(of_old).await;
    let harness = partner.authorization_server("self_signed_tls_client_auth");
    let request = || post(TOKEN, "grant_type=client_credentials&client_id=publishing");
    let answer = harness.send(request(), Some(&old)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    for (sent, reason) in [
        (Some(&new), "other_certificate"),
        (Some(&certificate("partner")), "other_certificate"),
        (None, "no_certificate"),
    ] {
        let answer = harness.send(request(), sent).await;
        assert_eq!(answer.refusal(), (401, "invalid_client".into(), reason));
    }
    partner.publish(Some(of_new));
    pass(LATER).await;
    let answer = harness.send(request(), Some(&new)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let answer = harness.send(request(), Some(&old)).await;
    assert_eq!(
        answer.refusal(),
        (401, "invalid_client".into(), "other_certificate")
    );
}
