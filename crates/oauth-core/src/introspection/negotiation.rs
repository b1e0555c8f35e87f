//! Which of three representations an introspection answer takes, told by `Accept`.

/// A representation of an introspection answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Representation {
    /// `application/json`. RFC 7662 §2.2
    Json,
    /// `application/jwt`: the access token itself as a JWT, to travel on to the API. RFC 9068 §2
    AccessTokenJwt,
    /// `application/token-introspection+jwt`: the answer, signed. RFC 9701 §5
    IntrospectionJwt,
}

/// Best first among equals: JSON is what RFC 7662 promises to whoever asks for nothing in particular.
const OFFERED: [Representation; 3] = [
    Representation::Json,
    Representation::AccessTokenJwt,
    Representation::IntrospectionJwt,
];

impl Representation {
    /// The representation's media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::AccessTokenJwt => "application/jwt",
            Self::IntrospectionJwt => "application/token-introspection+jwt",
        }
    }

    /// Chooses by the value of the `Accept` header; without one, JSON.
    ///
    /// # Errors
    ///
    /// [`NotAcceptable`] where the caller accepts none of the three.
    ///
    /// [RFC 9110 §12.5.1](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1)
    pub fn negotiate(accept: Option<&str>) -> Result<Self, NotAcceptable> {
        let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
            return Ok(Self::Json);
        };
        // As most callers ask: for one, and without any weight.
        if let Some(asked) = OFFERED.into_iter().find(|offered| offered.media_type() == accept) {
            return Ok(asked);
        }
        let ranges: Vec<MediaRange<'_>> = accept.split(',').filter_map(MediaRange::parse).collect();
        OFFERED
            .into_iter()
            .map(|representation| (representation, representation.quality(&ranges)))
            .filter(|(_, quality)| *quality > 0)
            // `max_by_key` keeps the last of equals; the offer is ordered best first.
            .rev()
            .max_by_key(|(_, quality)| *quality)
            .map(|(representation, _)| representation)
            .ok_or(NotAcceptable)
    }

    /// The quality, in thousandths, of the most specific range that covers the representation.
    fn quality(self, ranges: &[MediaRange<'_>]) -> u16 {
        ranges
            .iter()
            .filter_map(|range| Some((range.specificity(self.media_type())?, range.quality)))
            .max_by_key(|(specificity, _)| *specificity)
            .map_or(0, |(_, quality)| quality)
    }
}

struct MediaRange<'a> {
    media_type: &'a str,
    quality: u16,
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().filter(|media_type| media_type.contains('/'))?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some(Self {
            media_type,
            quality: weight.map_or(Some(1_000), thousandths)?,
        })
    }

    fn specificity(&self, media_type: &str) -> Option<u8> {
        if self.media_type.eq_ignore_ascii_case(media_type) {
            Some(2)
        } else if self.media_type.eq_ignore_ascii_case("application/*") {
            Some(1)
        } else if self.media_type == "*/*" {
            Some(0)
        } else {
            None
        }
    }
}

/// `0(.ddd)` or `1(.000)` in thousandths. RFC 9110 §12.4.2
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1_000),
        _ => None,
    }
}

/// The caller accepts none of the representations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("introspection answers as application/json, application/jwt or application/token-introspection+jwt")]
pub struct NotAcceptable;

#[cfg(test)]
mod tests {
    use super::*;

    /// P4, P5, J1.
    #[test]
    fn chooses_what_the_caller_prefers() {
        for (accept, chosen) in [
            (None, Representation::Json),
            (Some(""), Representation::Json),
            (Some("*/*"), Representation::Json),
            (Some("application/*"), Representation::Json),
            (Some("application/json"), Representation::Json),
            (Some("application/jwt"), Representation::AccessTokenJwt),
            (Some("APPLICATION/JWT"), Representation::AccessTokenJwt),
            (
                Some("application/jwt;q=0.5, application/json"),
                Representation::Json,
            ),
            (
                Some("application/json;q=0.5, application/jwt"),
                Representation::AccessTokenJwt,
            ),
            (Some("*/*, application/json;q=0"), Representation::AccessTokenJwt),
            (
                Some("text/html, application/token-introspection+jwt;q=0.001"),
                Representation::IntrospectionJwt,
            ),
        ] {
            assert_eq!(Representation::negotiate(accept), Ok(chosen), "{accept:?}");
        }
    }

    /// P6.
    #[test]
    fn refuses_a_caller_who_accepts_none() {
        for accept in [
            "text/html",
            "application/json;q=0",
            "*/*;q=0",
            "application/jwt;q=2",
            "nonsense",
        ] {
            assert_eq!(
                Representation::negotiate(Some(accept)),
                Err(NotAcceptable),
                "{accept}"
            );
        }
    }
}
