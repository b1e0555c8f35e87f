//! What handlers of one router ask for beyond a valid token: a scope each, and claims of the issuer's own.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{StatusCode, header};
use axum::routing::get;
use resource_server::testing::{TestIssuer, TestToken};
use resource_server::{BindingPolicy, Caller, Claims, ClaimsError, NotProtected, RequireScope};
use tower::ServiceExt;

use crate::api::{Answer, answer};

const AUDIENCE: &str = "api.example.com";

#[derive(Debug, serde::Deserialize)]
struct Tenancy {
    tenant: String,
}

async fn tenant_of(Claims(Tenancy { tenant }): Claims<Tenancy>) -> String {
    tenant
}

fn guarded() -> Router {
    let require = |scope: &str| RequireScope::new(scope.parse().unwrap());
    let read = async |caller: Caller| caller.subject;
    let orders = get(read.layer(require("read"))).post((async || "created").layer(require("write")));
    Router::new()
        .route("/orders", orders)
        .route("/tenant", get(tenant_of))
}

/// The guards inside of one layer for all.
fn protected(issuer: &TestIssuer) -> Router {
    let resource_server = issuer
        .resource_server(AUDIENCE)
        .binding(BindingPolicy::Off)
        .resource(&"https://api.example.com".parse().unwrap());
    guarded().route_layer(resource_server.protect())
}

async fn call(router: Router, method: &str, path: &str, token: TestToken) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {}", token.sign().unwrap()))
        .body(Body::empty())
        .unwrap();
    answer(router.oneshot(request).await.unwrap()).await
}

/// B6, S4.
#[tokio::test]
async fn asks_each_handler_its_own_scope() {
    let issuer = TestIssuer::new("https://login.example.com");
    let reader = || issuer.token(AUDIENCE).scope("read").subject("a-user");
    let read = call(protected(&issuer), "GET", "/orders", reader()).await;
    assert_eq!((read.status, read.body.as_str()), (StatusCode::OK, "a-user"));
    let write = call(protected(&issuer), "POST", "/orders", reader()).await;
    assert_eq!(write.status, StatusCode::FORBIDDEN);
    let challenge = write.challenge();
    for parameter in [
        "realm=\"api.example.com\"",
        "error=\"insufficient_scope\"",
        "scope=\"write\"",
        "resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\"",
    ] {
        assert_eq!(challenge.matches(parameter).count(), 1, "{challenge}");
    }
    let both = issuer.token(AUDIENCE).scope("read write");
    let written = call(protected(&issuer), "POST", "/orders", both).await;
    assert_eq!(written.status, StatusCode::OK);
}

/// Fails closed where the API's author forgot the layer around the guards.
#[tokio::test]
async fn lets_nobody_through_a_guard_without_the_layer() {
    let issuer = TestIssuer::new("https://login.example.com");
    let token = || {
        issuer
            .token(AUDIENCE)
            .scope("read write")
            .claim("tenant", "a-tenant")
    };
    for (method, path) in [("GET", "/orders"), ("POST", "/orders"), ("GET", "/tenant")] {
        let refused = call(guarded(), method, path, token()).await;
        assert_eq!(
            (refused.status, refused.body.as_str()),
            (StatusCode::INTERNAL_SERVER_ERROR, "")
        );
        let accepted = call(protected(&issuer), method, path, token()).await;
        assert_eq!(accepted.status, StatusCode::OK, "{method} {path}");
    }
    let error = Claims::<Tenancy>::of(&http::Extensions::new()).unwrap_err();
    assert_eq!(error, ClaimsError::NotProtected(NotProtected));
}

/// B5: a token that is good for other APIs, but says nothing of what this one goes by.
#[tokio::test]
async fn reads_claims_of_the_issuers_own_and_refuses_tokens_without_them() {
    let issuer = TestIssuer::new("https://login.example.com");
    let token = || issuer.token(AUDIENCE);
    let with = call(
        protected(&issuer),
        "GET",
        "/tenant",
        token().claim("tenant", "a-tenant"),
    )
    .await;
    assert_eq!((with.status, with.body.as_str()), (StatusCode::OK, "a-tenant"));
    for refused in [token(), token().claim("tenant", 17)] {
        let without = call(protected(&issuer), "GET", "/tenant", refused).await;
        assert_eq!(without.status, StatusCode::UNAUTHORIZED);
        assert!(
            without.challenge().contains("error=\"invalid_token\""),
            "{without:?}"
        );
        assert!(!without.body.contains("tenant"), "{without:?}");
    }
}
