//! Form parameters as OAuth reads them: each at most once, an empty value the same as none, unknown ones ignored.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use crate::error::OAuthError;

/// The parameters of an `application/x-www-form-urlencoded` body. `Debug` shows names, never values.
///
/// [RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)
#[derive(Clone)]
pub struct FormParameters<'a>(BTreeMap<Cow<'a, str>, Cow<'a, str>>);

impl<'a> FormParameters<'a> {
    /// Reads the parameters of a request from its media type and its body.
    ///
    /// # Errors
    ///
    /// `invalid_request` where the body is no form, is not UTF-8, or repeats a parameter.
    ///
    /// RFC 6749 §3.2, Appendix B
    pub fn parse(content_type: Option<&str>, body: &'a [u8]) -> Result<Self, OAuthError> {
        if !content_type.is_some_and(is_form) {
            return Err(OAuthError::invalid_request(
                "send parameters as application/x-www-form-urlencoded",
            ));
        }
        let mut parameters = Self(BTreeMap::new());
        match plain(body) {
            Some(text) => {
                for pair in text.split('&').filter(|pair| !pair.is_empty()) {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    parameters.add(name.into(), value.into())?;
                }
            }
            None => {
                for (name, value) in form_urlencoded::parse(body) {
                    // The decoder replaces what is not UTF-8; a replaced character is never what the client meant.
                    if [&name, &value]
                        .iter()
                        .any(|text| text.contains(char::REPLACEMENT_CHARACTER))
                    {
                        return Err(OAuthError::invalid_request("parameters must be UTF-8"));
                    }
                    parameters.add(name, value)?;
                }
            }
        }
        parameters.0.retain(|_, value| !value.is_empty());
        Ok(parameters)
    }

    fn add(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> Result<(), OAuthError> {
        match self.0.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(OAuthError::invalid_request("a parameter is repeated")),
        }
    }

    /// The value of `name`, if the request carried one that is not empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(AsRef::as_ref)
    }

    /// The value of `name`.
    ///
    /// # Errors
    ///
    /// `missing`, where the request carried none.
    pub fn required(&self, name: &str, missing: OAuthError) -> Result<&str, OAuthError> {
        self.value(name).ok_or(missing)
    }
}

impl fmt::Debug for FormParameters<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// A body in which nothing is encoded, as in most: what stands there is what is meant. Decoding it costs ten times as
/// much, and gives the same.
fn plain(body: &[u8]) -> Option<&str> {
    let is_plain = body.is_ascii() && !body.contains(&b'%') && !body.contains(&b'+');
    is_plain.then(|| str::from_utf8(body).ok()).flatten()
}

fn is_form(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=UTF-8");

    /// O5, O6, I13.
    #[test]
    fn accepts_a_form_and_takes_an_empty_value_as_none() {
        let form = FormParameters::parse(FORM, b"a=1&empty=&token=a%26b%3Dc%25%2B+%0A").unwrap();
        assert_eq!(form.value("a"), Some("1"));
        assert_eq!(form.value("empty"), None);
        assert_eq!(form.value("token"), Some("a&b=c%+ \n"));
    }

    /// O3, O4, I9.
    #[test]
    fn refuses_other_media_types_repetitions_and_broken_utf_8() {
        for (content_type, body) in [
            (None, &b"a=1"[..]),
            (Some("application/json"), b"{}"),
            (FORM, b"a=1&a=2"),
            (FORM, b"a=1&a="),
            (FORM, b"a=%FF"),
        ] {
            let error = FormParameters::parse(content_type, body).unwrap_err();
            assert_eq!(error.code, crate::error::ErrorCode::InvalidRequest);
        }
    }

    /// O5: whoever reads a form in which nothing is encoded decodes it or not, as it likes.
    #[test]
    fn reads_a_plain_form_as_the_decoder_does() {
        let bodies: [&[u8]; 9] = [
            b"",
            b"&&",
            b"a",
            b"=",
            b"=b&c",
            b"a=b=c&d==",
            b"&a=1&&b=2&",
            b"a b=c;d",
            b"grant_type=client_credentials&client_id=partner-client&scope=a.b:c/d",
        ];
        for body in bodies {
            assert!(plain(body).is_some());
            let mut decoded: BTreeMap<_, _> = form_urlencoded::parse(body).collect();
            decoded.retain(|_, value| !value.is_empty());
            assert_eq!(FormParameters::parse(FORM, body).unwrap().0, decoded);
        }
        for encoded in [&b"a=%41"[..], b"a=b+c", "a=ä".as_bytes(), b"a=\xFF"] {
            assert!(plain(encoded).is_none());
        }
    }

    #[test]
    fn shows_no_value_when_debugged() {
        let form = FormParameters::parse(FORM, b"client_secret=hunter2").unwrap();
        assert_eq!(format!("{form:?}"), r#"{"client_secret"}"#);
    }
}
