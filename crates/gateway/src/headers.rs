//! Which fields cross the gateway: none that belong to one hop, and none that only the gateway may write.
//!
//! Fields are compared in lower case and with `_` as `-`, since some servers take one for the other.

use std::borrow::Cow;

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    COOKIE, EXPECT, Entry, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY,
};
use oauth_core::client_cert_header::{CLIENT_CERT, CLIENT_CERT_CHAIN};
use service::request_id::X_REQUEST_ID;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The fields of one hop. `Trailer` is not among them: the trailers it announces are passed on.
///
/// [RFC 9110 §7.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1)
static HOP_BY_HOP: [HeaderName; 8] = [
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

/// What the gateway says of every request itself, in this order: its name, where it came from, for which host, and how.
pub(crate) static OWN: [HeaderName; 4] = [
    X_REQUEST_ID,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// Fields without which a request is another one.
static OF_THE_REQUEST: [HeaderName; 6] = [AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST];

/// Further fields that say how a message is to be read, or ask for something: too late behind it.
static OF_THE_HEAD: [HeaderName; 6] = [
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_RANGE,
    MAX_FORWARDS,
    SET_COOKIE,
    TRAILER,
];

/// Cleans a request's fields for the next hop: what belongs to this one goes, and whatever the API might take for
/// the gateway's word. The token goes too.
pub(crate) fn clean_request(headers: &mut HeaderMap) {
    let accepts_trailers = accepts_trailers(headers);
    remove_nominated(headers);
    // Almost every request has a token, and hardly any has more that must go.
    headers.remove(AUTHORIZATION);
    // The gateway has answered the expectation itself by reading the body.
    headers.remove(EXPECT);
    remove_where(headers, |name| {
        HOP_BY_HOP.contains(name) || could_mislead_the_api(name)
    });
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

/// Cleans a request's trailers: servers merge them into the fields. Where load balancers hand on certificates in
/// `certificate_header`, it is none of a trailer's either, whoever wrote it.
pub(crate) fn clean_request_trailers(trailers: &mut HeaderMap, certificate_header: Option<&HeaderName>) {
    if let Some(name) = certificate_header {
        take_every_spelling(trailers, name);
    }
    remove_nominated(trailers);
    remove_where(trailers, is_no_request_trailer);
}

/// Whether a field stands in the head of a request, or nowhere.
///
/// [RFC 9110 §6.5.1](https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1)
pub(crate) fn is_no_request_trailer(name: &HeaderName) -> bool {
    let mut names = HOP_BY_HOP.iter().chain(&OF_THE_REQUEST).chain(&OF_THE_HEAD);
    names.any(|of_the_head| of_the_head == name) || could_mislead_the_api(name)
}

/// Cleans a response's fields for the client. A response that was chosen by `Client-Cert` says so to caches that
/// never saw the field, as `Vary: *`.
///
/// [RFC 9440 §2.4](https://www.rfc-editor.org/rfc/rfc9440#section-2.4)
pub(crate) fn clean_response(headers: &mut HeaderMap) {
    // Its body was read by the encoding; cut to the length, it would look whole. RFC 9112 §6.3
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    clean_response_trailers(headers);
    if list_members(headers, &VARY).any(is_client_cert) {
        headers.insert(VARY, HeaderValue::from_static("*"));
    }
}

/// Cleans a response's trailers. [`clean_response`] removes the same from its fields.
pub(crate) fn clean_response_trailers(trailers: &mut HeaderMap) {
    remove_nominated(trailers);
    remove_where(trailers, |name| {
        HOP_BY_HOP.contains(name) || is_client_cert(name.as_str())
    });
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

/// Removes the fields that `Connection` makes fields of this hop: one look for each, however many are named. Those of
/// [`HOP_BY_HOP`] go anyway, and `keep-alive` is what most name. `Connection` goes itself: many have it and nothing else
/// that must go.
fn remove_nominated(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = list_members(headers, &CONNECTION)
        .filter(|name| !name.eq_ignore_ascii_case("keep-alive"))
        .filter_map(|name| name.parse().ok())
        .collect();
    for name in nominated {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
}

/// Whether the API could take a field for the gateway's word: one of [`IDENTITY`], or one that is read as a field of the
/// hop or of the request itself, such as `Content_Length`.
fn could_mislead_the_api(name: &HeaderName) -> bool {
    match canonical(name.as_str()) {
        Cow::Borrowed(name) => is_identity_name(name),
        Cow::Owned(name) => is_identity_name(&name) || reads_as_hop_or_request(&name),
    }
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

fn remove_where(headers: &mut HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) {
    let unwanted: Vec<HeaderName> = headers.keys().filter(|name| is_unwanted(name)).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
}

/// The initials of [`IDENTITY`], which tell most names apart at once.
const INITIALS: [bool; 256] = {
    let mut initials = [false; 256];
    let mut index = 0;
    while index < IDENTITY.len() {
        initials[IDENTITY[index].as_bytes()[0] as usize] = true;
        index += 1;
    }
    initials
};

fn is_identity_name(canonical_name: &str) -> bool {
    let Some(initial) = canonical_name.as_bytes().first() else {
        return false;
    };
    INITIALS[usize::from(*initial)]
        && IDENTITY.iter().any(|identity| {
            canonical_name
                .strip_prefix(identity)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
}

/// Whether a field of this name belongs to one hop or to the request itself, and so can carry nothing else.
pub(crate) fn reads_as_hop_or_request(canonical_name: &str) -> bool {
    let mut names = HOP_BY_HOP.iter().chain(&OF_THE_REQUEST);
    names.any(|name| name == canonical_name)
}

/// In any letter case.
fn is_client_cert(name: &str) -> bool {
    let name = canonical(name);
    [CLIENT_CERT, CLIENT_CERT_CHAIN]
        .iter()
        .any(|wanted| name.eq_ignore_ascii_case(wanted))
}

/// A field's name as some servers read it, in the letter case it has; that of a field is lower case already.
pub(crate) fn canonical(name: &str) -> Cow<'_, str> {
    if name.as_bytes().contains(&b'_') {
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
