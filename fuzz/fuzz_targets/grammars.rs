//! The small grammars, all of one text: scope, thumbprint, `Accept`, `Cache-Control`, `WWW-Authenticate`, `Client-Cert`,
//! issuers and host names.
//!
//! Each has one spelling that is read back as the same, and no second one.

#![no_main]

use std::collections::BTreeSet;
use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use libfuzzer_sys::fuzz_target;
use oauth_core::bearer::{Challenge, INVALID_TOKEN};
use oauth_core::client_cert_header;
use oauth_core::introspection::Representation;
use oauth_core::metadata::{metadata_url, split_issuer};
use oauth_core::scope::Scope;
use oauth_core::thumbprint::CertificateThumbprint;

fuzz_target!(|text: &str| {
    verify_scope(text);
    if let Ok(thumbprint) = CertificateThumbprint::parse(text) {
        assert_eq!(thumbprint.to_string(), text);
    }
    if let Ok(der) = client_cert_header::decode(text) {
        assert_eq!(client_cert_header::encode(&der), text);
    }
    verify_accept(text);
    verify_issuer(text);
    verify_host(text);
    if let Ok(value) = HeaderValue::from_str(text) {
        verify_cache_control(&value);
        verify_challenge(text, value);
    }
});

fn verify_scope(text: &str) {
    let Ok(scope) = text.parse::<Scope>() else { return };
    let written: Scope = scope.to_string().parse().expect("the same scope");
    assert_eq!(written, scope);
    let tokens: BTreeSet<&str> = text.split(' ').filter(|token| !token.is_empty()).collect();
    assert!(scope.tokens().eq(tokens), "sorted, each once");
    assert!(scope.contains_all(&scope.intersection(&written)));
}

/// What was chosen is not, once it is ruled out; and JSON is, once it is asked for as much as anything can be.
fn verify_accept(accept: &str) {
    if let Ok(chosen) = Representation::negotiate(Some(accept)) {
        let without = format!("{accept},{};q=0", chosen.media_type());
        assert_ne!(
            Representation::negotiate(Some(&without)),
            Ok(chosen),
            "{accept:?}"
        );
    }
    let with_json = format!("{accept},application/json");
    assert_eq!(
        Representation::negotiate(Some(&with_json)),
        Ok(Representation::Json),
        "{accept:?}"
    );
}

fn verify_issuer(text: &str) {
    let Ok((host, path)) = split_issuer(text) else {
        assert!(metadata_url(text).is_err());
        return;
    };
    assert!(!host.is_empty() && !host.contains('/') && !path.ends_with('/'));
    assert!(path.is_empty() || path.starts_with('/'));
    assert!(text.starts_with(&format!("https://{host}{path}")));
    assert_eq!(split_issuer(&format!("https://{host}{path}")), Ok((host, path)));
}

fn verify_host(text: &str) {
    if let Some(name) = gateway::fuzzing::host_name(text) {
        assert!(name.eq_ignore_ascii_case(text));
        assert_eq!(gateway::fuzzing::host_name(&name).as_ref(), Some(&name));
        let with_port = format!("{text}:443");
        assert_eq!(
            gateway::fuzzing::host_of_authority(with_port.as_bytes()),
            Some(text)
        );
    }
    if let Some(host) = gateway::fuzzing::host_of_authority(text.as_bytes()) {
        assert!(!host.is_empty() && text.starts_with(host) && !text.contains('@'));
        assert_eq!(gateway::fuzzing::host_of_authority(host.as_bytes()), Some(host));
    }
}

/// An answer is kept for no longer than before once it says one thing more.
fn verify_cache_control(value: &HeaderValue) {
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, value.clone());
    let before = gateway::fuzzing::max_age(&headers);
    headers.append(CACHE_CONTROL, HeaderValue::from_static("max-age=7"));
    let limit = Duration::from_secs(7);
    assert_eq!(
        gateway::fuzzing::max_age(&headers),
        Some(before.map_or(limit, |before| before.min(limit)))
    );
    headers.append(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    assert_eq!(gateway::fuzzing::max_age(&headers), Some(Duration::ZERO));
}

/// Our own challenge is understood by our own client, whatever realm it names and whatever stands beside it.
fn verify_challenge(realm: &str, other: HeaderValue) {
    let challenge = Challenge::new(realm).with_error(INVALID_TOKEN).to_string();
    let mut headers = HeaderMap::new();
    headers.insert(WWW_AUTHENTICATE, other);
    client::fuzzing::calls_token_invalid(&headers);
    headers.append(
        WWW_AUTHENTICATE,
        HeaderValue::from_str(&challenge).expect("a field's value"),
    );
    assert!(client::fuzzing::calls_token_invalid(&headers), "{challenge}");
    let plain = Challenge::new(realm).to_string();
    headers.clear();
    headers.insert(
        WWW_AUTHENTICATE,
        HeaderValue::from_str(&plain).expect("a field's value"),
    );
    assert!(!client::fuzzing::calls_token_invalid(&headers), "{plain}");
}
