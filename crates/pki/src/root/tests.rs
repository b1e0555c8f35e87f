use x509_cert::{
    der::oid::AssociatedOid,
    ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName},
};

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn root() -> Root {
    Root::create(KeyAlgorithm::EcdsaP256, NOW).unwrap()
}

fn leaf(subject: &str) -> Leaf {
    Leaf {
        subject: subject.parse().unwrap(),
        subject_alternative_names: vec![SubjectAlternativeName::dns("a.example.com").unwrap()],
        validity: Validity::starting(Days::CLIENT, NOW),
    }
}

fn is_critical<T: AssociatedOid>(certificate: &Certificate) -> bool {
    let mut extensions = certificate.tbs().extensions().into_iter().flatten();
    extensions
        .find(|extension| extension.extn_id == T::OID)
        .unwrap()
        .critical
}

fn purposes(certificate: &Certificate) -> Vec<String> {
    let (_, usage) = certificate
        .tbs()
        .get_extension::<ExtendedKeyUsage>()
        .unwrap()
        .unwrap();
    usage.0.iter().map(ToString::to_string).collect()
}

fn key_usage(certificate: &Certificate) -> KeyUsage {
    certificate.tbs().get_extension::<KeyUsage>().unwrap().unwrap().1
}

/// RFC 5280 §4.2.1.3, §4.2.1.9.
#[test]
fn may_sign_leaves_and_lists_but_no_further_authority() {
    let root = root();
    let (_, constraints) = root
        .certificate()
        .tbs()
        .get_extension::<BasicConstraints>()
        .unwrap()
        .unwrap();
    assert!(constraints.ca);
    assert_eq!(constraints.path_len_constraint, Some(0));
    assert!(is_critical::<BasicConstraints>(root.certificate()));
    assert!(is_critical::<KeyUsage>(root.certificate()));
    assert!(root.certificate().is_authority());
    assert!(!key_usage(root.certificate()).digital_signature());
}

#[test]
fn lives_ten_years_from_five_minutes_ago() {
    let root = root();
    assert_eq!(
        root.certificate().not_before(),
        NOW.minus(crate::validity::BACKDATE)
    );
    assert_eq!(root.certificate().not_after(), NOW.plus(Days::ROOT.duration()));
}

/// RFC 5280 §4.2.1.1, §4.2.1.2, §4.2.1.12.
#[test]
fn gives_a_leaf_its_one_usage_and_both_key_identifiers() {
    let root = root();
    for (usage, purpose) in [
        (Usage::Server, "1.3.6.1.5.5.7.3.1"),
        (Usage::Client, "1.3.6.1.5.5.7.3.2"),
    ] {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let identity = root.issue(usage, &leaf("CN=a"), key).unwrap();
        let certificate = identity.certificate();
        assert_eq!(purposes(certificate), [purpose]);
        assert!(!certificate.is_authority());
        assert!(is_critical::<KeyUsage>(certificate));
        assert!(key_usage(certificate).digital_signature() && !key_usage(certificate).key_encipherment());
        assert!(certificate.key_identifier().is_some());
        let (_, authority) = certificate
            .tbs()
            .get_extension::<AuthorityKeyIdentifier>()
            .unwrap()
            .unwrap();
        let authority = authority.key_identifier.unwrap().as_bytes().to_vec();
        assert_eq!(Some(authority), root.certificate().key_identifier());
    }
}

#[test]
fn lets_rsa_servers_alone_decipher_keys() {
    let root = root();
    let server = root.issue_server(&leaf("CN=a"), KeyAlgorithm::Rsa2048).unwrap();
    let client = root.issue_client(&leaf("CN=a"), KeyAlgorithm::Rsa2048).unwrap();
    assert!(key_usage(server.certificate()).key_encipherment());
    assert!(!key_usage(client.certificate()).key_encipherment());
    assert!(root.has_issued(client.certificate()));
}

/// A rule derived from the key alone would revoke a renewed certificate together with its predecessor.
#[test]
fn gives_the_same_key_another_serial_each_time() {
    let root = root();
    let first = root.issue_client(&leaf("CN=a"), KeyAlgorithm::EcdsaP256).unwrap();
    let key = PrivateKey::from_pem(first.key_pem().as_bytes()).unwrap();
    let second = root.issue(Usage::Client, &leaf("CN=a"), key).unwrap();
    assert_ne!(first.certificate().serial(), second.certificate().serial());
    assert_eq!(first.certificate().serial().len(), 16);
    assert_eq!(
        first.certificate().tbs().serial_number().as_bytes().len(),
        16,
        "positive without a leading zero"
    );
}

/// M64, M70: names that a map of attribute types could not hold.
#[test]
fn keeps_multi_valued_and_repeated_names_exactly() {
    let root = root();
    for subject in ["CN=a+OU=b,DC=example,DC=com", "CN=a,CN=b", "CN=a,OU=x,OU=y,C=SE"] {
        let identity = root
            .issue_client(&leaf(subject), KeyAlgorithm::EcdsaP256)
            .unwrap();
        assert_eq!(identity.certificate().subject().to_string(), subject);
        assert!(root.has_issued(identity.certificate()));
    }
}

/// RFC 5280 §4.2.1.6.
#[test]
fn makes_names_critical_where_there_is_no_subject() {
    let root = root();
    let mut nameless = leaf("CN=a");
    nameless.subject = Subject::from_name(x509_cert::name::Name::default());
    let nameless = root.issue_client(&nameless, KeyAlgorithm::EcdsaP256).unwrap();
    let named = root.issue_client(&leaf("CN=a"), KeyAlgorithm::EcdsaP256).unwrap();
    assert!(is_critical::<SubjectAltName>(nameless.certificate()));
    assert!(!is_critical::<SubjectAltName>(named.certificate()));
}

#[test]
fn cuts_off_what_would_outlive_it() {
    let root = root();
    let mut late = leaf("CN=a");
    late.validity = Validity::starting(
        Days::CLIENT,
        root.certificate().not_after().minus(crate::RENEWAL_MARGIN),
    );
    let identity = root.issue_client(&late, KeyAlgorithm::EcdsaP256).unwrap();
    assert_eq!(identity.certificate().not_after(), root.certificate().not_after());
}

#[test]
fn refuses_to_issue_after_its_own_end() {
    let root = root();
    let mut late = leaf("CN=a");
    late.validity = Validity::starting(
        Days::CLIENT,
        root.certificate().not_after().plus(crate::RENEWAL_MARGIN),
    );
    assert!(matches!(
        root.issue_client(&late, KeyAlgorithm::EcdsaP256),
        Err(Error::RootExpired)
    ));
}

#[test]
fn keeps_key_and_subject_when_renewed() {
    let root = root();
    let identity = root.issue_client(&leaf("CN=a"), KeyAlgorithm::EcdsaP256).unwrap();
    let later = root.certificate().not_after().plus(crate::validity::BACKDATE);
    let renewed = root.renew(later).unwrap();
    assert!(renewed.has_issued(identity.certificate()));
    assert!(renewed.certificate().not_after() > later);
}

#[test]
fn loads_what_it_wrote() {
    let root = root();
    let pem = root.certificate().pem().unwrap();
    let loaded = Root::from_pem(pem.as_bytes(), root.key().pem().as_bytes()).unwrap();
    let identity = loaded
        .issue_client(&leaf("CN=a"), KeyAlgorithm::EcdsaP256)
        .unwrap();
    assert!(root.has_issued(identity.certificate()));
}

#[test]
fn refuses_a_key_that_is_not_its_own() {
    let (ours, theirs) = (root(), root());
    let pem = ours.certificate().pem().unwrap();
    let loaded = Root::from_pem(pem.as_bytes(), theirs.key().pem().as_bytes());
    assert!(matches!(loaded, Err(Error::KeyMismatch)));
}

#[test]
fn refuses_a_leaf_as_root() {
    let identity = root()
        .issue_client(&leaf("CN=a"), KeyAlgorithm::EcdsaP256)
        .unwrap();
    let pem = identity.certificate_pem().unwrap();
    let loaded = Root::from_pem(pem.as_bytes(), identity.key_pem().as_bytes());
    assert!(matches!(loaded, Err(Error::NotAnAuthority)));
}

/// A root is known by its key: another of the same name has issued nothing of ours.
#[test]
fn disowns_what_a_root_of_the_same_name_issued() {
    let (ours, theirs) = (root(), root());
    assert_eq!(ours.certificate().subject(), theirs.certificate().subject());
    let identity = theirs
        .issue_client(&leaf("CN=a"), KeyAlgorithm::EcdsaP256)
        .unwrap();
    assert!(theirs.has_issued(identity.certificate()));
    assert!(!ours.has_issued(identity.certificate()));
}
