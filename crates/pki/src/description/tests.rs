use super::*;
use crate::{DemoSet, KeyAlgorithm, Leaf, Member, Root, SubjectAlternativeName, Validity, validity::Days};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn described(subject: &str, names: Vec<SubjectAlternativeName>) -> Description {
    let root = Root::create(KeyAlgorithm::EcdsaP256, NOW).unwrap();
    let leaf = Leaf {
        subject: subject.parse().unwrap(),
        subject_alternative_names: names,
        validity: Validity::starting(Days::CLIENT, NOW),
    };
    let identity = root.issue_client(&leaf, KeyAlgorithm::EcdsaP256).unwrap();
    Description::of(identity.certificate(), NOW).unwrap()
}

fn pairs(description: &Description) -> Vec<(&str, &str)> {
    description
        .registrations()
        .iter()
        .map(|entry| (entry.key, entry.value.as_str()))
        .collect()
}

/// RFC 8705 §2.1.2.
#[test]
fn puts_each_name_under_its_registration_key() {
    let names = vec![
        SubjectAlternativeName::dns("acme.example.com").unwrap(),
        SubjectAlternativeName::uri("urn:example:acme").unwrap(),
        SubjectAlternativeName::ip("::1").unwrap(),
        SubjectAlternativeName::email("acme@example.com").unwrap(),
    ];
    let description = described("CN=acme,O=Acme\\, Inc.,C=SE", names);
    assert_eq!(
        pairs(&description),
        [
            ("tls_client_auth_subject_dn", "CN=acme,O=Acme\\, Inc.,C=SE"),
            ("tls_client_auth_san_dns", "acme.example.com"),
            ("tls_client_auth_san_uri", "urn:example:acme"),
            ("tls_client_auth_san_ip", "::1"),
            ("tls_client_auth_san_email", "acme@example.com"),
        ]
    );
}

#[test]
fn offers_no_registration_for_a_server_certificate() {
    let set = DemoSet::create(KeyAlgorithm::EcdsaP256, NOW).unwrap();
    for member in [Member::Login, Member::ServerOnly] {
        let description = Description::of(set.identity(member).certificate(), NOW).unwrap();
        assert_eq!(pairs(&description), []);
        assert!(description.to_string().contains("lacks clientAuth"));
    }
}

#[test]
fn lists_the_names_of_everybody_and_says_where_there_are_none() {
    let names = vec![
        SubjectAlternativeName::email("acme@example.com").unwrap(),
        SubjectAlternativeName::dns("acme.example.com").unwrap(),
        SubjectAlternativeName::ip("::1").unwrap(),
        SubjectAlternativeName::uri("urn:example:acme").unwrap(),
    ];
    let expected = [
        "email:acme@example.com",
        "DNS:acme.example.com",
        "IP:::1",
        "URI:urn:example:acme",
    ];
    let description = described("CN=acme", names);
    assert_eq!(
        description.to_json()["subject_alternative_names"],
        json!(expected)
    );
    for name in expected {
        assert!(
            description
                .to_string()
                .contains(&format!("subjectAltName              {name}\n"))
        );
    }
    let nameless = described("CN=acme", Vec::new());
    assert!(
        nameless
            .to_string()
            .contains("subjectAltName              none\n")
    );
}

#[test]
fn says_whether_the_certificate_is_valid_now() {
    let set = DemoSet::create(KeyAlgorithm::EcdsaP256, NOW).unwrap();
    for (member, state) in [
        (Member::Example, "valid"),
        (Member::Expired, "expired"),
        (Member::NotYetValid, "not yet valid"),
    ] {
        let description = Description::of(set.identity(member).certificate(), NOW).unwrap();
        assert_eq!(description.to_json()["state"], state);
    }
}

#[test]
fn says_the_same_as_text_and_as_json() {
    let description = described("CN=acme", Vec::new());
    let json = description.to_json();
    let text = description.to_string();
    for key in [
        "subject",
        "issuer",
        "serial",
        "not_before",
        "not_after",
        "state",
        "x5t#S256",
    ] {
        let value = json[key].as_str().unwrap();
        assert!(text.contains(value), "{key}: {value} is not in\n{text}");
    }
    assert_eq!(json["extended_key_usage"], json!(["clientAuth"]));
    assert_eq!(json["not_before"], "2027-01-15T07:55:00Z");
    assert_eq!(
        json["registrations"],
        json!([{ "key": "tls_client_auth_subject_dn", "value": "CN=acme" }])
    );
}
