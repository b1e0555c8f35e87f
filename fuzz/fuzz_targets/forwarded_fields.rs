//! The fields of requests and answers as they cross the gateway: one on each line, name and value apart by `:`.
//!
//! Nothing that belongs to one hop or tells who somebody is gets across, nothing is added, and to clean twice is to
//! clean once.

#![no_main]

use gateway::fuzzing;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

/// By prefix, as the gateway's own list is longer.
const NEVER_FORWARDED: [&str; 9] = [
    "x-forwarded-",
    "x-ssl-",
    "x-client-cert",
    "client-cert",
    "x-wso2-",
    "proxy-",
    "x-real-ip",
    "x-request-id",
    "forwarded",
];
const ONE_HOP: [&str; 4] = [
    "transfer-encoding",
    "keep-alive",
    "upgrade",
    "proxy-authorization",
];

fuzz_target!(|data: &[u8]| {
    let mut fields = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().map(HeaderName::from_bytes);
        let value = parts.next().map(HeaderValue::from_bytes);
        if let (Some(Ok(name)), Some(Ok(value))) = (name, value) {
            fields.append(name, value);
        }
    }
    let request = cleaned(&fields, fuzzing::clean_request);
    verify_request(&fields, &request);
    let trailers = cleaned(&fields, fuzzing::clean_request_trailers);
    verify_names(&trailers, &NEVER_FORWARDED);
    verify_names(&trailers, &["authorization"]);
    for clean in [fuzzing::clean_response, fuzzing::clean_response_trailers] {
        let response = cleaned(&fields, clean);
        verify_names(&response, &ONE_HOP);
        verify_names(&response, &["client-cert", "connection", "te"]);
    }
});

fn cleaned(fields: &HeaderMap, clean: impl Fn(&mut HeaderMap)) -> HeaderMap {
    let mut once = fields.clone();
    clean(&mut once);
    let mut twice = once.clone();
    clean(&mut twice);
    assert_eq!(once, twice, "to clean twice is to clean once");
    for (name, value) in &once {
        let was_there = fields.get_all(name).iter().any(|other| other == value);
        let is_ours = matches!(name.as_str(), "te" | "connection" | "cookie" | "vary");
        assert!(was_there || is_ours, "{name} was not there");
    }
    once
}

fn verify_request(fields: &HeaderMap, request: &HeaderMap) {
    verify_names(request, &NEVER_FORWARDED);
    verify_names(request, &ONE_HOP);
    verify_names(request, &["authorization", "expect"]);
    let nominated = fields
        .get_all("connection")
        .iter()
        .filter_map(|value| value.to_str().ok());
    for name in nominated.flat_map(|value| value.split(',')).map(str::trim) {
        let is_ours = ["te", "connection"]
            .iter()
            .any(|ours| name.eq_ignore_ascii_case(ours));
        assert!(
            is_ours || HeaderName::try_from(name).is_err() || !request.contains_key(name),
            "{name}"
        );
    }
    assert!(request.get_all("cookie").iter().count() <= 1);
}

fn verify_names(fields: &HeaderMap, never: &[&str]) {
    for name in fields.keys() {
        let twin = name.as_str().replace('_', "-");
        let is_one_of_them = |never: &&str| match never.strip_suffix('-') {
            Some(_) => twin.starts_with(*never),
            None => twin == **never,
        };
        assert!(!never.iter().any(is_one_of_them), "{name}");
    }
}
