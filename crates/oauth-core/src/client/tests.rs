use rcgen::{CertificateParams, DnType, KeyPair, SanType, string::Ia5String};

use super::*;
use crate::{distinguished_name::DistinguishedNameError, scope::MalformedScope};

fn certificate(common_name: &str, names: Vec<SanType>) -> ClientCertificate {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.subject_alt_names = names;
    let signed = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    ClientCertificate::from_der(signed.der()).unwrap()
}

fn ia5(text: &str) -> Ia5String {
    Ia5String::try_from(text).unwrap()
}

fn metadata() -> ClientMetadata {
    ClientMetadata {
        client_id: "partner-client".to_owned(),
        token_endpoint_auth_method: "tls_client_auth".to_owned(),
        scope: "transactions".to_owned(),
        grant_types: vec!["client_credentials".to_owned()],
        audience: Some("api.example.com".to_owned()),
        ..ClientMetadata::default()
    }
}

fn registered(metadata: ClientMetadata) -> CertificateSubject {
    match ClientRegistration::try_from(metadata).unwrap().authentication {
        ClientAuthenticationMethod::TlsClientAuth(subject, CertificateAnchors::Servers) => subject,
        other => panic!("registered for {other:?}"),
    }
}

/// M7.
#[test]
fn matches_the_registered_subject_and_no_other() {
    let subject = registered(ClientMetadata {
        tls_client_auth_subject_dn: Some("cn=Demo-Partner".to_owned()),
        ..metadata()
    });
    assert!(subject.matches(&certificate("demo-partner", Vec::new())));
    assert!(!subject.matches(&certificate("other-partner", Vec::new())));
}

/// M8, M12, M13.
#[test]
fn matches_a_dns_name_only_among_dns_names() {
    let subject = registered(ClientMetadata {
        tls_client_auth_san_dns: Some("api.example.com".to_owned()),
        ..metadata()
    });
    assert!(subject.matches(&certificate("x", vec![SanType::DnsName(ia5("API.Example.com"))])));
    for other in [
        certificate("api.example.com", Vec::new()),
        certificate("x", vec![SanType::URI(ia5("api.example.com"))]),
        certificate("x", vec![SanType::Rfc822Name(ia5("api.example.com"))]),
        certificate("x", vec![SanType::DnsName(ia5("*.example.com"))]),
        certificate("x", vec![SanType::DnsName(ia5("api.example.com\0.evil"))]),
    ] {
        assert!(!subject.matches(&other));
    }
}

/// M9.
#[test]
fn matches_a_uri_letter_by_letter() {
    let subject = registered(ClientMetadata {
        tls_client_auth_san_uri: Some("https://a.example/x".to_owned()),
        ..metadata()
    });
    assert!(subject.matches(&certificate("x", vec![SanType::URI(ia5("https://a.example/x"))])));
    assert!(!subject.matches(&certificate("x", vec![SanType::URI(ia5("https://a.example/X"))])));
}

/// M10.
#[test]
fn matches_an_ip_address_in_binary() {
    let subject = registered(ClientMetadata {
        tls_client_auth_san_ip: Some("2001:DB8:0:0:0:0:0:1".to_owned()),
        ..metadata()
    });
    assert!(subject.matches(&certificate(
        "x",
        vec![SanType::IpAddress("2001:db8::1".parse().unwrap())]
    )));
    let mapped = registered(ClientMetadata {
        tls_client_auth_san_ip: Some("::ffff:10.0.0.1".to_owned()),
        ..metadata()
    });
    assert!(!mapped.matches(&certificate(
        "x",
        vec![SanType::IpAddress("10.0.0.1".parse().unwrap())]
    )));
}

/// M11.
#[test]
fn matches_an_email_address_with_the_case_of_its_local_part() {
    let subject = registered(ClientMetadata {
        tls_client_auth_san_email: Some("Jo@example.com".to_owned()),
        ..metadata()
    });
    assert!(subject.matches(&certificate(
        "x",
        vec![SanType::Rfc822Name(ia5("Jo@EXAMPLE.com"))]
    )));
    assert!(!subject.matches(&certificate(
        "x",
        vec![SanType::Rfc822Name(ia5("jo@example.com"))]
    )));
}

/// M6.
#[test]
fn demands_exactly_one_subject() {
    let two = ClientMetadata {
        tls_client_auth_subject_dn: Some("CN=a".to_owned()),
        tls_client_auth_san_dns: Some("a".to_owned()),
        ..metadata()
    };
    for wrong in [metadata(), two] {
        assert_eq!(
            ClientRegistration::try_from(wrong).unwrap_err(),
            RegistrationError::ExactlyOneSubject
        );
    }
}

/// O11, F4: no client without a credential, among others.
#[test]
fn refuses_registrations_that_are_half_right() {
    let right = || ClientMetadata {
        tls_client_auth_subject_dn: Some("CN=demo-partner".to_owned()),
        ..metadata()
    };
    assert!(ClientRegistration::try_from(right()).is_ok());
    let secret = |hash: Option<&str>| ClientMetadata {
        token_endpoint_auth_method: "client_secret_basic".to_owned(),
        client_secret_hash: hash.map(str::to_owned),
        ..metadata()
    };
    let digest = ClientSecretDigest::of("Password1").to_string();
    assert!(ClientRegistration::try_from(secret(Some(&digest))).is_ok());
    for (wrong, error) in [
        (
            ClientMetadata {
                client_id: String::new(),
                ..right()
            },
            RegistrationError::ClientId,
        ),
        (
            ClientMetadata {
                client_id: "a\nb".to_owned(),
                ..right()
            },
            RegistrationError::ClientId,
        ),
        (
            ClientMetadata {
                token_endpoint_auth_method: "none".to_owned(),
                ..right()
            },
            RegistrationError::AuthenticationMethod,
        ),
        (
            ClientMetadata {
                audience: None,
                ..right()
            },
            RegistrationError::Audience,
        ),
        (
            ClientMetadata {
                grant_types: vec!["password".to_owned()],
                ..right()
            },
            RegistrationError::GrantTypes,
        ),
        (
            ClientMetadata {
                scope: "a  b".to_owned(),
                ..right()
            },
            RegistrationError::Scope(MalformedScope),
        ),
        (
            ClientMetadata {
                client_secret_hash: Some(digest.clone()),
                ..right()
            },
            RegistrationError::SecretNotUsed,
        ),
        (
            ClientMetadata {
                tls_client_auth_subject_dn: None,
                tls_client_auth_san_ip: Some("x".to_owned()),
                ..right()
            },
            RegistrationError::IpAddress,
        ),
        (
            ClientMetadata {
                tls_client_auth_subject_dn: Some("/CN=a".to_owned()),
                ..right()
            },
            RegistrationError::SubjectDistinguishedName(DistinguishedNameError::OpensslFormat),
        ),
        (
            ClientMetadata {
                jwks: Some(ClientJwks::default()),
                ..right()
            },
            RegistrationError::JwksNotUsed,
        ),
        (
            ClientMetadata {
                jwks_uri: Some("https://partner.example/jwks".to_owned()),
                ..right()
            },
            RegistrationError::JwksNotUsed,
        ),
        (
            ClientMetadata {
                trust: vec!["root.pem".into()],
                ..secret(Some(&digest))
            },
            RegistrationError::TrustNotUsed,
        ),
        (
            ClientMetadata {
                token_endpoint_auth_method: "private_key_jwt".to_owned(),
                ..metadata()
            },
            RegistrationError::NoJwks,
        ),
        (
            ClientMetadata {
                token_endpoint_auth_method: "self_signed_tls_client_auth".to_owned(),
                ..metadata()
            },
            RegistrationError::NoJwks,
        ),
        (
            ClientMetadata {
                token_endpoint_auth_method: "private_key_jwt".to_owned(),
                ..right()
            },
            RegistrationError::SubjectNotUsed,
        ),
        (secret(None), RegistrationError::SecretHash),
        (secret(Some("Password1")), RegistrationError::SecretHash),
        (
            ClientMetadata {
                tls_client_auth_san_dns: Some("a".to_owned()),
                ..secret(Some(&digest))
            },
            RegistrationError::SubjectNotUsed,
        ),
    ] {
        assert_eq!(ClientRegistration::try_from(wrong).unwrap_err(), error);
    }
}

#[test]
fn finds_enabled_clients_alone_and_refuses_a_second_of_the_same_name() {
    let registration = |disabled| {
        let subject = Some("CN=demo-partner".to_owned());
        ClientRegistration::try_from(ClientMetadata {
            tls_client_auth_subject_dn: subject,
            disabled,
            ..metadata()
        })
        .unwrap()
    };
    let mut registry = ClientRegistry::default();
    registry.register(registration(false)).unwrap();
    assert!(registry.find("partner-client").is_some());
    assert!(registry.find("Partner-Client").is_none());
    let again = registry.register(registration(true)).unwrap_err();
    assert_eq!(again, RegistrationError::Duplicate("partner-client".to_owned()));
    let mut disabled = ClientRegistry::default();
    disabled.register(registration(true)).unwrap();
    assert!(disabled.find("partner-client").is_none());
}

/// M14.
#[test]
fn takes_a_clients_own_anchors_where_it_has_some() {
    let pinned = ClientMetadata {
        tls_client_auth_subject_dn: Some("CN=demo-partner".to_owned()),
        trust: vec!["partners-root.pem".into()],
        ..metadata()
    };
    let registration = ClientRegistration::try_from(pinned).unwrap();
    assert!(matches!(
        registration.authentication,
        ClientAuthenticationMethod::TlsClientAuth(_, CertificateAnchors::Clients)
    ));
}

/// T17: what is let in without an authority is what an enabled client is registered with, and nothing else.
#[test]
fn lists_the_self_signed_certificates_of_enabled_clients_alone() {
    let document = registered_certificates::tests::rfc_8705_appendix_a();
    let registration = |client_id: &str, disabled| {
        ClientRegistration::try_from(ClientMetadata {
            client_id: client_id.to_owned(),
            token_endpoint_auth_method: "self_signed_tls_client_auth".to_owned(),
            jwks: Some(document.clone().into()),
            disabled,
            ..ClientMetadata::default()
        })
        .unwrap()
    };
    let mut registry = ClientRegistry::default();
    registry.register(registration("disabled", true)).unwrap();
    assert_eq!(registry.self_signed_certificates(), Some(Vec::new()));
    registry.register(registration("enabled", false)).unwrap();
    let listed = registry.self_signed_certificates().unwrap();
    assert_eq!(
        listed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"]
    );
}

/// M20: where a client publishes its own, nobody can list them beforehand.
#[test]
fn lists_no_self_signed_certificates_where_an_enabled_client_publishes_its_own() {
    let publishing = |disabled| {
        let metadata = ClientMetadata {
            client_id: format!("disabled {disabled}"),
            token_endpoint_auth_method: "self_signed_tls_client_auth".to_owned(),
            jwks_uri: Some("https://partner.example/jwks".to_owned()),
            disabled,
            ..ClientMetadata::default()
        };
        ClientRegistration::try_from(metadata).unwrap()
    };
    let mut registry = ClientRegistry::default();
    registry.register(publishing(true)).unwrap();
    assert_eq!(registry.self_signed_certificates(), Some(Vec::new()));
    registry.register(publishing(false)).unwrap();
    assert_eq!(registry.self_signed_certificates(), None);
}

/// M20, M21, F13.
#[test]
fn accepts_keys_or_the_url_of_keys_and_never_both() {
    let document = registered_certificates::tests::rfc_8705_appendix_a();
    for method in ["self_signed_tls_client_auth", "private_key_jwt"] {
        let registered = |jwks: Option<ClientJwks>, jwks_uri: Option<&str>| {
            let metadata = ClientMetadata {
                client_id: "publishing".to_owned(),
                token_endpoint_auth_method: method.to_owned(),
                jwks,
                jwks_uri: jwks_uri.map(str::to_owned),
                ..ClientMetadata::default()
            };
            ClientRegistration::try_from(metadata)
        };
        let uri = "https://partner.example/jwks";
        let publishing = registered(None, Some(uri)).unwrap();
        assert_eq!(publishing.authentication.jwks_uri().unwrap().as_str(), uri);
        assert!(registered(Some(document.clone().into()), None).is_ok());
        for (jwks, uri, error) in [
            (
                Some(document.clone().into()),
                Some(uri),
                RegistrationError::JwksAndJwksUri,
            ),
            (
                None,
                Some("http://partner.example/jwks"),
                RegistrationError::JwksUri(MalformedJwksUri),
            ),
            (None, None, RegistrationError::NoJwks),
        ] {
            assert_eq!(registered(jwks, uri).unwrap_err(), error);
        }
    }
    let message = RegistrationError::JwksAndJwksUri.to_string();
    assert!(message.starts_with("jwks, jwks_uri: "), "{message}");
}
