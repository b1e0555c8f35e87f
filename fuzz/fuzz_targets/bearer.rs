//! The bearer token of a request, from its `Authorization` headers to an opaque token.
//!
//! A token that is let in has nothing in it that could not be part of one, and stands in the one header whole.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth_core::access_token::{AccessToken, SECRET_LENGTH, TokenDigest};
use oauth_core::bearer::parse_authorization;

fuzz_target!(|data: &[u8]| {
    let headers: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    if let Ok(token) = parse_authorization(headers.iter().copied()) {
        verify_bearer(&headers, token);
        verify_opaque(token);
    }
    if let Ok(text) = str::from_utf8(data) {
        verify_opaque(text);
    }
});

fn verify_bearer(headers: &[&[u8]], token: &str) {
    assert_eq!(headers.len(), 1, "one header, or none is believed");
    assert!(headers[0].ends_with(token.as_bytes()));
    assert!(headers[0][..7].eq_ignore_ascii_case(b"bearer "));
    let is_of_a_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    assert!(!token.is_empty() && token.bytes().all(is_of_a_token), "{token:?}");
    let written_anew = format!("Bearer {token}");
    assert_eq!(
        parse_authorization([written_anew.as_bytes()].into_iter()),
        Ok(token)
    );
}

fn verify_opaque(text: &str) {
    let Ok(token) = AccessToken::parse(text) else {
        return;
    };
    assert_eq!((token.expose(), text.len()), (text, 64));
    assert_eq!(token.digest(), TokenDigest::of(text));
    let mut bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text)
        .expect("base64url, as every token");
    let secret: [u8; SECRET_LENGTH] = bytes.split_off(16).try_into().expect("32 bytes behind the id");
    assert_eq!(
        AccessToken::new(token.id(), secret),
        token,
        "one spelling for one token"
    );
}
