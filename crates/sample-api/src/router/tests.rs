use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use resource_server::PeerCertificate;
use resource_server::testing::TestIssuer;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

/// The API, its issuer, and a partner that calls it over a connection of its own.
struct Api {
    router: Router,
    issuer: TestIssuer,
    partner: Vec<u8>,
}

impl Api {
    fn start() -> Self {
        let issuer = TestIssuer::new("https://login.example.com");
        let resource_server = issuer.resource_server("api.example.com");
        let partner = rcgen::generate_simple_self_signed(["partner.example.com".to_owned()]).unwrap();
        Self {
            router: router(resource_server.require_scope("transactions".parse().unwrap())),
            issuer,
            partner: partner.cert.der().to_vec(),
        }
    }

    fn token(&self, client_id: &str, scope: &str) -> String {
        let token = self.issuer.token("api.example.com").client_id(client_id);
        token.scope(scope).bound_to(&self.partner).sign().unwrap()
    }

    async fn call(&self, mut request: Request) -> (StatusCode, HeaderMap, Value) {
        let peer = PeerCertificate::from_der(&self.partner).unwrap();
        request.extensions_mut().insert(peer);
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, serde_json::from_slice(&body).unwrap())
    }

    /// Calls, and sees to it that a refusal says what every refusal says.
    async fn refused(&self, request: Request) -> (StatusCode, HeaderMap, Value) {
        let (status, headers, answer) = self.call(request).await;
        assert!(answer["error"].is_string(), "{answer}");
        assert!(answer["error_description"].is_string(), "{answer}");
        let request_id = answer["request_id"].as_str().unwrap();
        assert_eq!(headers["x-request-id"], request_id, "{answer}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        (status, headers, answer)
    }

    async fn post(&self, content_type: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let (status, _, body) = self.call(self.posting(content_type, body)).await;
        (status, body)
    }

    fn posting(&self, content_type: &str, body: impl Into<Body>) -> Request {
        Request::post("/api/transactions")
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.token("partner-client", "transactions")),
            )
            .header(header::CONTENT_TYPE, content_type)
            .body(body.into())
            .unwrap()
    }

    async fn list(&self, client_id: &str) -> Value {
        let request = Request::get("/api/transactions")
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.token(client_id, "transactions")),
            )
            .body(Body::empty())
            .unwrap();
        self.call(request).await.2
    }
}

#[tokio::test]
async fn creates_a_transaction_without_a_body_and_with_a_json_object() {
    let api = Api::start();
    for (content_type, body) in [
        ("application/octet-stream", ""),
        ("application/json", r#"{"amount":1}"#),
        ("Application/JSON; charset=utf-8", "{}"),
    ] {
        let (status, created) = api.post(content_type, body).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(created["message"], "Success response from the Example API");
        assert_eq!(created["client_id"], "partner-client");
        assert_eq!(
            Uuid::parse_str(created["id"].as_str().unwrap())
                .unwrap()
                .get_version_num(),
            7
        );
    }
}

#[tokio::test]
async fn lists_the_callers_own_transactions_alone() {
    let api = Api::start();
    let (_, created) = api.post("application/json", "").await;
    let listed = api.list("partner-client").await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], created["id"]);
    assert_eq!(api.list("other-client").await, json!([]));
}

#[tokio::test]
async fn refuses_a_body_that_is_no_json_object_and_creates_nothing() {
    let api = Api::start();
    for (content_type, body, refused) in [
        (
            "application/json",
            "{".to_owned(),
            (StatusCode::BAD_REQUEST, "invalid_request"),
        ),
        (
            "application/json",
            "[1]".to_owned(),
            (StatusCode::BAD_REQUEST, "invalid_request"),
        ),
        (
            "text/plain",
            "{}".to_owned(),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
        ),
        (
            "application/json",
            format!("{{\"a\":\"{}\"}}", "a".repeat(LARGEST_BODY)),
            (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
        ),
    ] {
        let (status, _, answer) = api.refused(api.posting(content_type, body)).await;
        assert_eq!((status, answer["error"].as_str().unwrap()), refused);
    }
    assert_eq!(api.list("partner-client").await, json!([]));
}

/// B1, B6, B13.
#[tokio::test]
async fn refuses_callers_without_token_and_without_scope_and_names_the_request() {
    let api = Api::start();
    let anonymous = Request::post("/api/transactions").body(Body::empty()).unwrap();
    let (status, _, answer) = api.refused(anonymous).await;
    assert_eq!(
        (status, answer["error"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("unauthorized"))
    );

    let request = Request::post("/api/transactions")
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", api.token("partner-client", "other")),
        )
        .header("x-request-id", "call-17")
        .body(Body::empty())
        .unwrap();
    let (status, _, answer) = api.refused(request).await;
    assert_eq!(
        (status, answer["error"].as_str()),
        (StatusCode::FORBIDDEN, Some("insufficient_scope"))
    );
    assert_eq!(answer["request_id"], "call-17");
}

#[tokio::test]
async fn answers_unknown_paths_and_methods_in_json() {
    let api = Api::start();
    let (status, _, answer) = api
        .refused(Request::get("/api/other").body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        (status, answer["error"].as_str()),
        (StatusCode::NOT_FOUND, Some("not_found"))
    );

    let (status, headers, answer) = api
        .refused(Request::delete("/api/transactions").body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        (status, answer["error"].as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, Some("method_not_allowed"))
    );
    let allowed = headers[header::ALLOW].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
}
