//! Services killed without warning and started again: nothing is lost, and nothing else needs doing.

use demo::actor::Actor;
use integration_tests::{
    Ground,
    processes::{Processes, Service},
};
use mtls::Alpn;
use pki::Member;
use reqwest::{StatusCode, header::HeaderMap};

fn partner(ground: &Ground, processes: &Processes) -> Actor {
    let credentials = Some(ground.credentials(Member::Example));
    Actor::new(
        ground.trust(),
        credentials,
        Alpn::Http2OrHttp1,
        processes.gateway(),
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_any_service_loses_no_token() {
    let ground = Ground::new();
    let mut processes = Processes::start(&ground);
    let token = partner(&ground, &processes)
        .request_token("partner-client")
        .await
        .access_token()
        .unwrap();
    for service in Service::ALL {
        processes.kill(service);
        processes.spawn(service);
        let answer = partner(&ground, &processes)
            .call(Some(&token), HeaderMap::new())
            .await;
        assert_eq!(
            answer.status(),
            Some(StatusCode::OK),
            "after {service:?} was killed: {answer}"
        );
    }
}

/// P10: a fault of the authorization server is never the caller's.
#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_server_that_is_down_is_no_fault_of_the_token() {
    let ground = Ground::new();
    let mut processes = Processes::start(&ground);
    let partner = partner(&ground, &processes);
    let (known, unknown) = (
        partner.request_token("partner-client").await,
        partner.request_token("partner-client").await,
    );
    let (known, unknown) = (known.access_token().unwrap(), unknown.access_token().unwrap());
    assert_eq!(
        partner.call(Some(&known), HeaderMap::new()).await.status(),
        Some(StatusCode::OK)
    );
    processes.kill(Service::AuthorizationServer);
    let answer = partner.call(Some(&unknown), HeaderMap::new()).await;
    assert_eq!(answer.status(), Some(StatusCode::SERVICE_UNAVAILABLE), "{answer}");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(
        partner.call(Some(&known), HeaderMap::new()).await.status(),
        Some(StatusCode::OK),
        "still cached"
    );
    processes.spawn(Service::AuthorizationServer);
    assert_eq!(
        partner.call(Some(&unknown), HeaderMap::new()).await.status(),
        Some(StatusCode::OK)
    );
}

/// An API that is down is the upstream's fault, and no secret.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_down_is_no_fault_of_the_token() {
    let ground = Ground::new();
    let mut processes = Processes::start(&ground);
    let partner = partner(&ground, &processes);
    let token = partner
        .request_token("partner-client")
        .await
        .access_token()
        .unwrap();
    processes.kill(Service::SampleApi);
    let answer = partner.call(Some(&token), HeaderMap::new()).await;
    assert_eq!(answer.status(), Some(StatusCode::SERVICE_UNAVAILABLE), "{answer}");
    processes.spawn(Service::SampleApi);
    assert_eq!(
        partner.call(Some(&token), HeaderMap::new()).await.status(),
        Some(StatusCode::OK)
    );
}
