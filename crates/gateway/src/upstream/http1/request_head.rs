//! The head of a request, as it is written.

use http::header::{CONTENT_LENGTH, HeaderName, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, Request};
use http_body::Body;

use super::framing::content_length;
use crate::headers::{is_no_request_trailer, list_members};
use crate::upstream::OwnField;

/// How the body follows the head.
#[derive(Debug)]
pub(super) enum BodyForm {
    /// As it is; so much of it is still to come.
    Plain(u64),
    /// In chunks; behind them trailers of these names.
    Chunks(Vec<HeaderName>),
}

/// Writes the head, and says how the body follows: of the length that is announced or else known, or in chunks. The
/// gateway's own fields stand behind the request's, which has none of their names.
pub(super) fn write<'a, B: Body>(
    request: &Request<B>,
    own_fields: impl Iterator<Item = OwnField<'a>> + Clone,
) -> (Vec<u8>, BodyForm) {
    let fields = request.headers();
    let announced = content_length(fields).ok().flatten();
    let known = request.body().size_hint().exact();
    let form = match (announced, request.body().is_end_stream(), known) {
        (Some(length), ..) => BodyForm::Plain(length),
        (None, true, _) => BodyForm::Plain(0),
        (None, false, Some(length)) => BodyForm::Plain(length),
        (None, false, None) => BodyForm::Chunks(announced_trailers(fields)),
    };
    let mut head = Vec::with_capacity(room(request, own_fields.clone()));
    head.extend_from_slice(request.method().as_str().as_bytes());
    head.push(b' ');
    put_target(&mut head, request);
    head.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in fields {
        // Only a good length is a length, and the form of the body is told here.
        if name != TRANSFER_ENCODING && (name != CONTENT_LENGTH || announced.is_some()) {
            put_field(&mut head, name, value.as_bytes());
        }
    }
    for (name, value) in own_fields {
        debug_assert!(!fields.contains_key(name), "{name} twice");
        put_own_field(&mut head, name, value);
    }
    match &form {
        BodyForm::Chunks(_) => put_field(&mut head, &TRANSFER_ENCODING, b"chunked"),
        BodyForm::Plain(length @ 1..) if announced.is_none() => {
            put_field(&mut head, &CONTENT_LENGTH, length.to_string().as_bytes());
        }
        BodyForm::Plain(_) => {}
    }
    head.extend_from_slice(b"\r\n");
    (head, form)
}

/// Enough for the head, so that it is not moved while it grows.
fn room<'a, B>(request: &Request<B>, own_fields: impl Iterator<Item = OwnField<'a>>) -> usize {
    let target = request
        .uri()
        .path_and_query()
        .map_or(1, |target| target.as_str().len());
    let fields = request.headers().iter();
    let fields = room_of(fields.map(|(name, value)| (name, [b"", value.as_bytes()])));
    request.method().as_str().len() + target + fields + room_of(own_fields) + 64
}

fn room_of<'a>(fields: impl Iterator<Item = OwnField<'a>>) -> usize {
    fields
        .map(|(name, [beginning, rest])| name.as_str().len() + beginning.len() + rest.len() + 4)
        .sum()
}

fn put_target<B>(head: &mut Vec<u8>, request: &Request<B>) {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    if !target.starts_with(['/', '*']) {
        head.push(b'/');
    }
    head.extend_from_slice(target.as_bytes());
}

/// Also a trailer. No value has a line break in it: the type lets none in.
pub(super) fn put_field(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    put_own_field(head, name, [b"", value]);
}

fn put_own_field(head: &mut Vec<u8>, name: &HeaderName, value: [&[u8]; 2]) {
    let [beginning, rest] = value;
    for part in [name.as_str().as_bytes(), b": ", beginning, rest, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

fn announced_trailers(fields: &HeaderMap) -> Vec<HeaderName> {
    list_members(fields, &TRAILER)
        .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
        .filter(|name| !is_no_request_trailer(name))
        .collect()
}
