//! For how long an answer may be kept, in its own words.

use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue};

/// For how long the answer may be kept: `None` where it does not say.
///
/// [RFC 9111 §5.2.2](https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2)
pub(crate) fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value: &HeaderValue| value.to_str().ok());
    let mut shortest: Option<Duration> = None;
    for directive in directives.flat_map(|value| value.split(',')).map(str::trim) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        let limit = match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(Duration::ZERO),
            // What cannot be read is not kept.
            "max-age" => Some(
                argument
                    .trim_matches('"')
                    .parse()
                    .map_or(Duration::ZERO, Duration::from_secs),
            ),
            _ => None,
        };
        shortest = shortest.into_iter().chain(limit).min();
    }
    shortest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(value))])
    }

    /// I12.
    #[test]
    fn the_answer_is_kept_no_longer_than_it_says() {
        for (value, expected) in [
            ("private, max-age=30", Some(30)),
            ("Max-Age=\"30\"", Some(30)),
            ("max-age=30, max-age=10", Some(10)),
            ("max-age=30, no-store", Some(0)),
            ("no-cache", Some(0)),
            ("max-age=soon", Some(0)),
            ("private", None),
        ] {
            assert_eq!(
                max_age(&with(value)),
                expected.map(Duration::from_secs),
                "{value}"
            );
        }
        assert_eq!(max_age(&HeaderMap::new()), None);
    }
}
