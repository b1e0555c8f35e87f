//! Distinguished names: read from a certificate or from an RFC 4514 string, and compared by distinguishedNameMatch.
//!
//! Names are never compared as strings: the certificate's ASN.1 and the registered text both become the same typed
//! sequence, kept in the order of the *string* (the reverse of ASN.1), and each value is prepared once for matching.

use std::fmt;

use x509_cert::{
    attr::AttributeTypeAndValue,
    der::{
        Decode as _, Encode as _, Tag, Tagged as _,
        asn1::{Any, BmpString, Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef},
    },
    name::Name,
};

mod parse;

pub use parse::DistinguishedNameError;

/// A distinguished name, ready to be compared and to be written as RFC 4514 text.
///
/// [RFC 4514 §2](https://www.rfc-editor.org/rfc/rfc4514#section-2)
#[derive(Clone, Debug)]
pub struct DistinguishedName {
    relative_names: Vec<RelativeName>,
}

/// One RDN: its attributes in the order in which they came, and the same sorted for comparison.
#[derive(Clone, Debug)]
struct RelativeName {
    attributes: Vec<Attribute>,
    prepared: Vec<(ObjectIdentifier, Value)>,
}

#[derive(Clone, Debug)]
struct Attribute {
    attribute_type: ObjectIdentifier,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    /// A character string, whichever of the directory's string types carried it.
    Text(String),
    /// Any other ASN.1 value, as DER. Teletex strings stay here: their character set is ambiguous, so they equal
    /// only themselves.
    Der(Vec<u8>),
}

impl DistinguishedName {
    /// Reads an RFC 4514 string such as `CN=demo-partner,O=Example\, Inc.,C=SE`.
    ///
    /// Blanks around separators are tolerated. Attribute types are the nine of RFC 4514 §3, a few well-known others,
    /// or dotted OIDs; the prefix `OID.` of RFC 2253 is refused.
    ///
    /// # Errors
    ///
    /// [`DistinguishedNameError`] says where the text goes wrong; OpenSSL's `/C=SE/CN=x` gets a hint of its own.
    ///
    /// RFC 4514 §3
    pub fn parse(text: &str) -> Result<Self, DistinguishedNameError> {
        parse::distinguished_name(text)
    }

    /// Whether both names are the same by distinguishedNameMatch: the same number of RDNs in the same order, each
    /// with the same set of attributes. The empty name matches nothing, itself included.
    ///
    /// [RFC 4517 §4.2.15](https://www.rfc-editor.org/rfc/rfc4517#section-4.2.15)
    pub fn matches(&self, other: &Self) -> bool {
        !self.is_empty()
            && self.relative_names.len() == other.relative_names.len()
            && self
                .relative_names
                .iter()
                .zip(&other.relative_names)
                .all(|(ours, theirs)| ours.matches(theirs))
    }

    /// Whether the name has no RDN at all.
    pub const fn is_empty(&self) -> bool {
        self.relative_names.is_empty()
    }
}

impl From<&Name> for DistinguishedName {
    fn from(name: &Name) -> Self {
        let mut relative_names: Vec<RelativeName> = name
            .iter_rdn()
            .map(|relative_name| RelativeName::new(relative_name.iter().map(Attribute::from).collect()))
            .collect();
        relative_names.reverse();
        Self { relative_names }
    }
}

impl RelativeName {
    fn new(attributes: Vec<Attribute>) -> Self {
        let mut prepared: Vec<_> = attributes
            .iter()
            .map(|attribute| (attribute.attribute_type, attribute.prepared_value()))
            .collect();
        prepared.sort();
        Self { attributes, prepared }
    }

    fn matches(&self, other: &Self) -> bool {
        self.prepared == other.prepared
    }
}

impl Attribute {
    fn new(attribute_type: ObjectIdentifier, value: &Any) -> Self {
        Self {
            attribute_type,
            value: Value::from(value),
        }
    }

    /// The value after the string preparation of caseIgnoreMatch, for the attribute types known to be compared so;
    /// a type whose matching rule is unknown is compared exactly.
    ///
    /// RFC 4517 §4.2.11, RFC 4518 §2
    fn prepared_value(&self) -> Value {
        match &self.value {
            Value::Text(text) if parse::ignores_case(&self.attribute_type) => {
                Value::Text(prepare_string(text))
            }
            value => value.clone(),
        }
    }
}

impl From<&AttributeTypeAndValue> for Attribute {
    fn from(attribute: &AttributeTypeAndValue) -> Self {
        Self::new(attribute.oid, &attribute.value)
    }
}

impl From<&Any> for Value {
    fn from(value: &Any) -> Self {
        let text = match value.tag() {
            Tag::Utf8String => Utf8StringRef::try_from(value)
                .ok()
                .map(|text| text.as_str().to_owned()),
            Tag::PrintableString => PrintableStringRef::try_from(value)
                .ok()
                .map(|text| text.as_str().to_owned()),
            Tag::Ia5String => Ia5StringRef::try_from(value)
                .ok()
                .map(|text| text.as_str().to_owned()),
            Tag::BmpString => value.decode_as::<BmpString>().ok().map(|text| text.to_string()),
            _ => None,
        };
        text.map_or_else(|| Self::Der(value.to_der().unwrap_or_default()), Self::Text)
    }
}

/// Case folded, control characters dropped, every run of white space one blank, none at the ends.
///
/// RFC 4518 §2.2, §2.6.1
fn prepare_string(text: &str) -> String {
    let mapped: String = text
        .chars()
        .filter(|character| character.is_whitespace() || !character.is_control())
        .flat_map(char::to_lowercase)
        .collect();
    mapped.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for DistinguishedName {
    /// RFC 4514 text, as it is to be registered in `tls_client_auth_subject_dn`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, relative_name) in self.relative_names.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            for (index, attribute) in relative_name.attributes.iter().enumerate() {
                if index > 0 {
                    formatter.write_str("+")?;
                }
                write!(formatter, "{attribute}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (parse::short_name(&self.attribute_type), &self.value) {
            (Some(name), Value::Text(text)) if !text.is_empty() => {
                write!(formatter, "{name}={}", escape(text))
            }
            (_, Value::Text(text)) => {
                let der = Utf8StringRef::new(text)
                    .and_then(|text| text.to_der())
                    .unwrap_or_default();
                write!(formatter, "{}=#{}", self.attribute_type, hex(&der))
            }
            (_, Value::Der(der)) => write!(formatter, "{}=#{}", self.attribute_type, hex(der)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 4514 §2.4
fn escape(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut escaped = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => escaped.extend(['\\', character]),
            '#' if index == 0 => escaped.push_str("\\#"),
            ' ' if index == 0 || index == last => escaped.push_str("\\ "),
            control if control.is_ascii_control() => {
                escaped.push('\\');
                escaped.push_str(&hex(control.to_string().as_bytes()));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// Reads the DER of a `#`-value: a character string becomes text, anything else stays DER.
fn value_from_der(der: &[u8]) -> Option<Value> {
    Any::from_der(der).ok().as_ref().map(Value::from)
}

#[cfg(test)]
mod tests;
