//! Where an answer ends, and whether another may follow it on its connection: decided here and nowhere else.

use std::mem;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use super::Malformed;

/// Longer than any body, and far from where sums overflow.
const LONGEST: u64 = i64::MAX as u64;

/// How an answer's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Exactly(u64),
    Chunked,
    /// It ends with its connection.
    UntilClosed,
}

/// What an answer's head says about the bytes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Framing {
    pub(super) length: Length,
    /// Whether the connection may carry another answer behind this one.
    pub(super) may_be_followed: bool,
}

impl Framing {
    /// Of an answer to a request of this method.
    ///
    /// | answer | its body | another may follow |
    /// |---|---|---|
    /// | to `HEAD`, 204, 304 | none | unless a body was announced that there must not be |
    /// | `Transfer-Encoding: chunked` | its chunks | unless it also names a length |
    /// | `Content-Length` | of that length | yes |
    /// | neither | until the connection is closed | no |
    ///
    /// And none follows over HTTP/1.0 or after `Connection: close`.
    /// [RFC 9112 §6.3](https://www.rfc-editor.org/rfc/rfc9112#section-6.3), §9.3
    ///
    /// # Errors
    ///
    /// [`Malformed`], where there is a body, for a length that is no number or more than one, and every coding but
    /// `chunked` alone.
    pub(super) fn of_answer(
        method: &Method,
        status: StatusCode,
        version: Version,
        fields: &HeaderMap,
    ) -> Result<Self, Malformed> {
        let said = Said::by(version, fields);
        if is_bodiless(method, status) {
            let is_sound = said.is_ok_and(|said| said.announces_no_body_after(status) && !said.closes);
            return Ok(Self {
                length: Length::Exactly(0),
                may_be_followed: is_sound && version == Version::HTTP_11,
            });
        }
        let said = said?;
        let (length, is_sound) = match (said.is_chunked, said.length) {
            (true, length) => (Length::Chunked, length.is_none()),
            (false, Some(length)) => (Length::Exactly(length), true),
            (false, None) => (Length::UntilClosed, false),
        };
        Ok(Self {
            length,
            may_be_followed: is_sound && version == Version::HTTP_11 && !said.closes,
        })
    }
}

fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// What the fields say of the end of a message.
#[derive(Debug, Default)]
struct Said {
    length: Option<u64>,
    is_chunked: bool,
    closes: bool,
}

impl Said {
    /// To `HEAD`, and with a 304, the length is that of another answer. RFC 9110 §8.6
    fn announces_no_body_after(&self, status: StatusCode) -> bool {
        let is_empty = status != StatusCode::NO_CONTENT || self.length.is_none_or(|length| length == 0);
        is_empty && !self.is_chunked
    }

    /// In one pass, for there are few fields, and most are others.
    fn by(version: Version, fields: &HeaderMap) -> Result<Self, Malformed> {
        let mut said = Self::default();
        for (name, value) in fields {
            if *name == CONTENT_LENGTH {
                said.length = one_length(said.length, value)?;
            } else if *name == TRANSFER_ENCODING {
                let is_first = !mem::replace(&mut said.is_chunked, true);
                let is_chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
                if !is_first || !is_chunked || version != Version::HTTP_11 {
                    return Err(Malformed::TransferEncoding);
                }
            } else if *name == CONNECTION {
                said.closes |= members(value).any(|option| option.eq_ignore_ascii_case(b"close"));
            }
        }
        Ok(said)
    }
}

/// The length that the fields of a message name.
///
/// # Errors
///
/// As [`Framing::of_answer`].
pub(super) fn content_length(fields: &HeaderMap) -> Result<Option<u64>, Malformed> {
    fields.get_all(CONTENT_LENGTH).iter().try_fold(None, one_length)
}

/// Leaves of an answer's lengths one that is a number, or none: no other may be passed on. RFC 9110 §8.6
pub(in crate::upstream) fn settle_content_length(fields: &mut HeaderMap) {
    let mut values = fields.get_all(CONTENT_LENGTH).iter();
    let is_settled = match (values.next(), values.next()) {
        (None, _) => true,
        (Some(only), None) => parse(only.as_bytes()).is_some(),
        (Some(_), Some(_)) => false,
    };
    if is_settled {
        return;
    }
    match content_length(fields) {
        Ok(Some(length)) => {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        Ok(None) | Err(_) => {
            fields.remove(CONTENT_LENGTH);
        }
    }
}

/// Adds what a field says to what is known: several times the same length is one. RFC 9110 §8.6
fn one_length(known: Option<u64>, value: &HeaderValue) -> Result<Option<u64>, Malformed> {
    members(value).try_fold(known, |known, member| {
        let length = parse(member).ok_or(Malformed::ContentLength)?;
        match known {
            Some(known) if known != length => Err(Malformed::ContentLength),
            _ => Ok(Some(length)),
        }
    })
}

fn members(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let members = value.as_bytes().split(|byte| *byte == b',');
    members.map(<[u8]>::trim_ascii)
}

/// `FromStr` would take a sign.
fn parse(member: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(member).ok()?;
    let length = match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse().ok(),
        false => None,
    };
    length.filter(|length| *length <= LONGEST)
}
