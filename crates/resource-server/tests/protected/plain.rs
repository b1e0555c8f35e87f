//! The layer on a service of tower's own, with an issuer and connections that need no network.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use resource_server::testing::TestIssuer;
use resource_server::{BindingPolicy, Caller, CertificateSource, PeerCertificate, ResourceServer};
use tower::{Layer, ServiceExt, service_fn};

use crate::api::{GATEWAY, certificate};

const AUDIENCE: &str = "api.example.com";
const HOUR: Duration = Duration::from_secs(3600);

fn issuer() -> TestIssuer {
    TestIssuer::new("https://login.example.com")
}

fn request(token: &str) -> Request<()> {
    Request::get("/")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(())
        .unwrap()
}

fn over(peer: &PeerCertificate, mut request: Request<()>) -> Request<()> {
    request.extensions_mut().insert(peer.clone());
    request
}

/// Calls a service that answers with the caller's `client_id`.
async fn call(resource_server: &ResourceServer, request: Request<()>) -> Response<String> {
    let service = service_fn(async |request: Request<()>| {
        assert!(!request.headers().contains_key("client-cert"));
        let caller = request.extensions().get::<Caller>().unwrap();
        Ok::<_, Infallible>(Response::new(caller.client_id.clone()))
    });
    let guarded = resource_server.protect().layer(service);
    guarded.oneshot(request).await.unwrap()
}

async fn status(resource_server: &ResourceServer, request: Request<()>) -> StatusCode {
    call(resource_server, request).await.status()
}

/// M35, M36, M37, M43: the certificates are self-signed; who holds the key is all that counts.
#[tokio::test]
async fn accepts_the_holder_of_a_self_signed_certificate_and_nobody_else() {
    let issuer = issuer();
    let resource_server = issuer.resource_server(AUDIENCE);
    let partner = certificate("partner.example.com", HOUR);
    let token = issuer.token(AUDIENCE).client_id("partner-client");
    let token = token.bound_to(partner.der()).sign().unwrap();
    let (partner, other) = (
        PeerCertificate::from(partner),
        PeerCertificate::from(certificate("partner.example.com", HOUR)),
    );
    let answer = call(&resource_server, over(&partner, request(&token))).await;
    assert_eq!(
        (answer.status(), answer.body().as_str()),
        (StatusCode::OK, "partner-client")
    );
    for refused in [over(&other, request(&token)), request(&token)] {
        assert_eq!(status(&resource_server, refused).await, StatusCode::UNAUTHORIZED);
    }
}

/// M38.
#[tokio::test]
async fn demands_of_the_binding_what_the_policy_says() {
    let issuer = issuer();
    let partner = certificate("partner.example.com", HOUR);
    let bound = issuer.token(AUDIENCE).bound_to(partner.der()).sign().unwrap();
    let unbound = issuer.token(AUDIENCE).sign().unwrap();
    for (policy, bound_without_certificate, unbound_expected) in [
        (BindingPolicy::Required, 401, 401),
        (BindingPolicy::IfBound, 401, 200),
        (BindingPolicy::Off, 200, 200),
    ] {
        let resource_server = issuer.resource_server(AUDIENCE).binding(policy);
        assert_eq!(
            status(&resource_server, request(&bound)).await,
            bound_without_certificate,
            "{policy:?}"
        );
        assert_eq!(
            status(&resource_server, request(&unbound)).await,
            unbound_expected,
            "{policy:?}"
        );
    }
}

/// M35, H6.
#[tokio::test]
async fn believes_the_client_cert_header_of_a_trusted_gateway_alone() {
    let issuer = issuer();
    let resource_server = issuer
        .resource_server(AUDIENCE)
        .certificates(CertificateSource::gateway([GATEWAY]));
    let partner = certificate("partner.example.com", HOUR);
    let token = issuer.token(AUDIENCE).bound_to(partner.der()).sign().unwrap();
    let forwarded = |peer: &str| {
        let mut request = request(&token);
        let value = oauth_core::client_cert_header::encode(partner.der());
        request
            .headers_mut()
            .insert("client-cert", value.parse().unwrap());
        over(&PeerCertificate::from(certificate(peer, HOUR)), request)
    };
    assert_eq!(status(&resource_server, forwarded(GATEWAY)).await, StatusCode::OK);
    assert_eq!(
        status(&resource_server, forwarded("other.example.com")).await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn refuses_a_connection_that_has_outlived_its_certificate() {
    let issuer = issuer();
    let resource_server = issuer.resource_server(AUDIENCE);
    for (validity, expected) in [(HOUR, 200), (Duration::from_secs(60), 401)] {
        let partner = certificate("partner.example.com", validity);
        let token = issuer.token(AUDIENCE).bound_to(partner.der()).sign().unwrap();
        let request = over(&PeerCertificate::from(partner), request(&token));
        assert_eq!(status(&resource_server, request).await, expected, "{validity:?}");
    }
}

/// A8, B5: what an issuer for tests makes is judged as every token is.
#[tokio::test]
async fn refuses_tokens_that_are_expired_of_another_issuer_or_for_another_audience() {
    let issuer = issuer();
    let resource_server = issuer.resource_server(AUDIENCE).binding(BindingPolicy::Off);
    let good = issuer.token(AUDIENCE).sign().unwrap();
    assert_eq!(status(&resource_server, request(&good)).await, StatusCode::OK);
    for refused in [
        issuer.token(AUDIENCE).expired().sign(),
        issuer.token("other.example.com").sign(),
        self::issuer().token(AUDIENCE).sign(),
        issuer.token(AUDIENCE).claim("aud", "api.example.com").sign(),
    ] {
        let request = request(&refused.unwrap());
        assert_eq!(status(&resource_server, request).await, StatusCode::UNAUTHORIZED);
    }
    assert!(issuer.token(AUDIENCE).scope("a  b").sign().is_err());
}

/// S4.
#[tokio::test]
async fn says_in_every_challenge_where_the_resource_is_described() {
    let issuer = issuer();
    let resource_server = issuer.resource_server(AUDIENCE);
    let described = resource_server
        .clone()
        .resource(&"https://api.example.com/v1".parse().unwrap());
    let parameter = "resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource/v1\"";
    for (request, error) in [
        (Request::get("/").body(()).unwrap(), None),
        (request("no-token"), Some("invalid_token")),
        (request("a b"), Some("invalid_request")),
    ] {
        let answer = call(&described, request.clone()).await;
        let challenge = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert_eq!(challenge.matches(parameter).count(), 1, "{challenge}");
        match error {
            Some(error) => assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}"),
            None => assert!(!challenge.contains("error"), "{challenge}"),
        }
        let answer = call(&resource_server, request).await;
        let challenge = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(!challenge.contains("resource_metadata"), "{challenge}");
    }
}
