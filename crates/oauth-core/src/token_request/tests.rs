use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;
use crate::client::{ClientMetadata, ClientRegistration};

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const ISSUANCE: Issuance = Issuance {
    id: Uuid::from_u128(1),
    lifetime: Duration::from_secs(900),
    now: NOW,
};

fn parse(body: &str) -> Result<TokenRequest, OAuthError> {
    TokenRequest::parse(&FormParameters::parse(FORM, body.as_bytes()).unwrap())
}

fn client(metadata: ClientMetadata) -> ClientRegistration {
    ClientRegistration::try_from(ClientMetadata {
        client_id: "partner-client".to_owned(),
        token_endpoint_auth_method: "tls_client_auth".to_owned(),
        tls_client_auth_subject_dn: Some("CN=demo-partner".to_owned()),
        ..metadata
    })
    .unwrap()
}

fn with_grant() -> ClientMetadata {
    ClientMetadata {
        grant_types: vec!["client_credentials".to_owned()],
        scope: "transactions accounts".to_owned(),
        audience: Some("api.example.com".to_owned()),
        ..ClientMetadata::default()
    }
}

fn partner() -> ClientRegistration {
    client(with_grant())
}

fn certificate_until(year: i32) -> ClientCertificate {
    let mut params = CertificateParams::default();
    params.not_after = date_time_ymd(year, 1, 1);
    let signed = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    ClientCertificate::from_der(signed.der()).unwrap()
}

fn issue(
    body: &str,
    client: &ClientRegistration,
    certificate: Option<&ClientCertificate>,
) -> Result<TokenRecord, OAuthError> {
    grant(parse(body)?, client, certificate, [7; SECRET_LENGTH], ISSUANCE).map(|grant| grant.record)
}

/// M30, O15, X1, F5.
#[test]
fn grants_a_token_bound_to_the_certificate_with_the_registered_scope() {
    let certificate = certificate_until(4000);
    let record = issue("grant_type=client_credentials", &partner(), Some(&certificate)).unwrap();
    assert_eq!(record.confirmation, Some(Confirmation::of(&certificate)));
    assert_eq!(record.scope.to_string(), "accounts transactions");
    assert_eq!(
        (record.audience.as_str(), record.client_id.as_str()),
        ("api.example.com", "partner-client")
    );
    assert_eq!(record.expires_at, NOW.plus(Duration::from_secs(900)));
}

#[test]
fn grants_the_scope_asked_for_where_the_client_may_have_it() {
    let certificate = certificate_until(4000);
    let record = issue(
        "grant_type=client_credentials&scope=accounts",
        &partner(),
        Some(&certificate),
    )
    .unwrap();
    assert_eq!(record.scope.to_string(), "accounts");
}

/// O10, O16, X4, F3.
#[test]
fn refuses_requests_that_break_the_grammar() {
    for (body, code) in [
        ("scope=accounts", ErrorCode::InvalidRequest),
        ("grant_type=", ErrorCode::InvalidRequest),
        ("grant_type=password", ErrorCode::UnsupportedGrantType),
        ("grant_type=authorization_code", ErrorCode::UnsupportedGrantType),
        (
            "grant_type=client_credentials&scope=a%22b",
            ErrorCode::InvalidScope,
        ),
    ] {
        assert_eq!(parse(body).unwrap_err().code, code, "{body}");
    }
}

/// O16.
#[test]
fn refuses_more_scope_than_is_registered() {
    let certificate = certificate_until(4000);
    let error = issue(
        "grant_type=client_credentials&scope=accounts+admin",
        &partner(),
        Some(&certificate),
    )
    .unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidScope);
}

/// J11, O10.
#[test]
fn refuses_a_client_without_the_grant() {
    let introspector = client(ClientMetadata::default());
    let error = issue(
        "grant_type=client_credentials",
        &introspector,
        Some(&certificate_until(4000)),
    )
    .unwrap_err();
    assert_eq!(error.code, ErrorCode::UnauthorizedClient);
}

/// M32.
#[test]
fn refuses_a_bound_client_without_certificate_and_never_falls_back_to_an_unbound_token() {
    let error = issue("grant_type=client_credentials", &partner(), None).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    let unbound = client(ClientMetadata {
        tls_client_certificate_bound_access_tokens: Some(false),
        ..with_grant()
    });
    assert_eq!(
        issue("grant_type=client_credentials", &unbound, None)
            .unwrap()
            .confirmation,
        None
    );
}

/// M46.
#[test]
fn ends_the_token_with_the_certificate() {
    let short = certificate_until(2000);
    let record = issue("grant_type=client_credentials", &partner(), Some(&short)).unwrap();
    assert_eq!(record.expires_at, short.not_after());
}
