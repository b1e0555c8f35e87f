use std::time::Duration;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use super::*;
use crate::{
    client::ClientMetadata,
    jwt::{ClientAssertionClaims, SignatureAlgorithm, SigningKey},
};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const ISSUER: &str = "https://login.example.com";

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

fn certificate(common_name: &str) -> ClientCertificate {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "root");
    let authority = Issuer::new(authority, KeyPair::generate().unwrap());
    let signed = params
        .signed_by(&KeyPair::generate().unwrap(), &authority)
        .unwrap();
    ClientCertificate::from_der(signed.der()).unwrap()
}

/// A self-signed certificate of that name, and the JWKS that registers it.
fn self_signed(common_name: &str) -> (ClientCertificate, Value) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let (x, y) = key.der_bytes()[1..].split_at(32);
    let [x, y] = [x, y].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    let x5c = [STANDARD.encode(certificate.der())];
    (
        ClientCertificate::from_der(certificate.der()).unwrap(),
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": x, "y": y, "x5c": x5c }] }),
    )
}

fn registered(metadata: Vec<ClientMetadata>) -> ClientRegistry {
    let mut registry = ClientRegistry::default();
    for metadata in metadata {
        registry
            .register(ClientRegistration::try_from(metadata).unwrap())
            .unwrap();
    }
    registry
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
    registered(vec![partner, introspector])
}

fn decide(
    authorization: Option<&str>,
    body: &str,
    certificate: Option<&ClientCertificate>,
) -> Result<String, AuthenticationError> {
    let form = FormParameters::parse(FORM, body.as_bytes()).unwrap();
    let registry = registry();
    let credentials = ClientCredentials::from_request(authorization, &form, certificate)?;
    let authentication = authenticate(&credentials, &registry, ISSUER, NOW)?;
    assert_eq!(authentication.outstanding, Outstanding::Nothing);
    Ok(authentication.client.client_id.clone())
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
            "client_id=unheard-of&client_secret=x",
            Some(&mine),
            AuthenticationError::TwoMethods,
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
        AuthenticationError::SelfSigned,
        AuthenticationError::OtherCertificate,
        AuthenticationError::OtherAnchor,
        AuthenticationError::Assertion(AssertionError::Replayed),
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

/// M16, M17.
#[test]
fn accepts_the_registered_self_signed_certificate_and_no_other() {
    let (mine, jwks) = self_signed("demo-partner");
    let registry = registered(vec![ClientMetadata {
        client_id: "self-signed".to_owned(),
        token_endpoint_auth_method: "self_signed_tls_client_auth".to_owned(),
        jwks: Some(jwks.into()),
        ..ClientMetadata::default()
    }]);
    let decide = |body: &str, certificate| {
        let form = FormParameters::parse(FORM, body.as_bytes()).unwrap();
        let credentials = ClientCredentials::from_request(None, &form, certificate)?;
        authenticate(&credentials, &registry, ISSUER, NOW).map(|authentication| authentication.outstanding)
    };
    assert_eq!(
        decide("client_id=self-signed", Some(&mine)),
        Ok(Outstanding::Nothing)
    );
    let (twin, _) = self_signed("demo-partner");
    for (body, certificate, error) in [
        (
            "client_id=self-signed",
            Some(&twin),
            AuthenticationError::OtherCertificate,
        ),
        ("client_id=self-signed", None, AuthenticationError::NoCertificate),
        (
            "client_id=self-signed&client_secret=x",
            Some(&mine),
            AuthenticationError::TwoMethods,
        ),
        (
            "client_id=self-signed&client_secret=x",
            None,
            AuthenticationError::OtherMethod,
        ),
    ] {
        assert_eq!(decide(body, certificate), Err(error), "{body}");
    }
}

/// T17, T18: that the handshake let a self-signed certificate in says nothing about the names in it.
#[test]
fn refuses_a_self_signed_certificate_where_an_authority_is_to_vouch_for_the_name() {
    let (pretender, _) = self_signed("demo-partner");
    assert_eq!(
        decide(None, "client_id=partner-client", Some(&pretender)),
        Err(AuthenticationError::SelfSigned)
    );
}

/// M14.
#[test]
fn leaves_the_anchor_to_be_proven_where_a_client_has_its_own() {
    let registry = registered(vec![ClientMetadata {
        client_id: "pinned".to_owned(),
        token_endpoint_auth_method: "tls_client_auth".to_owned(),
        tls_client_auth_subject_dn: Some("CN=demo-partner".to_owned()),
        trust: vec!["root.pem".into()],
        ..ClientMetadata::default()
    }]);
    let form = FormParameters::parse(FORM, b"client_id=pinned").unwrap();
    let outstanding = |certificate: &ClientCertificate| {
        let credentials = ClientCredentials::from_request(None, &form, Some(certificate)).unwrap();
        authenticate(&credentials, &registry, ISSUER, NOW).map(|authentication| authentication.outstanding)
    };
    assert_eq!(
        outstanding(&certificate("demo-partner")),
        Ok(Outstanding::ClientsAnchor)
    );
    assert_eq!(
        outstanding(&certificate("other-partner")),
        Err(AuthenticationError::OtherSubject)
    );
}

/// A client that authenticates by assertion.
struct Asserting {
    key: SigningKey,
    registry: ClientRegistry,
}

impl Asserting {
    fn new() -> Self {
        let pem = KeyPair::generate().unwrap().serialize_pem();
        let key = SigningKey::from_pkcs8_pem(pem.as_bytes(), SignatureAlgorithm::ES256).unwrap();
        let tls_client = ClientMetadata {
            client_id: "partner-client".to_owned(),
            token_endpoint_auth_method: "tls_client_auth".to_owned(),
            tls_client_auth_subject_dn: Some("CN=demo-partner".to_owned()),
            ..ClientMetadata::default()
        };
        let asserting = ClientMetadata {
            client_id: "asserting".to_owned(),
            token_endpoint_auth_method: "private_key_jwt".to_owned(),
            jwks: Some(json!({ "keys": [key.public_jwk().unwrap()] }).into()),
            ..ClientMetadata::default()
        };
        Self {
            key,
            registry: registered(vec![tls_client, asserting]),
        }
    }

    fn assertion(&self, client_id: &str) -> String {
        let claims = ClientAssertionClaims {
            iss: client_id.to_owned(),
            sub: client_id.to_owned(),
            aud: ISSUER.to_owned(),
            exp: NOW.plus(Duration::from_secs(60)),
            iat: Some(NOW),
            nbf: None,
            jti: "1".to_owned(),
        };
        claims.sign(&self.key).unwrap()
    }

    fn decide(
        &self,
        authorization: Option<&str>,
        body: &str,
        certificate: Option<&ClientCertificate>,
    ) -> Result<Outstanding, AuthenticationError> {
        let form = FormParameters::parse(FORM, body.as_bytes()).unwrap();
        let credentials = ClientCredentials::from_request(authorization, &form, certificate)?;
        authenticate(&credentials, &self.registry, ISSUER, NOW)
            .map(|authentication| authentication.outstanding)
    }
}

const TYPED: &str = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// K1, K3, K9, M22: with and without `client_id`, with and without a certificate.
#[test]
fn accepts_an_assertion_once() {
    let client = Asserting::new();
    let assertion = client.assertion("asserting");
    for (body, certificate) in [
        (format!("{TYPED}&client_assertion={assertion}"), None),
        (
            format!("{TYPED}&client_assertion={assertion}&client_id=asserting"),
            Some(certificate("demo-partner")),
        ),
    ] {
        let outstanding = client.decide(None, &body, certificate.as_ref()).unwrap();
        assert!(matches!(outstanding, Outstanding::FirstUse(_)), "{outstanding:?}");
    }
}

/// K2, K3, K6, O7, O11, M22.
#[test]
fn refuses_assertions_that_are_incomplete_foreign_or_not_alone() {
    let client = Asserting::new();
    let (mine, foreign) = (client.assertion("asserting"), client.assertion("partner-client"));
    let unknown = client.assertion("unheard-of");
    let certificate = certificate("demo-partner");
    for (body, certificate, error) in [
        (
            format!("client_assertion={mine}"),
            None,
            AuthenticationError::AssertionType,
        ),
        (
            format!(
                "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:saml2-bearer&client_assertion={mine}"
            ),
            None,
            AuthenticationError::AssertionType,
        ),
        (TYPED.to_owned(), None, AuthenticationError::AssertionType),
        (
            format!("{TYPED}&client_assertion=x"),
            None,
            AssertionError::Malformed.into(),
        ),
        (
            format!("{TYPED}&client_assertion={mine}&client_id=partner-client"),
            None,
            AssertionError::OtherClient.into(),
        ),
        (
            format!("{TYPED}&client_assertion={unknown}"),
            None,
            AuthenticationError::UnknownClient,
        ),
        (
            format!("{TYPED}&client_assertion={foreign}"),
            None,
            AuthenticationError::OtherMethod,
        ),
        (
            format!("{TYPED}&client_assertion={foreign}"),
            Some(&certificate),
            AuthenticationError::OtherMethod,
        ),
        (
            format!("{TYPED}&client_assertion={mine}&client_secret=x"),
            None,
            AuthenticationError::TwoMethods,
        ),
        (
            "client_id=asserting".to_owned(),
            Some(&certificate),
            AuthenticationError::OtherMethod,
        ),
    ] {
        assert_eq!(client.decide(None, &body, certificate), Err(error), "{body}");
    }
    let body = format!("{TYPED}&client_assertion={mine}");
    assert_eq!(
        client.decide(Some(&basic("asserting:x")), &body, None),
        Err(AuthenticationError::TwoMethods)
    );
    assert_eq!(
        AuthenticationError::AssertionType.oauth_error().code,
        ErrorCode::InvalidRequest
    );
}
