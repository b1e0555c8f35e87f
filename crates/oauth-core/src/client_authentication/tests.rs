use rcgen::{CertificateParams, DnType, KeyPair};

use super::*;
use crate::client::ClientMetadata;

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

fn certificate(common_name: &str) -> ClientCertificate {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let signed = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    ClientCertificate::from_der(signed.der()).unwrap()
}

fn registry() -> ClientRegistry {
    let partner = ClientMetadata {
        client_id: "partner-client".to_owned(),
        token_endpoint_auth_method: "tls_client_auth".to_owned(),
        tls_client_auth_subject_dn: Some("CN=demo-partner".to_owned()),
        ..ClientMetadata::default()
    };
    let introspector = ClientMetadata {
        client_id: "a:b".to_owned(),
        token_endpoint_auth_method: "client_secret_basic".to_owned(),
        client_secret_hash: Some(ClientSecretDigest::of("pä ss+&").to_string()),
        ..ClientMetadata::default()
    };
    let mut registry = ClientRegistry::default();
    for metadata in [partner, introspector] {
        registry
            .register(ClientRegistration::try_from(metadata).unwrap())
            .unwrap();
    }
    registry
}

fn decide(
    authorization: Option<&str>,
    body: &str,
    certificate: Option<&ClientCertificate>,
) -> Result<String, AuthenticationError> {
    let form = FormParameters::parse(FORM, body.as_bytes()).unwrap();
    let registry = registry();
    let credentials = ClientCredentials::from_request(authorization, &form, certificate)?;
    authenticate(&credentials, &registry).map(|client| client.client_id.clone())
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

/// M2.
#[test]
fn accepts_the_registered_certificate_with_its_client_id() {
    let certificate = certificate("demo-partner");
    assert_eq!(
        decide(None, "client_id=partner-client", Some(&certificate)).unwrap(),
        "partner-client"
    );
}

/// M1, M3, M4, M5, M22.
#[test]
fn refuses_every_other_combination_of_certificate_and_client_id() {
    let (mine, other) = (certificate("demo-partner"), certificate("other-partner"));
    for (body, certificate, error) in [
        ("scope=x", Some(&mine), AuthenticationError::NoClientId),
        (
            "client_id=partner-client",
            Some(&other),
            AuthenticationError::OtherSubject,
        ),
        (
            "client_id=partner-client",
            None,
            AuthenticationError::NoCertificate,
        ),
        (
            "client_id=unheard-of",
            Some(&mine),
            AuthenticationError::UnknownClient,
        ),
        ("client_id=a%3Ab", Some(&mine), AuthenticationError::OtherMethod),
        (
            "client_id=partner-client&client_secret=x",
            Some(&mine),
            AuthenticationError::TwoMethods,
        ),
        (
            "client_id=partner-client&client_secret=x",
            None,
            AuthenticationError::OtherMethod,
        ),
        (
            "client_id=partner-client&client_secret=x&client_assertion=y",
            Some(&mine),
            AuthenticationError::TwoMethods,
        ),
    ] {
        assert_eq!(decide(None, body, certificate), Err(error), "{body}");
    }
}

/// M3, M4, M5: no answer tells an attacker which of them it was.
#[test]
fn gives_all_failed_proofs_the_same_answer() {
    let answers = [
        AuthenticationError::UnknownClient,
        AuthenticationError::NoCertificate,
        AuthenticationError::OtherSubject,
        AuthenticationError::OtherMethod,
        AuthenticationError::WrongSecret,
        AuthenticationError::NotBasic,
    ]
    .map(AuthenticationError::oauth_error);
    assert!(
        answers
            .iter()
            .all(|answer| *answer == answers[0] && answer.code == ErrorCode::InvalidClient)
    );
}

/// O8.
#[test]
fn accepts_basic_credentials_that_were_form_encoded() {
    for encoded in ["a%3Ab:p%C3%A4+ss%2B%26", "a%3ab:p%c3%a4%20ss%2b%26"] {
        assert_eq!(decide(Some(&basic(encoded)), "", None).unwrap(), "a:b");
        assert_eq!(
            decide(Some(&basic(encoded)), "client_id=a%3Ab", None).unwrap(),
            "a:b"
        );
    }
}

/// O7, O8, O9, I4.
#[test]
fn refuses_wrong_malformed_and_doubled_basic_credentials() {
    let right = basic("a%3Ab:p%C3%A4+ss%2B%26");
    for (authorization, body, error) in [
        (basic("a%3Ab:wrong"), "", AuthenticationError::WrongSecret),
        (basic("partner-client:x"), "", AuthenticationError::OtherMethod),
        (basic("unheard-of:x"), "", AuthenticationError::UnknownClient),
        (basic("no-colon"), "", AuthenticationError::MalformedBasic),
        (basic("a:b&c"), "", AuthenticationError::MalformedBasic),
        (basic("a:%FF"), "", AuthenticationError::MalformedBasic),
        ("Basic !!!".to_owned(), "", AuthenticationError::MalformedBasic),
        ("Basic".to_owned(), "", AuthenticationError::NotBasic),
        ("Bearer token".to_owned(), "", AuthenticationError::NotBasic),
        (
            right.clone(),
            "client_id=other",
            AuthenticationError::TwoClientIds,
        ),
        (right.clone(), "client_secret=x", AuthenticationError::TwoMethods),
        (right, "client_assertion=x", AuthenticationError::TwoMethods),
    ] {
        assert_eq!(
            decide(Some(&authorization), body, None),
            Err(error),
            "{authorization} {body}"
        );
    }
}

/// X7.
#[test]
fn shows_no_secret_when_debugged() {
    let form = FormParameters::parse(FORM, b"").unwrap();
    let authorization = basic("a%3Ab:hunter2");
    let credentials = ClientCredentials::from_request(Some(&authorization), &form, None).unwrap();
    assert!(!format!("{credentials:?}").contains("hunter2"));
}
