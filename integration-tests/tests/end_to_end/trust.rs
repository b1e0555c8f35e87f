//! Trust that moves while everything runs: revocation on connections that are open, broken files, renewed ones.

use std::path::Path;

use integration_tests::{TestSystem, log};
use pki::Member;
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

/// T13, T21: at the gateway and at the authorization server, over HTTP/2 and over HTTP/1.1; and the other partner's
/// connections go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_is_refused_on_connections_already_open_and_no_other_is() {
    let system = TestSystem::start().await;
    let partners = [
        system.partner(),
        system.http1_actor(Some(Member::Example)).unwrap(),
    ];
    let other = system.other();
    let (token, others) = (
        system.partner_token().await,
        other.request_token("other-client").await,
    );
    let others = others.access_token().unwrap();
    for (actor, token) in [(&partners[0], &token), (&partners[1], &token), (&other, &others)] {
        let client = if token == &others {
            "other-client"
        } else {
            "partner-client"
        };
        assert_eq!(actor.request_token(client).await.status(), Some(StatusCode::OK));
        let answer = actor.call(Some(token), HeaderMap::new()).await;
        assert_eq!(answer.status(), Some(StatusCode::OK), "{answer}");
    }

    system.revoke(Member::Example);

    for partner in &partners {
        let answer = partner.call(Some(&token), HeaderMap::new()).await;
        assert_eq!(answer.status(), Some(StatusCode::UNAUTHORIZED), "{answer}");
        assert_eq!(answer.error().as_deref(), Some("invalid_token"));
        let request_id = answer.header("x-request-id").unwrap();
        assert_eq!(
            log::field_of_request(request_id, "reason").await,
            "certificate_untrusted"
        );
        let answer = partner.request_token("partner-client").await;
        assert_eq!(answer.status(), Some(StatusCode::UNAUTHORIZED), "{answer}");
        assert_eq!(answer.error().as_deref(), Some("invalid_client"));
    }
    let answer = other.call(Some(&others), HeaderMap::new()).await;
    assert_eq!(answer.status(), Some(StatusCode::OK), "{answer}");
    assert_eq!(
        other.request_token("other-client").await.status(),
        Some(StatusCode::OK)
    );
    // A connection of its own is not even opened.
    assert_eq!(
        system
            .partner()
            .call(Some(&token), HeaderMap::new())
            .await
            .status(),
        None
    );
}

/// T21: the sample API judges the gateway by the same rule; its list alone is enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_gateway_is_refused_by_the_services_behind_it() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    let answer = system.partner().call(Some(&token), HeaderMap::new()).await;
    assert_eq!(answer.status(), Some(StatusCode::OK), "{answer}");
    system.revoke(Member::Gateway);
    let answer = system.partner().call(Some(&token), HeaderMap::new()).await;
    let request_id = answer.header("x-request-id").unwrap();
    let reason = log::field_of_request(request_id, "reason").await;
    // In TLS 1.3 a client's certificate is refused behind its handshake: before the request is sent, or after.
    let expected = match reason.as_str() {
        "upstream_unreachable" => StatusCode::SERVICE_UNAVAILABLE,
        "upstream_failed" => StatusCode::BAD_GATEWAY,
        _ => panic!("the API is at fault, and not {reason}"),
    };
    assert_eq!(answer.status(), Some(expected), "{answer}");
}

/// A broken list changes nothing: nobody is let in who was not, nobody is locked out, and all stay ready.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_revocation_list_changes_nothing() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    let list = system.ground().path().join("certs/root.crl.pem");
    std::fs::write(&list, "-----BEGIN X509 CRL-----\nbroken\n").unwrap();
    system.reload();
    let answer = system.partner().call(Some(&token), HeaderMap::new()).await;
    assert_eq!(answer.status(), Some(StatusCode::OK), "{answer}");
    let revoked = system.actor(Some(Member::Revoked)).unwrap();
    assert_eq!(revoked.call(Some(&token), HeaderMap::new()).await.status(), None);
    let listeners = ["listen.mutual_tls", "listen.public", "listen.tls"];
    for (admin, listener) in system.admin().into_iter().zip(listeners) {
        assert_said(&list, listener).await;
        let ready = reqwest::get(format!("http://{admin}/readyz")).await.unwrap();
        assert_eq!(ready.status(), StatusCode::OK);
        let metrics = reqwest::get(format!("http://{admin}/metrics")).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let failures = metrics
            .lines()
            .find(|line| line.starts_with("certbound_reload_failures_total") && line.contains(listener));
        assert!(failures.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
    }
}

/// The service that has this listener cannot read this list again, and says so in its log. Metrics alone cannot tell:
/// all services of all tests count in one process.
async fn assert_said(list: &Path, listener: &str) {
    let (name, list) = (format!("the TLS files of {listener}"), list.display().to_string());
    let is_failure = |event: &Value| {
        event["reload.of"] == name.as_str()
            && event["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains(&list))
    };
    log::event(is_failure).await;
}
