//! Subjects: RFC 4514 text in, an ASN.1 name with the right string types out.
//!
//! The text is read by the same rules as a registration's `tls_client_auth_subject_dn`, so a certificate made for a
//! text always matches a client registered with that text.

use std::fmt;
use std::str::FromStr;

use oauth_core::distinguished_name::DistinguishedName;
use x509_cert::{
    attr::AttributeTypeAndValue,
    der::{
        Decode as _, Encode as _, Tag, Tagged as _,
        asn1::{Any, Ia5StringRef, ObjectIdentifier, PrintableStringRef},
    },
    name::{Name, RdnSequence, RelativeDistinguishedName},
};

use crate::error::Error;

/// countryName and serialNumber: PrintableString alone. RFC 5280 appendix A.1
const PRINTABLE: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("2.5.4.6"),
    ObjectIdentifier::new_unwrap("2.5.4.5"),
];

/// domainComponent and emailAddress: `IA5String` alone. RFC 5280 appendix A.1
const IA5: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25"),
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1"),
];

/// The subject of a certificate; `Display` is the RFC 4514 text to be registered.
///
/// [RFC 4514](https://www.rfc-editor.org/rfc/rfc4514)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(Name);

impl Subject {
    pub(crate) const fn from_name(name: Name) -> Self {
        Self(name)
    }

    pub(crate) const fn name(&self) -> &Name {
        &self.0
    }

    /// Whether both are the same by distinguishedNameMatch, as a registration would have it. RFC 4517 §4.2.15
    pub fn is_same(&self, other: &Self) -> bool {
        DistinguishedName::from(&self.0).matches(&DistinguishedName::from(&other.0))
    }

    /// Whether the subject names nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Subject {
    type Err = Error;

    /// Reads RFC 4514 text, such as `CN=demo-partner,O=Example\, Inc.,C=SE`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wanted = DistinguishedName::parse(text)?;
        let name = wanted
            .to_string()
            .parse::<Name>()
            .map_err(|_| Error::SubjectValue)?;
        let name = with_required_string_types(&name)?;
        // The two readers of RFC 4514 must agree, or the certificate would not be the one that was asked for.
        if !DistinguishedName::from(&name).matches(&wanted) {
            return Err(Error::SubjectValue);
        }
        Ok(Self(name))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", DistinguishedName::from(&self.0))
    }
}

fn with_required_string_types(name: &Name) -> Result<Name, Error> {
    let mut relative_names = RdnSequence::default();
    for relative_name in name.iter_rdn() {
        let attributes = relative_name
            .iter()
            .map(with_required_string_type)
            .collect::<Result<Vec<_>, _>>()?;
        relative_names.push(RelativeDistinguishedName::try_from(attributes)?);
    }
    Ok(Name::from_der(&relative_names.to_der()?)?)
}

fn with_required_string_type(attribute: &AttributeTypeAndValue) -> Result<AttributeTypeAndValue, Error> {
    let value = &attribute.value;
    let is_text = matches!(
        value.tag(),
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String
    );
    let value = if is_text && PRINTABLE.contains(&attribute.oid) {
        PrintableStringRef::new(value.value()).map_err(|_| Error::SubjectValue)?;
        Any::new(Tag::PrintableString, value.value())?
    } else if is_text && IA5.contains(&attribute.oid) {
        Ia5StringRef::new(value.value()).map_err(|_| Error::SubjectValue)?;
        Any::new(Tag::Ia5String, value.value())?
    } else {
        value.clone()
    };
    Ok(AttributeTypeAndValue {
        oid: attribute.oid,
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(subject: &Subject) -> Vec<Tag> {
        subject
            .name()
            .iter()
            .map(|attribute| attribute.value.tag())
            .collect()
    }

    #[test]
    fn accepts_rfc_4514_text_and_writes_it_back() {
        for text in [
            "CN=demo-partner",
            "CN=a,O=Example\\, Inc.,C=SE",
            "CN=a+OU=b,DC=example,DC=com",
            "CN=\\#x\\ ",
        ] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn puts_the_most_specific_part_last_in_asn1() {
        let subject: Subject = "CN=a,C=SE".parse().unwrap();
        assert_eq!(tags(&subject), [Tag::PrintableString, Tag::Utf8String]);
    }

    /// RFC 5280 appendix A.1.
    #[test]
    fn writes_country_and_serial_number_printable_and_mail_ia5() {
        let subject: Subject = "CN=a,serialNumber=7,emailAddress=a@example.com,DC=x"
            .parse()
            .unwrap();
        assert_eq!(
            tags(&subject),
            [
                Tag::Ia5String,
                Tag::Ia5String,
                Tag::PrintableString,
                Tag::Utf8String
            ]
        );
    }

    #[test]
    fn refuses_text_that_a_registration_would_refuse() {
        for text in ["", "demo-partner", "/C=SE/CN=x", "CN=a;O=b", "CN="] {
            assert!(
                matches!(text.parse::<Subject>(), Err(Error::Subject(_))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn refuses_a_country_that_cannot_be_printable() {
        assert!(matches!("CN=a,C=Ö".parse::<Subject>(), Err(Error::SubjectValue)));
    }
}
