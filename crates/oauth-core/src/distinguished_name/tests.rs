use x509_cert::{
    attr::AttributeTypeAndValue,
    der::asn1::{PrintableStringRef, SetOfVec, TeletexStringRef},
    name::{RdnSequence, RelativeDistinguishedName},
};

use super::*;

fn read(text: &str) -> DistinguishedName {
    DistinguishedName::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn attribute(oid: &str, value: Any) -> AttributeTypeAndValue {
    AttributeTypeAndValue {
        oid: ObjectIdentifier::new(oid).unwrap(),
        value,
    }
}

fn utf8(text: &str) -> Any {
    Any::from(Utf8StringRef::new(text).unwrap())
}

fn printable(text: &str) -> Any {
    Any::from(PrintableStringRef::new(text).unwrap())
}

/// A certificate's name: RDNs in ASN.1 order, which is the reverse of the string's.
fn certificate_name(relative_names: Vec<Vec<AttributeTypeAndValue>>) -> DistinguishedName {
    let mut sequence = RdnSequence::default();
    for attributes in relative_names {
        let set = SetOfVec::try_from(attributes).unwrap();
        let mut relative_name = RelativeDistinguishedName::default();
        for attribute in set.iter() {
            relative_name.insert(attribute.clone()).unwrap();
        }
        sequence.push(relative_name);
    }
    DistinguishedName::from(&Name::from_der(&sequence.to_der().unwrap()).unwrap())
}

fn acme() -> DistinguishedName {
    certificate_name(vec![
        vec![attribute("2.5.4.6", printable("SE"))],
        vec![attribute("2.5.4.10", utf8("Acme"))],
        vec![attribute("2.5.4.3", utf8("demo"))],
    ])
}

/// M7, M60.
#[test]
fn matches_the_reverse_of_the_asn_1_order_and_no_other() {
    assert!(acme().matches(&read("CN=demo,O=Acme,C=SE")));
    assert!(!acme().matches(&read("C=SE,O=Acme,CN=demo")));
    assert_eq!(acme().to_string(), "CN=demo,O=Acme,C=SE");
}

/// M60: whatever is found in a certificate, the text an operator is shown can be registered.
#[test]
fn writes_an_empty_value_so_that_it_can_be_read_back() {
    let nameless = certificate_name(vec![vec![
        attribute("2.5.4.3", printable("")),
        attribute("2.5.4.10", utf8("Acme")),
    ]]);
    assert_eq!(nameless.to_string(), "2.5.4.3=#0c00+O=Acme");
    assert!(read(&nameless.to_string()).matches(&nameless));
    assert!(!read("O=Acme").matches(&nameless));
}

/// M60, M67.
#[test]
fn refuses_other_notations_with_a_hint() {
    for (text, error) in [
        ("/C=SE/O=Acme/CN=demo", DistinguishedNameError::OpensslFormat),
        ("", DistinguishedNameError::Empty),
        ("  ", DistinguishedNameError::Empty),
        ("demo", DistinguishedNameError::MissingEquals),
        ("CN=demo,", DistinguishedNameError::MissingEquals),
        ("CN=demo,Acme", DistinguishedNameError::MissingEquals),
        ("CN=", DistinguishedNameError::EmptyValue),
        ("CN=a;O=b", DistinguishedNameError::UnescapedCharacter(';')),
        ("CN=\"a\"", DistinguishedNameError::UnescapedCharacter('"')),
        ("OID.2.5.4.3=a", DistinguishedNameError::OidPrefix),
        (
            "NICK=a",
            DistinguishedNameError::UnknownAttributeType("NICK".to_owned()),
        ),
        ("CN=a\\", DistinguishedNameError::BadEscape),
        ("CN=a\\zz", DistinguishedNameError::BadEscape),
        ("CN=\\ff", DistinguishedNameError::NotUtf8),
        ("CN=#0c", DistinguishedNameError::BadHexValue),
        ("CN=#xyz", DistinguishedNameError::BadHexValue),
    ] {
        assert_eq!(DistinguishedName::parse(text).unwrap_err(), error, "{text}");
    }
}

/// M61.
#[test]
fn ignores_case_and_insignificant_blanks() {
    let name = read("CN=Demo Partner,O=ACME");
    for same in [
        "cn=demo partner,o=acme",
        "Cn = Demo   Partner , o = Acme ",
        "CN=\\ demo partner\\ ,O=Acme",
    ] {
        assert!(name.matches(&read(same)), "{same}");
    }
    for other in [
        "CN=DemoPartner,O=ACME",
        "CN=demo partner,O=ACME,C=SE",
        "CN=demo partner",
    ] {
        assert!(!name.matches(&read(other)), "{other}");
    }
}

/// M62, M68.
#[test]
fn does_not_care_which_string_type_carries_the_text() {
    let printable_name = certificate_name(vec![vec![attribute("2.5.4.3", printable("demo"))]]);
    let utf8_name = certificate_name(vec![vec![attribute("2.5.4.3", utf8("demo"))]]);
    let bmp = Any::from_der(&[0x1e, 0x08, 0, b'd', 0, b'e', 0, b'm', 0, b'o']).unwrap();
    let bmp_name = certificate_name(vec![vec![attribute("2.5.4.3", bmp)]]);
    assert!(printable_name.matches(&utf8_name));
    assert!(bmp_name.matches(&read("CN=demo")));
}

/// M63: a Teletex string's character set is ambiguous, so it matches no text.
#[test]
fn takes_no_teletex_string_for_text() {
    let teletex = Any::from(TeletexStringRef::new("demo").unwrap());
    let name = certificate_name(vec![vec![attribute("2.5.4.3", teletex)]]);
    assert!(!name.matches(&read("CN=demo")));
    assert!(name.matches(&read(&name.to_string())));
}

/// M64, M65, M70.
#[test]
fn compares_multi_valued_names_as_sets_and_sequences_in_order() {
    assert!(read("CN=a+OU=b").matches(&read("OU=b+CN=a")));
    assert!(!read("CN=a+OU=b").matches(&read("CN=a,OU=b")));
    assert!(!read("CN=a,CN=b").matches(&read("CN=b,CN=a")));
    assert!(read("CN=a,CN=b").matches(&read("CN=a,CN=b")));
    assert!(!read("CN=a").matches(&read("CN=a,CN=a")));
}

/// M66.
#[test]
fn reads_back_every_escape_that_it_writes() {
    for text in [
        r"CN=a\,b",
        r"CN=a\+b",
        r#"CN=a\"b"#,
        r"CN=a\\b",
        r"CN=a\;b",
        r"CN=a\<b\>",
        r"CN=\#a",
        r"CN=\ a\ ",
        r"CN=Lučić",
        r"CN=a\00b",
    ] {
        let name = read(text);
        assert_eq!(name.to_string(), text);
        assert!(name.matches(&read(&name.to_string())));
    }
    assert_eq!(read(r"CN=Lu\C4\8Di\C4\87").to_string(), "CN=Lučić");
    assert_eq!(read(r"CN=a\=b").to_string(), "CN=a=b");
}

/// M67.
#[test]
fn knows_the_short_names_and_takes_dotted_oids_for_the_rest() {
    for name in ["CN", "L", "ST", "O", "OU", "C", "STREET", "DC", "UID"] {
        assert_eq!(read(&format!("{name}=a")).to_string(), format!("{name}=a"));
    }
    let identifier = certificate_name(vec![vec![attribute("2.5.4.97", utf8("PSDSE-1"))]]);
    assert_eq!(identifier.to_string(), "2.5.4.97=#0c0750534453452d31");
    assert!(identifier.matches(&read("2.5.4.97=#0c0750534453452d31")));
    assert!(identifier.matches(&read("organizationIdentifier=PSDSE-1")));
    assert!(identifier.matches(&read("2.5.4.97=psdse-1")));
}

/// A type whose matching rule is unknown is compared exactly.
#[test]
fn keeps_the_case_of_unknown_attribute_types() {
    assert!(read("1.2.3.4=a").matches(&read("1.2.3.4=a")));
    assert!(!read("1.2.3.4=a").matches(&read("1.2.3.4=A")));
}

/// M69.
#[test]
fn never_matches_the_empty_name() {
    let empty = certificate_name(Vec::new());
    assert!(empty.is_empty());
    assert!(!empty.matches(&empty));
}

proptest::proptest! {
    #[test]
    fn reads_back_any_text_it_wrote(text in "[^\\p{C}]{1,20}") {
        let name = certificate_name(vec![vec![attribute("2.5.4.3", utf8(&text))]]);
        let read = DistinguishedName::parse(&name.to_string()).unwrap();
        proptest::prop_assert!(name.matches(&read));
    }

    #[test]
    fn never_panics_on_any_text(text in ".{0,60}") {
        let _ = DistinguishedName::parse(&text);
    }
}
