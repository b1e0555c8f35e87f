//! What a `WWW-Authenticate` header says of the token that was sent.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// Whether a `Bearer` challenge calls the token invalid: then, and only then, another token may help.
///
/// [RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1), RFC 9110 §11.6.1
pub(crate) fn calls_token_invalid(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .into_iter()
        .any(|value| bearer_errors(value).any(|error| error == "invalid_token"))
}

/// The `error` parameters of the Bearer challenges in one header.
fn bearer_errors(header: &str) -> impl Iterator<Item = String> {
    let mut is_bearer = false;
    split_outside_quotes(header).into_iter().filter_map(move |item| {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        // `Bearer realm` starts a challenge with its first parameter, `Negotiate` one without any.
        let mut words = name.split_whitespace();
        let (first, second) = (words.next()?, words.next());
        if second.is_some() || value.is_empty() {
            is_bearer = first.eq_ignore_ascii_case("bearer");
        }
        let is_error = second.unwrap_or(first).eq_ignore_ascii_case("error");
        (is_bearer && is_error).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The parts between commas that stand in no quoted string.
fn split_outside_quotes(header: &str) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_separator = |character: char| {
        let separates = character == ',' && !is_quoted;
        is_quoted ^= character == '"' && !is_escaped;
        is_escaped = character == '\\' && is_quoted && !is_escaped;
        separates
    };
    header.split(is_separator).map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_invalid(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        calls_token_invalid(&headers)
    }

    #[test]
    fn finds_an_invalid_token_in_every_form_of_a_bearer_challenge() {
        for values in [
            &[r#"Bearer realm="api", error="invalid_token", error_description="no""#][..],
            &[r#"bearer error="invalid_token""#],
            &["Bearer error=invalid_token"],
            &[r#"Basic realm="a, b", Bearer realm="\"", error="invalid_token""#],
            &["Negotiate, Bearer ERROR = \"invalid_token\""],
            &[r#"Basic realm="x""#, r#"Bearer error="invalid_token""#],
        ] {
            assert!(is_invalid(values), "{values:?}");
        }
    }

    #[test]
    fn finds_none_where_something_else_is_wrong() {
        for values in [
            &[][..],
            &[r#"Bearer realm="api""#],
            &[r#"Bearer error="insufficient_scope""#],
            &[r#"Bearer realm="x, error=\"invalid_token\"""#],
            &[r#"Bearer error_description="error=invalid_token""#],
            &[r#"DPoP error="invalid_token""#],
            &[r#"Bearer realm="x", DPoP error="invalid_token""#],
        ] {
            assert!(!is_invalid(values), "{values:?}");
        }
    }
}
