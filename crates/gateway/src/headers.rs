//! Which fields cross the gateway: none that belong to one hop, and none that only the gateway may write.
//!
//! Fields are compared in lower case and with `_` as `-`, since some servers take one for the other.

use std::borrow::Cow;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, Entry, HOST, HeaderMap,
    HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VARY,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The fields of one hop. `Trailer` is not among them: the trailers it announces are passed on.
///
/// [RFC 9110 §7.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1)
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Fields by which proxies tell servers who the caller is, where it comes from, or what it really asked for: the
/// name itself, or everything that starts with it and a `-`.
///
/// [RFC 9700 §4.13](https://www.rfc-editor.org/rfc/rfc9700#section-4.13), RFC 9440 §2.4
const IDENTITY: [&str; 43] = [
    "client-cert",
    "client-certificate",
    "client-ip",
    "cf-client",
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded",
    "proxy",
    "remote-addr",
    "remote-user",
    "ssl",
    "tls-client",
    "token-introspection",
    "true-client-ip",
    "x-amzn-mtls",
    "x-amzn-oidc",
    "x-arr-clientcert",
    "x-auth-request",
    "x-cert",
    "x-client-cert",
    "x-client-certificate",
    "x-client-dn",
    "x-client-ip",
    "x-client-ssl",
    "x-client-verify",
    "x-cluster-client-ip",
    "x-envoy",
    "x-forwarded",
    "x-goog-authenticated-user",
    "x-goog-iap",
    "x-http-method",
    "x-method-override",
    "x-ms-client-principal",
    "x-mtls",
    "x-original",
    "x-real-ip",
    "x-remote-user",
    "x-request-id",
    "x-rewrite-url",
    "x-ssl",
    "x-tls",
    "x-webauth-user",
    "x-wso2",
];

/// Fields without which a request is another one.
const OF_THE_REQUEST: [HeaderName; 6] = [AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST];

/// Whether a field of this name belongs to one hop or to the request itself, and so can carry nothing else.
pub(crate) fn has_a_meaning(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name) || OF_THE_REQUEST.contains(name)
}

/// Cleans a request's fields for the next hop: what belongs to this one goes, and whatever the API might take for
/// the gateway's word. The token goes too.
pub(crate) fn clean_request(headers: &mut HeaderMap) {
    let accepts_trailers = accepts_trailers(headers);
    remove_hop_by_hop(headers);
    remove_identity(headers);
    headers.remove(AUTHORIZATION);
    // The gateway has answered the expectation itself by reading the body.
    headers.remove(EXPECT);
    join_cookies(headers);
    if accepts_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Over HTTP/2 a cookie may come in several fields; over HTTP/1.1 there is one.
///
/// [RFC 9113 §8.2.3](https://www.rfc-editor.org/rfc/rfc9113#section-8.2.3)
fn join_cookies(headers: &mut HeaderMap) {
    let pieces: Vec<_> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if pieces.len() < 2 {
        return;
    }
    let mut joined = HeaderValue::from_bytes(&pieces.join(&b"; "[..]))
        .expect("values of fields, joined by visible characters, are a value");
    joined.set_sensitive(true);
    headers.insert(COOKIE, joined);
}

/// Cleans a request's trailers: servers merge them into the fields. `certificate_header` is nobody's to write there, and
/// was taken out of the fields before.
pub(crate) fn clean_request_trailers(trailers: &mut HeaderMap, certificate_header: Option<&HeaderName>) {
    remove_hop_by_hop(trailers);
    remove_identity(trailers);
    if let Some(name) = certificate_header {
        take_every_spelling(trailers, name);
    }
    trailers.remove(AUTHORIZATION);
}

/// Cleans a response's fields for the client. A response that was chosen by `Client-Cert` says so to caches that
/// never saw the field, as `Vary: *`.
///
/// [RFC 9440 §2.4](https://www.rfc-editor.org/rfc/rfc9440#section-2.4)
pub(crate) fn clean_response(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    remove_client_cert(headers);
    if list_members(headers, &VARY).any(|member| is_client_cert(&canonical(&member.to_ascii_lowercase()))) {
        headers.insert(VARY, HeaderValue::from_static("*"));
    }
}

/// Cleans a response's trailers.
pub(crate) fn clean_response_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    remove_client_cert(trailers);
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    list_members(headers, &TE).any(|member| {
        member
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case("trailers")
    })
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = list_members(headers, &CONNECTION)
        .filter_map(|name| name.parse().ok())
        .collect();
    for name in nominated.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn remove_identity(headers: &mut HeaderMap) {
    remove_where(headers, is_identity);
}

fn remove_client_cert(headers: &mut HeaderMap) {
    remove_where(headers, is_client_cert);
}

/// Takes every field out that is called `name` or could be taken for it: in another letter case, with `_` for `-`, or
/// the reverse.
pub(crate) fn take_every_spelling(
    headers: &mut HeaderMap,
    name: &HeaderName,
) -> Vec<(HeaderName, HeaderValue)> {
    let wanted = canonical(name.as_str());
    let spellings: Vec<HeaderName> = headers
        .keys()
        .filter(|name| canonical(name.as_str()) == wanted)
        .cloned()
        .collect();
    let mut taken = Vec::new();
    for spelling in spellings {
        if let Entry::Occupied(field) = headers.entry(spelling) {
            let (name, values) = field.remove_entry_mult();
            taken.extend(values.map(|value| (name.clone(), value)));
        }
    }
    taken
}

fn remove_where(headers: &mut HeaderMap, is_unwanted: impl Fn(&str) -> bool) {
    let unwanted: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_unwanted(&canonical(name.as_str())))
        .cloned()
        .collect();
    for name in unwanted {
        headers.remove(name);
    }
}

fn is_identity(canonical_name: &str) -> bool {
    // The initial tells most names apart at once.
    let initial = canonical_name.as_bytes().first();
    let mut alike = IDENTITY
        .iter()
        .filter(|identity| identity.as_bytes().first() == initial);
    alike.any(|identity| {
        canonical_name
            .strip_prefix(identity)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

fn is_client_cert(canonical_name: &str) -> bool {
    matches!(canonical_name, "client-cert" | "client-cert-chain")
}

/// Field names are in lower case already.
fn canonical(name: &str) -> Cow<'_, str> {
    if name.contains('_') {
        Cow::Owned(name.replace('_', "-"))
    } else {
        Cow::Borrowed(name)
    }
}

/// The members of a comma-separated field; a value that is not ASCII has none that concern us.
pub(crate) fn list_members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests;
