//! The public keys that a client publishes at a URL of its own, where it changes them without asking.
//!
//! Read leniently, unlike what an operator registers: a key that is not understood is none, and the others count.

use std::fmt;

use serde_json::{Map, Value};

use super::jwks::{MOST_KEYS, is_secret};
use super::registered_certificates::RegisteredCertificates;
use crate::jwt::{AssertionKeys, JwksError};

/// The URL of a client's keys: `https`, and nothing that stays on the client's side of a request.
///
/// [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2)
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JwksUri(String);

impl JwksUri {
    /// Checks a URL.
    ///
    /// # Errors
    ///
    /// [`MalformedJwksUri`] where it is no `https` URL with a host, or has user, password or fragment.
    pub fn parse(text: &str) -> Result<Self, MalformedJwksUri> {
        let rest = text.strip_prefix("https://").ok_or(MalformedJwksUri)?;
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || host.contains(['@', '\\']) || rest.contains('#') || !is_plain {
            return Err(MalformedJwksUri);
        }
        Ok(Self(text.to_owned()))
    }

    /// The URL, letter by letter as registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is no URL that keys are fetched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an https URL without user and fragment, such as https://partner.example/jwks")]
pub struct MalformedJwksUri;

/// The keys that a client publishes, for whichever method it authenticates by.
#[derive(Clone, Debug)]
pub struct PublishedKeys {
    pub(crate) certificates: RegisteredCertificates,
    pub(crate) assertion_keys: AssertionKeys,
}

impl PublishedKeys {
    /// Reads a JWKS document. Keys for other uses, secret ones and such as are not understood are passed over; a
    /// document without a key says that the client has none any more.
    ///
    /// # Errors
    ///
    /// [`JwksError`] where the document is no JWKS, or holds more keys than anybody needs.
    ///
    /// RFC 7517 §5, RFC 8705 §2.2.2
    pub fn from_jwks(document: &[u8]) -> Result<Self, JwksError> {
        let document: Value = serde_json::from_slice(document).map_err(|_| JwksError::Malformed)?;
        let keys = document.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or(JwksError::Malformed)?;
        if keys.len() > MOST_KEYS {
            return Err(JwksError::TooManyKeys);
        }
        let usable = keys.iter().filter_map(Value::as_object);
        let usable: Vec<&Map<String, Value>> = usable.filter(|key| !is_secret(key)).collect();
        let mut assertion_keys = AssertionKeys::default();
        for key in &usable {
            // What cannot verify an assertion is meant for something else.
            let _passed_over = assertion_keys.add(key);
        }
        let certificates = usable
            .into_iter()
            .filter_map(|key| RegisteredCertificates::certificate_of(key).ok());
        Ok(Self {
            certificates: certificates.collect(),
            assertion_keys,
        })
    }
}

impl fmt::Display for JwksUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::registered_certificates::tests::rfc_8705_appendix_a;
    use super::*;

    fn published(keys: &[Value]) -> Result<PublishedKeys, JwksError> {
        PublishedKeys::from_jwks(json!({ "keys": keys }).to_string().as_bytes())
    }

    /// How many certificates, and whether there is a key for assertions.
    fn found(keys: &[Value]) -> (usize, bool) {
        let PublishedKeys {
            certificates,
            assertion_keys,
        } = published(keys).unwrap();
        (
            certificates.thumbprints().len(),
            format!("{assertion_keys:?}") != "[]",
        )
    }

    /// M20: a key that is meant for something else costs nobody the others.
    #[test]
    fn reads_what_it_understands_and_passes_over_the_rest() {
        let key = rfc_8705_appendix_a()["keys"][0].clone();
        let with = |members: Value| {
            let mut key = key.clone();
            for (name, value) in members.as_object().unwrap() {
                key[name] = value.clone();
            }
            key
        };
        assert_eq!(found(std::slice::from_ref(&key)), (1, true));
        let others = [
            json!({ "kty": "oct", "k": "AQ" }),
            json!("no key"),
            json!({ "kty": "unheard-of" }),
            with(json!({ "d": "AQ" })),
        ];
        assert_eq!(found(&others), (0, false), "a secret key is nobody's to use");
        let with_others = [&others[..], std::slice::from_ref(&key)].concat();
        assert_eq!(found(&with_others), (1, true));
        assert_eq!(found(&[with(json!({ "use": "enc" }))]), (1, false));
        assert_eq!(found(&[]), (0, false), "the client has none any more");
    }

    /// M20.
    #[test]
    fn refuses_what_is_no_jwks_and_more_keys_than_anybody_needs() {
        for document in ["", "[]", "{}", r#"{"keys":{}}"#] {
            let read = PublishedKeys::from_jwks(document.as_bytes());
            assert_eq!(read.unwrap_err(), JwksError::Malformed, "{document}");
        }
        let key = rfc_8705_appendix_a()["keys"][0].clone();
        assert!(published(&vec![key.clone(); MOST_KEYS]).is_ok());
        assert_eq!(
            published(&vec![key; MOST_KEYS + 1]).unwrap_err(),
            JwksError::TooManyKeys
        );
    }

    /// M20, F13.
    #[test]
    fn accepts_https_urls_alone() {
        for uri in [
            "https://partner.example/jwks",
            "https://partner.example:8443/a?b=c",
        ] {
            assert_eq!(JwksUri::parse(uri).unwrap().as_str(), uri);
        }
        for uri in [
            "http://partner.example/jwks",
            "file:///etc/passwd",
            "https://",
            "https:///jwks",
            "https://user@partner.example/jwks",
            "https://partner.example\\@other.example/jwks",
            "https://partner.example/jwks#keys",
            "https://partner.example/a b",
        ] {
            assert_eq!(JwksUri::parse(uri), Err(MalformedJwksUri), "{uri}");
        }
    }
}
