use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use http::header::HOST;
use jwks::RemoteJwks;
use mtls::{ClientTls, Standing, Timeouts, TrustAnchors};
use oauth_core::certificate::ClientCertificate;
use oauth_core::confirmation::Confirmation;
use oauth_core::jwt::{AccessTokenClaims, SignatureAlgorithm, SigningKey, VerificationKeys};
use pki::{DemoSet, KeyAlgorithm, Member, PrivateKey};

use super::*;
use crate::audiences::{Audiences, LiveVerifier};
use crate::configuration::{
    CacheControlPolicy, CacheSection, EndpointAuthentication, ExpectedAnswer, Introspection,
};
use crate::host::HostName;
use crate::introspection_client::{AnswerReader, Authentication, IntrospectionClient};
use crate::issuers::{Issuers, JwtProfile, TrustedIssuer};
use crate::route::AllowedMethods;
use crate::token_source::TokenSource;

const TOKEN: &str = "opaque";
const LIFETIME: Duration = Duration::from_secs(900);

static NOW: LazyLock<Timestamp> = LazyLock::new(|| Timestamp::from(SystemTime::now()));
static PKI: LazyLock<DemoSet> = LazyLock::new(|| DemoSet::create(KeyAlgorithm::EcdsaP256, *NOW).unwrap());
static SIGNING_KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    SigningKey::from_pkcs8_pem(key.pem().as_bytes(), SignatureAlgorithm::ES256).unwrap()
});

fn der_of(member: Member) -> &'static [u8] {
    PKI.identity(member).certificate().der()
}

fn connection(member: Option<Member>) -> Arc<Connection> {
    let server_name = HostName::parse("api.example.com").unwrap();
    let peer = "127.0.0.1:50000".parse().unwrap();
    let presented = member.map(|member| {
        let certificate = ClientCertificate::from_der(der_of(member)).unwrap();
        PresentedCertificate::new(Arc::new(certificate), Standing::without_certificate())
    });
    Arc::new(Connection::new(server_name, peer, presented))
}

fn claims() -> AccessTokenClaims {
    let certificate = ClientCertificate::from_der(der_of(Member::Example)).unwrap();
    AccessTokenClaims {
        iss: "https://issuer.example.com".to_owned(),
        exp: NOW.plus(LIFETIME),
        aud: vec!["api.example.com".to_owned()],
        sub: "partner-client".to_owned(),
        client_id: "partner-client".to_owned(),
        iat: *NOW,
        nbf: None,
        jti: "1".to_owned(),
        scope: "transactions".parse().unwrap(),
        cnf: Some(Confirmation::of(&certificate)),
    }
}

const ISSUER: &str = "https://issuer.example.com";

fn verifier() -> LiveVerifier {
    LiveVerifier::new(
        ISSUER,
        &Audiences::new(&["api.example.com".to_owned(), "other".to_owned()]),
    )
}

fn accepted(claims: &AccessTokenClaims) -> AcceptedToken {
    let jwks = serde_json::json!({ "keys": [SIGNING_KEY.public_jwk().unwrap()] });
    let keys = VerificationKeys::from_jwks(jwks.to_string().as_bytes()).unwrap();
    let jwt = claims.sign(&SIGNING_KEY).unwrap();
    AcceptedToken::from_jwt(verifier().now().verify(&jwt, &keys, *NOW).unwrap().into(), &jwt).unwrap()
}

fn route(path: &str, binding: BindingPolicy) -> Route {
    Route {
        methods: AllowedMethods::These(vec![Method::GET]),
        binding,
        ..Route::of_test("api.example.com", path)
    }
}

/// Knows the one token, and reaches nobody to ask for another.
async fn authorizer(claims: &AccessTokenClaims) -> Authorizer {
    let trust = TrustAnchors::from_pem(PKI.root().certificate().pem().unwrap().as_bytes()).unwrap();
    let http_client = ClientTls::new(trust)
        .http_client(Timeouts::default(), &[])
        .unwrap();
    let configuration = Introspection {
        endpoint: "https://127.0.0.1:1/introspect".parse().unwrap(),
        issuer: "https://issuer.example.com".to_owned(),
        client_id: "gateway".to_owned(),
        authentication: EndpointAuthentication::Certificate,
        expected: ExpectedAnswer::AccessTokenJwt,
        cache_control: CacheControlPolicy::Follow,
        timeout: Duration::from_secs(5),
        max_response: 1024,
        concurrency: 10,
    };
    let keys = RemoteJwks::new(http_client.clone(), "https://127.0.0.1:1/jwks");
    let reader = AnswerReader::AccessTokenJwt {
        keys: keys.clone(),
        verifier: verifier(),
    };
    let authentication = Authentication::load(&configuration).unwrap();
    let introspection = IntrospectionClient::new(http_client, &configuration, authentication, reader);
    let issuer = TrustedIssuer {
        issuer: ISSUER.to_owned(),
        keys,
        verifier: verifier(),
        profile: JwtProfile::AccessToken,
    };
    let source = TokenSource {
        introspection: Some(introspection),
        issuers: Issuers::new([issuer]),
    };
    let tokens = TokenCache::new(source, &CacheSection::default());
    tokens.remember(TokenKind::Opaque, TOKEN, accepted(claims), LIFETIME);
    let routes = [
        route("/api", BindingPolicy::Required),
        route("/if-bound", BindingPolicy::IfBound),
        route("/off", BindingPolicy::Off),
        Route {
            tokens: vec![TokenKind::Jwt],
            ..route("/jwt", BindingPolicy::Required)
        },
        Route {
            tokens: vec![TokenKind::Opaque, TokenKind::Jwt],
            ..route("/both", BindingPolicy::Required)
        },
        Route {
            audience: "other".to_owned(),
            ..route("/other", BindingPolicy::Required)
        },
        Route {
            issuers: Some(vec![ISSUER.to_owned()]),
            ..route("/its-issuer", BindingPolicy::Required)
        },
        Route {
            issuers: Some(vec!["https://other.example.com".to_owned()]),
            ..route("/another-issuer", BindingPolicy::Required)
        },
        Route {
            scope: "transactions admin".parse().unwrap(),
            ..route("/admin", BindingPolicy::Required)
        },
        Route {
            scope: "admin".parse().unwrap(),
            ..route("/api/admin", BindingPolicy::Required)
        },
    ];
    Authorizer {
        routes: routes.into_iter().collect(),
        tokens,
        hex_thumbprints: HexThumbprints::Refused,
    }
}

fn request(method: Method, path: &str, authorization: &[&str]) -> WellFormedRequest<()> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "api.example.com");
    let request = authorization
        .iter()
        .fold(request, |request, value| request.header(AUTHORIZATION, *value));
    WellFormedRequest::verify(
        Box::new(request.body(()).unwrap()),
        &HostName::parse("api.example.com").unwrap(),
    )
    .unwrap()
}

async fn authorize(
    authorizer: &Authorizer,
    request: WellFormedRequest<()>,
    member: Option<Member>,
    now: Timestamp,
) -> Result<(), Rejection> {
    let connection = connection(member);
    let certificate = connection.client_certificate.as_ref();
    let authorized = authorizer.authorize(request, certificate, &connection, now);
    authorized.await.map(|_| ())
}

async fn outcome(
    claims: &AccessTokenClaims,
    path: &str,
    member: Option<Member>,
    now: Timestamp,
) -> Result<(), &'static str> {
    let request = request(Method::GET, path, &["Bearer opaque"]);
    let authorized = authorize(&authorizer(claims).await, request, member, now).await;
    authorized.map_err(|rejection| rejection.reason())
}

async fn asked(path: &str, member: Option<Member>) -> Result<(), &'static str> {
    outcome(&claims(), path, member, *NOW).await
}

/// M35.
#[tokio::test]
async fn accepts_the_token_on_a_connection_with_its_certificate() {
    assert_eq!(asked("/api/transactions", Some(Member::Example)).await, Ok(()));
}

/// M36, M44, W12: a remembered token is checked against every connection.
#[tokio::test]
async fn refuses_the_token_on_a_connection_with_another_certificate() {
    assert_eq!(
        asked("/api", Some(Member::Other)).await,
        Err("certificate_mismatch")
    );
    assert_eq!(
        asked("/if-bound", Some(Member::Other)).await,
        Err("certificate_mismatch")
    );
    assert_eq!(asked("/off", Some(Member::Other)).await, Ok(()));
}

/// M37, W13.
#[tokio::test]
async fn refuses_the_token_on_a_connection_without_certificate() {
    assert_eq!(asked("/api", None).await, Err("certificate_missing"));
    assert_eq!(asked("/if-bound", None).await, Err("certificate_missing"));
    assert_eq!(asked("/off", None).await, Ok(()));
}

/// M38, W14.
#[tokio::test]
async fn refuses_an_unbound_token_where_binding_is_required() {
    let unbound = AccessTokenClaims {
        cnf: None,
        ..claims()
    };
    let member = Some(Member::Example);
    assert_eq!(
        outcome(&unbound, "/api", member, *NOW).await,
        Err("token_not_bound")
    );
    assert_eq!(outcome(&unbound, "/if-bound", member, *NOW).await, Ok(()));
    assert_eq!(outcome(&unbound, "/if-bound", None, *NOW).await, Ok(()));
}

/// M40, W10.
#[tokio::test]
async fn refuses_a_thumbprint_in_hexadecimal_digits_unless_it_is_accepted() {
    let thumbprint = *ClientCertificate::from_der(der_of(Member::Example))
        .unwrap()
        .thumbprint();
    let cnf = serde_json::json!({ "x5t#S256": thumbprint.to_hex() });
    let claims = AccessTokenClaims {
        cnf: serde_json::from_value(cnf).unwrap(),
        ..claims()
    };
    for (hex_thumbprints, member, expected) in [
        (HexThumbprints::Refused, Member::Example, Err("thumbprint_in_hex")),
        (HexThumbprints::Accepted, Member::Example, Ok(())),
        (
            HexThumbprints::Accepted,
            Member::Other,
            Err("certificate_mismatch"),
        ),
    ] {
        let authorizer = Authorizer {
            hex_thumbprints,
            ..authorizer(&claims).await
        };
        let request = request(Method::GET, "/api", &["Bearer opaque"]);
        let outcome = authorize(&authorizer, request, Some(member), *NOW).await;
        assert_eq!(outcome.map_err(|rejection| rejection.reason()), expected);
    }
}

/// I12: what is remembered is not believed past its time.
#[tokio::test]
async fn refuses_a_remembered_token_once_it_has_expired() {
    let expiry = NOW.plus(LIFETIME);
    let member = Some(Member::Example);
    assert_eq!(
        outcome(&claims(), "/api", member, expiry.minus(Duration::from_secs(1))).await,
        Ok(())
    );
    let past_leeway = expiry.plus(oauth_core::jwt::CLOCK_LEEWAY);
    assert_eq!(
        outcome(&claims(), "/api", member, past_leeway).await,
        Err("token_expired")
    );
}

/// T21.
#[tokio::test]
async fn refuses_a_certificate_that_expired_on_an_open_connection() {
    let not_after = ClientCertificate::from_der(der_of(Member::Example))
        .unwrap()
        .not_after();
    let second = Duration::from_secs(1);
    let long_lived = AccessTokenClaims {
        exp: not_after.plus(LIFETIME),
        ..claims()
    };
    let member = Some(Member::Example);
    assert_eq!(outcome(&long_lived, "/api", member, not_after).await, Ok(()));
    assert_eq!(
        outcome(&long_lived, "/api", member, not_after.plus(second)).await,
        Err("certificate_expired")
    );
}

/// A8, X2: one trusted issuer makes no tokens for an API that names another.
#[tokio::test]
async fn takes_tokens_of_the_routes_issuers_alone() {
    let member = Some(Member::Example);
    assert_eq!(asked("/its-issuer", member).await, Ok(()));
    assert_eq!(asked("/another-issuer", member).await, Err("issuer_mismatch"));
}

/// X2.
#[tokio::test]
async fn refuses_a_token_for_another_audience() {
    assert_eq!(
        asked("/other", Some(Member::Example)).await,
        Err("audience_mismatch")
    );
    let both = AccessTokenClaims {
        aud: vec!["other".to_owned(), "x".to_owned()],
        ..claims()
    };
    assert_eq!(
        outcome(&both, "/other", Some(Member::Example), *NOW).await,
        Ok(())
    );
}

/// B6.
#[tokio::test]
async fn refuses_a_token_without_all_of_the_scope() {
    assert_eq!(
        asked("/admin", Some(Member::Example)).await,
        Err("scope_insufficient")
    );
    let admin = AccessTokenClaims {
        scope: "admin transactions x".parse().unwrap(),
        ..claims()
    };
    assert_eq!(
        outcome(&admin, "/admin", Some(Member::Example), *NOW).await,
        Ok(())
    );
}

#[tokio::test]
async fn tells_authenticated_callers_alone_that_there_is_no_route() {
    assert_eq!(
        asked("/nowhere", Some(Member::Example)).await,
        Err("route_unknown")
    );
    assert_eq!(
        asked("/nowhere", Some(Member::Other)).await,
        Err("certificate_mismatch")
    );
    assert_eq!(asked("/nowhere", None).await, Err("certificate_missing"));
}

/// N1: no spelling of a nested route's path is served under the rules of the route around it.
#[tokio::test]
async fn refuses_a_path_that_could_be_another_routes() {
    let member = Some(Member::Example);
    assert_eq!(asked("/api/admin", member).await, Err("scope_insufficient"));
    for path in ["/api/admin;x", "/api/Admin/users", "/api/admin%20", "/API"] {
        assert_eq!(asked(path, member).await, Err("path_ambiguous"), "{path}");
    }
    assert_eq!(asked("/api/transactions;v=1", member).await, Ok(()));
    // Whoever cannot call learns no paths either.
    assert_eq!(
        asked("/API", Some(Member::Other)).await,
        Err("certificate_mismatch")
    );
}

#[tokio::test]
async fn refuses_a_method_that_the_route_does_not_allow() {
    let authorizer = authorizer(&claims()).await;
    let member = Some(Member::Example);
    let deleted = request(Method::DELETE, "/api", &["Bearer opaque"]);
    let rejection = authorize(&authorizer, deleted, member, *NOW).await.unwrap_err();
    assert!(matches!(rejection, Rejection::MethodNotAllowed(_)));
    let read = request(Method::GET, "/api", &["bearer opaque"]);
    assert!(authorize(&authorizer, read, member, *NOW).await.is_ok());
}

/// B1, B4, P12.
#[tokio::test]
async fn refuses_no_token_two_and_malformed_ones() {
    let authorizer = authorizer(&claims()).await;
    for (authorization, reason) in [
        (&[][..], "token_missing"),
        (&["Basic b3BhcXVl"], "token_missing"),
        (&["Bearer opaque", "Bearer opaque"], "token_malformed"),
        (&["Bearer opa que"], "token_malformed"),
        (&["Bearer"], "token_malformed"),
    ] {
        let request = request(Method::GET, "/api", authorization);
        let rejection = authorize(&authorizer, request, Some(Member::Example), *NOW)
            .await
            .unwrap_err();
        assert_eq!(rejection.reason(), reason, "{authorization:?}");
    }
}

/// P10, Users 40: each route takes the kinds it names, and nobody is asked about any other; that nobody can be asked is
/// not the caller's fault.
#[tokio::test]
async fn a_route_takes_the_kinds_of_token_it_names() {
    let authorizer = authorizer(&claims()).await;
    let jwt = claims().sign(&SIGNING_KEY).unwrap();
    for (path, token, outcome) in [
        ("/api", TOKEN, Ok(())),
        ("/both", TOKEN, Ok(())),
        ("/jwt", TOKEN, Err("token_kind_refused")),
        ("/jwt", &jwt, Err("keys_unavailable")),
        ("/both", &jwt, Err("keys_unavailable")),
        ("/api", &jwt, Err("token_kind_refused")),
        ("/jwt", "unknown", Err("token_kind_refused")),
        ("/api", "unknown", Err("introspection_unavailable")),
    ] {
        let authorization = format!("Bearer {token}");
        let request = request(Method::GET, path, &[&authorization]);
        let authorized = authorize(&authorizer, request, Some(Member::Example), *NOW).await;
        assert_eq!(
            authorized.map_err(|rejection| rejection.reason()),
            outcome,
            "{path} {token}"
        );
    }
}

/// B5: what is no token is not looked up, where it would be nobody's fault but the caller's that it cannot be.
#[tokio::test]
async fn refuses_a_token_longer_than_any_is() {
    let authorizer = authorizer(&claims()).await;
    let opaque = |length| "a".repeat(length);
    let jwt = |length: usize| format!("eyJhbGciOiJub25lIn0.{}.", "a".repeat(length - 21));
    for (path, token, reason) in [
        ("/api", opaque(4096), "introspection_unavailable"),
        ("/api", opaque(4097), "token_too_long"),
        ("/jwt", jwt(16 * 1024), "jwt_claims_malformed"),
        ("/jwt", jwt(16 * 1024 + 1), "token_too_long"),
    ] {
        let authorization = format!("Bearer {token}");
        let request = request(Method::GET, path, &[&authorization]);
        let rejection = authorize(&authorizer, request, Some(Member::Example), *NOW)
            .await
            .unwrap_err();
        assert_eq!(rejection.reason(), reason, "{path} {}", token.len());
    }
}

/// P10: 401 is for the caller's own fault.
#[test]
fn only_a_refused_token_is_the_callers_fault() {
    use oauth_core::jwt::VerificationError;
    use oauth_core::token_facts::MalformedAnswer;
    let errors = [
        TokenError::Unreachable(String::new()),
        TokenError::IntrospectionBusy,
        TokenError::VerificationBusy,
        TokenError::KeysUnavailable(String::new()),
        TokenError::Interrupted,
        TokenError::Timeout,
        TokenError::Status(http::StatusCode::UNAUTHORIZED),
        TokenError::ContentType("application/jwt"),
        TokenError::TooLarge { size: 2, limit: 1 },
        TokenError::NotText,
        TokenError::Verification(VerificationError::Signature),
        TokenError::Malformed(MalformedAnswer),
        TokenError::OtherIssuer,
        TokenError::NoAudience,
        TokenError::Assertion(oauth_core::jwt::SigningError::Signing),
    ];
    let host = HostName::parse("api.example.com").unwrap();
    let status = |error: &TokenError| {
        rejection_of(error)
            .respond(
                &host,
                None,
                &service::request_id::RequestId::new(SystemTime::now()),
            )
            .status()
            .as_u16()
    };
    assert_eq!(
        errors.each_ref().map(status),
        [
            503, 503, 503, 503, 503, 504, 502, 502, 502, 502, 502, 502, 502, 502, 502
        ]
    );
    for refusal in [
        TokenRefusal::Inactive,
        TokenRefusal::BoundOtherwise,
        TokenRefusal::Kind,
        TokenRefusal::Jwt(VerificationError::UnknownKey),
        TokenRefusal::Jwt(VerificationError::OtherAudience),
        TokenRefusal::Jwt(VerificationError::NotYetValid),
    ] {
        assert_eq!(status(&refusal.into()), 401);
    }
}
