//! The head of an answer.

use std::mem::{MaybeUninit, take};

use bytes::{Buf, Bytes};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use super::Malformed;

/// In bytes; bounds, with [`MOST_FIELDS`], the memory an API's header fields can take.
pub(super) const LONGEST: usize = 64 * 1024;
const MOST_FIELDS: usize = 100;

/// Takes the head of an answer off what was read, once it is there to its end; its values share the memory. `fields`
/// is where they are gathered, emptied first.
///
/// # Errors
///
/// [`Malformed`] where it is no head of HTTP/1, or too long.
pub(super) fn take_head(read: &mut Bytes, fields: &mut HeaderMap) -> Result<Option<Parts>, Malformed> {
    let whole = read.clone();
    let mut lines = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let parsing = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        &whole,
        &mut lines,
    )?;
    let length = match parsing {
        httparse::Status::Complete(length) if length <= LONGEST => length,
        httparse::Status::Partial if whole.len() < LONGEST => return Ok(None),
        _ => return Err(Malformed::TooLong),
    };
    fields.clear();
    fields.reserve(parsed.headers.len());
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| httparse::Error::HeaderName)?;
        let value = HeaderValue::from_maybe_shared(whole.slice_ref(line.value))
            .map_err(|_| httparse::Error::HeaderValue)?;
        fields.append(name, value);
    }
    read.advance(length);
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status =
        StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(|_| httparse::Error::Status)?;
    parts.version = match parsed.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    parts.headers = take(fields);
    keep_reason(&mut parts, parsed.reason.unwrap_or_default());
    Ok(Some(parts))
}

/// A reason of the API's own goes on to the caller.
fn keep_reason(parts: &mut Parts, reason: &str) {
    if parts.status.canonical_reason() == Some(reason) {
        return;
    }
    if let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes()) {
        parts.extensions.insert(reason);
    }
}
