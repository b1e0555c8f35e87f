use std::time::SystemTime;

use http::Method;

use super::*;
use crate::route::AllowedMethods;

fn route() -> Arc<Route> {
    Arc::new(Route {
        methods: AllowedMethods::These(vec![Method::GET, Method::POST]),
        ..Route::of_test("api.example.com", "/")
    })
}

fn host() -> HostName {
    HostName::parse("api.example.com").unwrap()
}

fn every_rejection() -> Vec<Rejection> {
    vec![
        Rejection::HostMalformed,
        Rejection::FramingAmbiguous,
        Rejection::RequestBodyIncomplete,
        Rejection::PathAmbiguous,
        Rejection::TokenInQuery,
        Rejection::TokenMalformed,
        Rejection::CertificateHeaderMalformed(CertificateHeaderFault::MoreThanOne),
        Rejection::TokenMissing,
        Rejection::CertificateMissing,
        Rejection::CertificateExpired,
        Rejection::CertificateUntrusted,
        Rejection::TokenKindRefused,
        Rejection::TokenTooLong,
        Rejection::TokenInactive,
        Rejection::TokenRefused(VerificationError::Expired),
        Rejection::TokenRefused(VerificationError::NotYetValid),
        Rejection::TokenRefused(VerificationError::OtherAudience),
        Rejection::TokenRefused(VerificationError::Malformed),
        Rejection::TokenRefused(VerificationError::OtherIssuer),
        Rejection::TokenRefused(VerificationError::OtherType),
        Rejection::TokenRefused(VerificationError::CriticalHeader),
        Rejection::TokenRefused(VerificationError::AlgorithmNotAccepted),
        Rejection::TokenRefused(VerificationError::NoKeyId),
        Rejection::TokenRefused(VerificationError::UnknownKey),
        Rejection::TokenRefused(VerificationError::Signature),
        Rejection::TokenRefused(VerificationError::Claims),
        Rejection::TokenBoundOtherwise,
        Rejection::TokenNotBound,
        Rejection::CertificateMismatch,
        Rejection::ThumbprintInHex,
        Rejection::IssuerMismatch,
        Rejection::ScopeInsufficient(route()),
        Rejection::RouteUnknown,
        Rejection::MethodNotAllowed(route()),
        Rejection::MetadataNotRead,
        Rejection::RequestBodyTimeout,
        Rejection::HostMismatch,
        Rejection::IntrospectionFailed,
        Rejection::UpstreamFailed,
        Rejection::IntrospectionBusy,
        Rejection::IntrospectionUnavailable,
        Rejection::JwtVerificationBusy,
        Rejection::KeysUnavailable,
        Rejection::UpstreamBusy,
        Rejection::UpstreamUnreachable,
        Rejection::IntrospectionTimeout,
        Rejection::UpstreamTimeout,
    ]
}

fn respond(rejection: &Rejection) -> Response<Bytes> {
    rejection.respond(&host(), None, &RequestId::new(SystemTime::now()))
}

fn challenge_of(rejection: &Rejection) -> String {
    respond(rejection).headers()[WWW_AUTHENTICATE]
        .to_str()
        .unwrap()
        .to_owned()
}

/// The table in the module's documentation is what is answered.
#[test]
fn every_reason_and_status_stands_in_the_table() {
    let source = include_str!("../rejection.rs");
    for rejection in every_rejection() {
        let row = format!(
            "//! | `{}` | {} |",
            rejection.reason(),
            respond(&rejection).status().as_u16()
        );
        assert!(source.contains(&row), "{row}");
    }
}

/// B13.
#[test]
fn every_answer_is_json_with_the_request_id_and_without_the_reason() {
    for rejection in every_rejection() {
        let request_id = RequestId::new(SystemTime::now());
        let response = rejection.respond(&host(), None, &request_id);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["request_id"], request_id.as_str());
        assert!(body["error"].is_string() && body["error_description"].is_string());
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        assert!(!text.contains(rejection.reason()), "{text}");
    }
}

/// B1.
#[test]
fn a_missing_token_is_answered_with_a_challenge_without_error() {
    assert_eq!(
        challenge_of(&Rejection::TokenMissing),
        r#"Bearer realm="api.example.com""#
    );
}

/// S4: beside what is wrong, and also where nothing is but that there is no token.
#[test]
fn every_challenge_says_where_the_resource_is_described() {
    let url = "https://api.example.com/.well-known/oauth-protected-resource";
    let parameter = format!("resource_metadata=\"{url}\"");
    for rejection in every_rejection() {
        let response = rejection.respond(&host(), Some(url), &RequestId::new(SystemTime::now()));
        let challenge = response.headers().get(WWW_AUTHENTICATE);
        let times = challenge.map(|value| value.to_str().unwrap().matches(&parameter).count());
        match response.status().as_u16() {
            401 | 403 => assert_eq!(times, Some(1), "{rejection:?}"),
            _ => assert!(matches!(times, None | Some(1)), "{rejection:?}"),
        }
        assert!(!format!("{:?}", respond(&rejection).headers()).contains("resource_metadata"));
    }
}

/// B5: whatever was wrong with a token, the answer is the same.
#[test]
fn refused_tokens_look_alike() {
    let refused = [
        Rejection::CertificateMissing,
        Rejection::TokenTooLong,
        Rejection::TokenInactive,
        Rejection::TokenRefused(VerificationError::Expired),
        Rejection::TokenNotBound,
        Rejection::CertificateMismatch,
        Rejection::IssuerMismatch,
        Rejection::TokenRefused(VerificationError::OtherAudience),
    ];
    for rejection in &refused {
        assert_eq!(respond(rejection).status(), StatusCode::UNAUTHORIZED);
        assert_eq!(
            challenge_of(rejection),
            challenge_of(&Rejection::CertificateExpired)
        );
        assert!(challenge_of(rejection).contains(r#"error="invalid_token""#));
    }
}

/// B6.
#[test]
fn missing_scope_is_named() {
    let challenge = challenge_of(&Rejection::ScopeInsufficient(route()));
    assert!(challenge.contains(r#"error="insufficient_scope""#), "{challenge}");
    assert!(challenge.ends_with(r#"scope="transactions""#), "{challenge}");
}

/// B4, B8.
#[test]
fn malformed_and_misplaced_tokens_are_invalid_requests() {
    for rejection in [Rejection::TokenMalformed, Rejection::TokenInQuery] {
        assert!(challenge_of(&rejection).contains(r#"error="invalid_request""#));
    }
}

/// P10.
#[test]
fn faults_of_others_carry_no_challenge_and_say_when_to_try_again() {
    for rejection in [
        Rejection::IntrospectionUnavailable,
        Rejection::KeysUnavailable,
        Rejection::UpstreamBusy,
        Rejection::UpstreamUnreachable,
    ] {
        let response = respond(&rejection);
        assert!(response.headers().contains_key(RETRY_AFTER));
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
    }
    assert!(
        !respond(&Rejection::IntrospectionFailed)
            .headers()
            .contains_key(WWW_AUTHENTICATE)
    );
}

#[test]
fn a_405_names_the_methods_allowed() {
    assert_eq!(
        respond(&Rejection::MethodNotAllowed(route())).headers()[ALLOW],
        "GET, POST"
    );
    assert_eq!(respond(&Rejection::MetadataNotRead).headers()[ALLOW], "GET, HEAD");
}
