//! Bearer tokens as a resource server meets them: read from one `Authorization` header, refused by a challenge.

use std::fmt;

use crate::{
    error::{ErrorCode, OAuthError},
    scope::Scope,
};

/// Reads the token of a request from the values of its `Authorization` headers.
///
/// The scheme's case does not matter; the token must be one `b64token`, with nothing before, inside or behind it.
///
/// # Errors
///
/// [`BearerError::Missing`] where there is no bearer token at all, [`BearerError::Malformed`] where there are two, or
/// where what there is cannot be one.
///
/// [RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1), RFC 9110 §11.1
pub fn parse_authorization<'a>(mut headers: impl Iterator<Item = &'a [u8]>) -> Result<&'a str, BearerError> {
    let header = headers.next().ok_or(BearerError::Missing)?;
    if headers.next().is_some() {
        return Err(BearerError::Malformed);
    }
    let header = str::from_utf8(header).map_err(|_| BearerError::Malformed)?;
    let (scheme, credentials) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(BearerError::Missing);
    }
    let token = credentials.trim_start_matches(' ');
    if is_b64token(token) {
        Ok(token)
    } else {
        Err(BearerError::Malformed)
    }
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`, RFC 6750 §2.1.
fn is_b64token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    let is_of_body = |byte: u8| matches!(byte, b'+' | b'-'..=b'9' | b'A'..=b'Z' | b'_' | b'a'..=b'z' | b'~');
    // Without a way out at the first that is wrong, many are looked at in one step.
    !body.is_empty() && body.bytes().fold(true, |all, byte| all & is_of_body(byte))
}

/// Why a request has no usable bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BearerError {
    /// No `Authorization` header, or one of another scheme.
    #[error("the request carries no bearer token")]
    Missing,
    /// Two headers, or a token that breaks the grammar.
    #[error("the request's bearer token is malformed or repeated")]
    Malformed,
}

/// A `WWW-Authenticate: Bearer` challenge. Its `Display` is the header's value.
///
/// [RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3)
#[derive(Clone, Debug)]
pub struct Challenge<'a> {
    realm: &'a str,
    error: Option<OAuthError>,
    scope: Option<&'a Scope>,
    resource_metadata: Option<&'a str>,
}

impl<'a> Challenge<'a> {
    /// For a request without token: it is told what is asked for, and of no error.
    ///
    /// RFC 6750 §3.1
    pub const fn new(realm: &'a str) -> Self {
        Self {
            realm,
            error: None,
            scope: None,
            resource_metadata: None,
        }
    }

    /// For a request whose token was refused.
    #[must_use]
    pub const fn with_error(self, error: OAuthError) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }

    /// Names the scope that would have been needed, beside `insufficient_scope`.
    #[must_use]
    pub fn with_scope(self, scope: &'a Scope) -> Self {
        Self {
            scope: Some(scope).filter(|scope| !scope.is_empty()),
            ..self
        }
    }

    /// Names the URL of the resource's metadata, from which a client learns where tokens for it are issued.
    ///
    /// [RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)
    #[must_use]
    pub const fn with_resource_metadata(self, url: &'a str) -> Self {
        Self {
            resource_metadata: Some(url),
            ..self
        }
    }
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Bearer realm=\"{}\"", quotable(self.realm))?;
        if let Some(error) = &self.error {
            let OAuthError { code, description } = error;
            write!(
                formatter,
                ", error=\"{}\", error_description=\"{description}\"",
                code.as_str()
            )?;
        }
        if let Some(scope) = self.scope {
            write!(formatter, ", scope=\"{scope}\"")?;
        }
        match self.resource_metadata {
            Some(url) => write!(formatter, ", resource_metadata=\"{}\"", quotable(url)),
            None => Ok(()),
        }
    }
}

/// What may stand in a quoted string without escapes; anything else is dropped.
fn quotable(text: &str) -> String {
    text.chars()
        .filter(|character| matches!(character, ' '..='~') && !matches!(character, '"' | '\\'))
        .collect()
}

/// The answer to every token that does not open the door, whatever was wrong with it.
///
/// RFC 6750 §3.1
pub const INVALID_TOKEN: OAuthError = OAuthError::new(
    ErrorCode::InvalidToken,
    "the access token is not valid for this request",
);

/// The answer to a good token without the scope that the request needs.
///
/// RFC 6750 §3.1
pub const INSUFFICIENT_SCOPE: OAuthError = OAuthError::new(
    ErrorCode::InsufficientScope,
    "the access token lacks the scope that the request needs",
);

/// The answer to a request whose token is malformed, repeated or in the wrong place.
///
/// RFC 6750 §3.1
pub const INVALID_REQUEST: OAuthError =
    OAuthError::invalid_request("send one access token, in one Authorization header of scheme Bearer");

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<'a>(headers: &[&'a str]) -> Result<&'a str, BearerError> {
        parse_authorization(headers.iter().map(|header| header.as_bytes()))
    }

    /// P12, B11.
    #[test]
    fn accepts_the_scheme_in_any_case() {
        for header in ["Bearer abc.-_~+/==", "bearer abc.-_~+/==", "BEARER  abc.-_~+/=="] {
            assert_eq!(parse(&[header]), Ok("abc.-_~+/=="));
        }
    }

    /// B1, trap j.
    #[test]
    fn finds_no_token_where_none_is_sent() {
        assert_eq!(parse(&[]), Err(BearerError::Missing));
        assert_eq!(parse(&["Basic x bearer y"]), Err(BearerError::Missing));
    }

    /// P12, B4, trap j.
    #[test]
    fn refuses_two_tokens_and_malformed_ones() {
        for headers in [
            &["Bearer a", "Bearer a"][..],
            &["Bearer ab cd"],
            &["Bearer"],
            &["Bearer "],
            &["Bearer ="],
            &["Bearer a "],
            &["Bearer a,Bearer b"],
            &["Bearer a\u{e9}"],
        ] {
            assert_eq!(parse(headers), Err(BearerError::Malformed), "{headers:?}");
        }
    }

    /// RFC 6750 §2.1.
    #[test]
    fn a_token_holds_the_characters_of_the_grammar_and_no_others() {
        for byte in 0..=0x7f_u8 {
            let character = char::from(byte);
            let is_of_grammar = character.is_ascii_alphanumeric() || "-._~+/".contains(character);
            assert_eq!(
                is_b64token(&format!("a{character}b")),
                is_of_grammar,
                "{character:?}"
            );
        }
    }

    /// B7, O17.
    #[test]
    fn describes_errors_in_characters_that_need_no_escape() {
        for error in [INVALID_TOKEN, INSUFFICIENT_SCOPE, INVALID_REQUEST] {
            let allowed = |byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(error.description.bytes().all(allowed), "{error}");
        }
    }

    /// B1, B2, B3, B6.
    #[test]
    fn writes_each_parameter_at_most_once() {
        let scope: Scope = "transactions".parse().unwrap();
        assert_eq!(
            Challenge::new("api.example.com").to_string(),
            "Bearer realm=\"api.example.com\""
        );
        assert_eq!(
            Challenge::new("a\"b")
                .with_error(INSUFFICIENT_SCOPE)
                .with_scope(&scope)
                .to_string(),
            "Bearer realm=\"ab\", error=\"insufficient_scope\", error_description=\"the access token lacks the \
             scope that the request needs\", scope=\"transactions\""
        );
    }

    /// S4.
    #[test]
    fn names_the_metadata_of_the_resource_once_and_quoted() {
        let url = "https://api.example.com/.well-known/oauth-protected-resource";
        let challenge = Challenge::new("api.example.com").with_resource_metadata(url);
        let expected = format!("Bearer realm=\"api.example.com\", resource_metadata=\"{url}\"");
        assert_eq!(challenge.to_string(), expected);
        let with_error = challenge.with_error(INVALID_TOKEN).to_string();
        assert_eq!(with_error.matches("resource_metadata=").count(), 1);
        let unquotable = Challenge::new("a").with_resource_metadata("https://a/\", error=\"x");
        assert!(!unquotable.to_string().contains("error=\"x"), "{unquotable}");
    }
}
