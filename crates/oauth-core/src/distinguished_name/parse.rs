//! The RFC 4514 string grammar, read strictly enough that a mistyped registration is refused and not misread.

use std::iter::Peekable;
use std::str::Chars;

use x509_cert::der::asn1::ObjectIdentifier;

use super::{Attribute, DistinguishedName, RelativeName, Value, value_from_der};
use crate::hex;

/// Why a text is not a distinguished name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DistinguishedNameError {
    /// No RDN at all: an empty name never matches anything.
    #[error("the name is empty")]
    Empty,
    /// OpenSSL's one-line format.
    #[error(
        "names are written as in RFC 4514, most specific part first: `CN=demo,O=Acme,C=SE`, not `/C=SE/O=Acme/CN=demo`"
    )]
    OpensslFormat,
    /// A part without `=`.
    #[error(
        "a part of the name has no `=`; separate parts with `,` and escape a comma inside a value as `\\,`"
    )]
    MissingEquals,
    /// Neither one of the known short names nor a dotted OID.
    #[error("attribute type `{0}` is not known; use its dotted OID, as in `2.5.4.97=#0c…`")]
    UnknownAttributeType(String),
    /// `OID.2.5.4.3`, as RFC 2253 wrote it.
    #[error("write the OID without the prefix `OID.`")]
    OidPrefix,
    /// A backslash before something that may not be escaped, or at the end.
    #[error("`\\` must be followed by two hexadecimal digits or by one of ` \"#+,;<=>\\`")]
    BadEscape,
    /// A character that must be escaped stands bare.
    #[error("`{0}` must be escaped with `\\` inside a value")]
    UnescapedCharacter(char),
    /// Hexadecimal escapes that are not UTF-8.
    #[error("the hexadecimal escapes of a value are not UTF-8")]
    NotUtf8,
    /// A `#` value that is not the hexadecimal DER of one ASN.1 value.
    #[error("a value that starts with `#` must be the hexadecimal DER of one ASN.1 value")]
    BadHexValue,
    /// A value with nothing in it.
    #[error("a value is empty")]
    EmptyValue,
}

/// Attribute types by their short names: RFC 4514 §3's nine first, then those that certificates of partners carry.
const ATTRIBUTE_TYPES: [(&str, &str); 16] = [
    ("CN", "2.5.4.3"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("C", "2.5.4.6"),
    ("STREET", "2.5.4.9"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
    ("ORGANIZATIONIDENTIFIER", "2.5.4.97"),
    ("TITLE", "2.5.4.12"),
    ("GIVENNAME", "2.5.4.42"),
    ("SN", "2.5.4.4"),
    ("POSTALCODE", "2.5.4.17"),
];

/// How many of [`ATTRIBUTE_TYPES`] RFC 4514 §3 obliges every reader to know; only these are written by name.
const UNIVERSAL_SHORT_NAMES: usize = 9;

pub(super) fn short_name(attribute_type: &ObjectIdentifier) -> Option<&'static str> {
    let dotted = attribute_type.to_string();
    ATTRIBUTE_TYPES
        .iter()
        .take(UNIVERSAL_SHORT_NAMES)
        .find(|(_, oid)| *oid == dotted)
        .map(|(name, _)| *name)
}

/// Whether the attribute type is known to be compared by caseIgnoreMatch or caseIgnoreIA5Match.
pub(super) fn ignores_case(attribute_type: &ObjectIdentifier) -> bool {
    let dotted = attribute_type.to_string();
    ATTRIBUTE_TYPES.iter().any(|(_, oid)| *oid == dotted)
}

pub(super) fn distinguished_name(text: &str) -> Result<DistinguishedName, DistinguishedNameError> {
    if text.trim().is_empty() {
        return Err(DistinguishedNameError::Empty);
    }
    if text.trim_start().starts_with('/') {
        return Err(DistinguishedNameError::OpensslFormat);
    }
    let mut characters = text.chars().peekable();
    let mut relative_names = Vec::new();
    let mut attributes = Vec::new();
    loop {
        attributes.push(attribute(&mut characters)?);
        let separator = characters.next();
        if separator != Some('+') {
            relative_names.push(RelativeName::new(std::mem::take(&mut attributes)));
        }
        if separator.is_none() {
            return Ok(DistinguishedName { relative_names });
        }
    }
}

/// `type = value`, up to the `,` or `+` that ends it, which is left for the caller.
fn attribute(characters: &mut Peekable<Chars<'_>>) -> Result<Attribute, DistinguishedNameError> {
    let mut name = String::new();
    loop {
        match characters.next() {
            Some('=') => break,
            Some(',' | '+') | None => return Err(DistinguishedNameError::MissingEquals),
            Some(character) => name.push(character),
        }
    }
    let attribute_type = attribute_type(name.trim())?;
    while characters.next_if_eq(&' ').is_some() {}
    let value = match characters.next_if_eq(&'#') {
        Some(_) => hex_value(characters)?,
        None => text_value(characters)?,
    };
    Ok(Attribute {
        attribute_type,
        value,
    })
}

fn attribute_type(name: &str) -> Result<ObjectIdentifier, DistinguishedNameError> {
    if name
        .get(..4)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("OID."))
    {
        return Err(DistinguishedNameError::OidPrefix);
    }
    let dotted = ATTRIBUTE_TYPES
        .iter()
        .find(|(short, _)| short.eq_ignore_ascii_case(name))
        .map_or(name, |(_, oid)| oid);
    ObjectIdentifier::new(dotted).map_err(|_| DistinguishedNameError::UnknownAttributeType(name.to_owned()))
}

fn hex_value(characters: &mut Peekable<Chars<'_>>) -> Result<Value, DistinguishedNameError> {
    let mut digits = String::new();
    while let Some(character) = characters.next_if(|character| !matches!(character, ',' | '+')) {
        digits.push(character);
    }
    let der = hex_bytes(digits.trim_end()).ok_or(DistinguishedNameError::BadHexValue)?;
    value_from_der(&der).ok_or(DistinguishedNameError::BadHexValue)
}

fn hex_bytes(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|pair| hex::byte(*pair));
    rest.is_empty().then(|| bytes.collect())?
}

fn text_value(characters: &mut Peekable<Chars<'_>>) -> Result<Value, DistinguishedNameError> {
    let mut bytes = Vec::new();
    let mut significant = 0;
    while let Some(character) = characters.next_if(|character| !matches!(character, ',' | '+')) {
        match character {
            '\\' => {
                bytes.push(escaped_byte(characters)?);
                significant = bytes.len();
            }
            '"' | ';' | '<' | '>' => return Err(DistinguishedNameError::UnescapedCharacter(character)),
            ' ' => bytes.push(b' '),
            other => {
                bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                significant = bytes.len();
            }
        }
    }
    bytes.truncate(significant);
    let text = String::from_utf8(bytes).map_err(|_| DistinguishedNameError::NotUtf8)?;
    if text.is_empty() {
        Err(DistinguishedNameError::EmptyValue)
    } else {
        Ok(Value::Text(text))
    }
}

/// What follows a backslash: a special character, or two hexadecimal digits that stand for one byte.
fn escaped_byte(characters: &mut Peekable<Chars<'_>>) -> Result<u8, DistinguishedNameError> {
    let first = characters.next().ok_or(DistinguishedNameError::BadEscape)?;
    if matches!(first, ' ' | '"' | '#' | '+' | ',' | ';' | '<' | '=' | '>' | '\\') {
        return u8::try_from(first).map_err(|_| DistinguishedNameError::BadEscape);
    }
    let pair: String = [Some(first), characters.next()].into_iter().flatten().collect();
    match hex_bytes(&pair).as_deref() {
        Some([byte]) => Ok(*byte),
        _ => Err(DistinguishedNameError::BadEscape),
    }
}
