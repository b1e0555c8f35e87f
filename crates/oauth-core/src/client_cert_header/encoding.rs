//! The ways in which load balancers write a client certificate into a header, told apart strictly.
//!
//! A value is read as the one encoding it is said to have, or not at all; the error names the encoding it looks like.
//! Whoever reads one must know, by other means, that only the load balancer could have written it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use x509_cert::der::{Decode as _, Tag, Tagged as _, asn1::AnyRef};

use crate::{hex, thumbprint::CertificateThumbprint};

/// An encoding of a client certificate as a header's value, by its name in configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderEncoding {
    /// `rfc9440`: `:`, base64 of the DER, `:`; the standard's `Client-Cert`.
    ///
    /// [RFC 9440 §2.1](https://www.rfc-editor.org/rfc/rfc9440#section-2.1)
    Rfc9440,
    /// `base64-der`: base64 of the DER; `%[ssl_c_der,base64]` of `HAProxy`, Azure's `X-ARR-ClientCert`.
    Base64Der,
    /// `base64-pem`: base64 of the whole PEM file; WSO2's `X-WSO2-CLIENT-CERTIFICATE`.
    Base64Pem,
    /// `url-encoded-pem`: PEM, all but RFC 3986's unreserved characters percent-encoded; nginx's
    /// `$ssl_client_escaped_cert`.
    UrlEncodedPem,
    /// `aws-alb`: PEM, percent-encoded but for `+`, `/` and `=`; `X-Amzn-Mtls-Clientcert` and `-Leaf`.
    AwsAlb,
    /// `pem-with-blanks`: PEM whose line ends have become blanks; Apache's `SSL_CLIENT_CERT`.
    PemWithBlanks,
    /// `traefik`: base64 of the DER, the chain's separated by commas; percent-encoded before version 2.9.4. Traefik's
    /// `X-Forwarded-Tls-Client-Cert`.
    Traefik,
    /// `envoy-xfcc`: one element with a `Cert`, percent-encoded PEM in quotes; Envoy's `X-Forwarded-Client-Cert`.
    EnvoyXfcc,
}

impl HeaderEncoding {
    /// Every encoding.
    pub const ALL: [Self; 8] = [
        Self::Rfc9440,
        Self::Base64Der,
        Self::Base64Pem,
        Self::UrlEncodedPem,
        Self::AwsAlb,
        Self::PemWithBlanks,
        Self::Traefik,
        Self::EnvoyXfcc,
    ];

    /// The name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rfc9440 => "rfc9440",
            Self::Base64Der => "base64-der",
            Self::Base64Pem => "base64-pem",
            Self::UrlEncodedPem => "url-encoded-pem",
            Self::AwsAlb => "aws-alb",
            Self::PemWithBlanks => "pem-with-blanks",
            Self::Traefik => "traefik",
            Self::EnvoyXfcc => "envoy-xfcc",
        }
    }

    /// Reads the DER encodings of the certificate and, where the producer sends them along, of the authorities between
    /// it and a trust anchor: the certificate first, never none.
    ///
    /// # Errors
    ///
    /// [`MalformedCertificateHeader`] for everything else; it says which other encoding the value has, if any.
    pub fn decode(self, value: &[u8]) -> Result<Vec<Vec<u8>>, MalformedCertificateHeader> {
        self.read(value).ok_or_else(|| MalformedCertificateHeader {
            expected: self,
            seen: Self::ALL
                .into_iter()
                .find(|other| *other != self && other.read(value).is_some()),
        })
    }

    fn read(self, value: &[u8]) -> Option<Vec<Vec<u8>>> {
        let value = str::from_utf8(value).ok()?;
        match self {
            Self::Rfc9440 => one(super::decode(value).ok()?),
            Self::Base64Der => one(der(value)?),
            Self::Base64Pem => pem(&text(STANDARD.decode(value).ok()?)?, '\n'),
            Self::UrlEncodedPem => pem(&percent_decoded(value, "")?, '\n'),
            Self::AwsAlb => pem(&percent_decoded(value, "+/=")?, '\n'),
            Self::PemWithBlanks => pem(value, ' '),
            Self::Traefik => traefik(value),
            Self::EnvoyXfcc => envoy(value),
        }
    }
}

impl fmt::Display for HeaderEncoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A header's value does not hold a certificate in the encoding it is said to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedCertificateHeader {
    /// The encoding it is said to have.
    pub expected: HeaderEncoding,
    /// The encoding it has.
    pub seen: Option<HeaderEncoding>,
}

impl fmt::Display for MalformedCertificateHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the header holds no certificate encoded as {}",
            self.expected
        )?;
        match self.seen {
            Some(seen) => write!(formatter, ": it is encoded as {seen}"),
            None => formatter.write_str(", nor in any other encoding known here"),
        }
    }
}

impl std::error::Error for MalformedCertificateHeader {}

fn one(der: Vec<u8>) -> Option<Vec<Vec<u8>>> {
    is_sequence(&der).then(|| vec![der])
}

fn der(base64: &str) -> Option<Vec<u8>> {
    STANDARD.decode(base64).ok().filter(|der| is_sequence(der))
}

/// What tells DER from PEM, both of them in base64: one SEQUENCE, whole. Whether it is a certificate, its reader says.
fn is_sequence(bytes: &[u8]) -> bool {
    AnyRef::from_der(bytes).is_ok_and(|value| value.tag() == Tag::Sequence)
}

fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok()
}

/// One or more PEM blocks and nothing else, their lines ended by `line_end` – with `\r` before it, where it is `\n`.
///
/// [RFC 7468 §5.1](https://www.rfc-editor.org/rfc/rfc7468#section-5.1)
fn pem(text: &str, line_end: char) -> Option<Vec<Vec<u8>>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let is_line_end = |character| character == line_end || (line_end == '\n' && character == '\r');
    let mut certificates = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (body, after) = rest.strip_prefix(BEGIN)?.split_once(END)?;
        if !body.starts_with(is_line_end) || !body.ends_with(is_line_end) {
            return None;
        }
        certificates.push(der(&body.replace(is_line_end, ""))?);
        rest = after.trim_start_matches(is_line_end);
    }
    (!certificates.is_empty()).then_some(certificates)
}

/// Decodes what was percent-encoded but for the unreserved characters and `unencoded`; a character that should not
/// have been encoded, or should have been, makes it another encoding.
///
/// [RFC 3986 §2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)
fn percent_decoded(value: &str, unencoded: &str) -> Option<String> {
    let stays = |byte: u8| {
        byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || unencoded.as_bytes().contains(&byte)
    };
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => hex::byte([bytes.next()?, bytes.next()?])?,
            byte if stays(byte) => byte,
            _ => return None,
        };
        decoded.push(byte);
    }
    let needless = |byte: &u8| unencoded.as_bytes().contains(byte);
    let encoded_needlessly = decoded.iter().filter(|byte| needless(byte)).count()
        != value.bytes().filter(|byte| needless(byte)).count();
    if encoded_needlessly {
        return None;
    }
    text(decoded)
}

fn traefik(value: &str) -> Option<Vec<Vec<u8>>> {
    let decoded = |member: &str| match member.contains('%') {
        true => der(&percent_decoded(member, "")?),
        false => der(member),
    };
    value.split(',').map(decoded).collect()
}

/// Envoy appends an element for each proxy that the request passed: more than one leaves open whose word counts.
fn envoy(value: &str) -> Option<Vec<Vec<u8>>> {
    let mut certificate = None;
    let mut chain = None;
    let mut hash = None;
    for pair in split_outside_quotes(value, ';')? {
        if split_outside_quotes(pair, ',')?.len() > 1 {
            return None;
        }
        let (key, value) = pair.split_once('=')?;
        let place = match key {
            "Cert" => &mut certificate,
            "Chain" => &mut chain,
            "Hash" => &mut hash,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    let decoded = |value: &str| pem(&percent_decoded(unquoted(value), "")?, '\n');
    let leaf = certificate.map(decoded)?.filter(|leaf| leaf.len() == 1)?;
    if hash.is_some_and(|hash| !is_hash_of(unquoted(hash), &leaf)) {
        return None;
    }
    match chain {
        None => Some(leaf),
        Some(chain) => decoded(chain).filter(|chain| chain.first() == leaf.first()),
    }
}

fn is_hash_of(hex: &str, leaf: &[Vec<u8>]) -> bool {
    let hashes = leaf.iter().map(|der| CertificateThumbprint::of_der(der));
    CertificateThumbprint::parse_hex(hex).is_ok_and(|hash| hashes.eq([hash]))
}

fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// The parts between the separators that stand in no quotes; `None` where a quote is not closed.
fn split_outside_quotes(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(|character| {
        let separates = character == separator && !quoted;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        separates
    });
    let parts = parts.collect();
    (!quoted).then_some(parts)
}

#[cfg(test)]
mod tests;
