//! Token, introspection and revocation requests: the form, and who sent it.
//!
//! The first line is the `Authorization` header, where it is not empty; the rest is the body. Two readers of the form
//! agree on it, no parameter stands twice or for nothing, and nobody is believed without a secret or a key.

#![no_main]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certbound_fuzz::{CLIENTS, ISSUER, NOW};
use libfuzzer_sys::fuzz_target;
use oauth_core::client_authentication::{ClientCredentials, authenticate};
use oauth_core::form::FormParameters;
use oauth_core::token_request::TokenRequest;

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, body) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let Ok(form) = FormParameters::parse(FORM, body) else {
        return;
    };
    verify_form(&form, body);
    let authorization = str::from_utf8(line).ok().filter(|line| !line.is_empty());
    verify_nobody_is_believed(authorization, &form);
    verify_basic(line, &form);
    if let Ok(TokenRequest { scope: Some(scope) }) = TokenRequest::parse(&form) {
        assert_eq!(form.value("grant_type"), Some("client_credentials"));
        assert_eq!(scope.to_string().parse(), Ok(scope));
    }
});

fn verify_form(form: &FormParameters<'_>, body: &[u8]) {
    let mut pairs = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        assert!(
            pairs.insert(name.clone(), value.clone()).is_none(),
            "{name} stands twice"
        );
        let expected = Some(value.as_ref()).filter(|value| !value.is_empty());
        assert_eq!(form.value(&name), expected);
    }
    let written_anew = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&pairs)
        .finish();
    let read_anew = FormParameters::parse(FORM, written_anew.as_bytes()).expect("the same form");
    assert_eq!(format!("{read_anew:?}"), format!("{form:?}"));
}

fn verify_nobody_is_believed(authorization: Option<&str>, form: &FormParameters<'_>) {
    if let Ok(credentials) = ClientCredentials::from_request(authorization, form, None) {
        assert_eq!(credentials.try_a_secret(), authorization.is_some());
        let authenticated = authenticate(&credentials, &CLIENTS, ISSUER, NOW);
        assert!(authenticated.is_err(), "{authenticated:?}");
    }
}

/// Whatever name and secret a client has, they arrive as they were sent.
fn verify_basic(line: &[u8], form: &FormParameters<'_>) {
    let Ok(line) = str::from_utf8(line) else { return };
    let (name, secret) = line.split_once(' ').unwrap_or((line, ""));
    if line.contains(char::REPLACEMENT_CHARACTER) || form.value("client_id").is_some_and(|id| id != name) {
        return;
    }
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encoded(name), encoded(secret)));
    let header = format!("Basic {pair}");
    match ClientCredentials::from_request(Some(&header), form, None) {
        Ok(credentials) => assert_eq!(credentials.unverified_client_id(), name),
        Err(_) => assert!(
            ["client_secret", "client_assertion", "client_assertion_type"]
                .iter()
                .any(|member| form.value(member).is_some()),
            "{line:?}"
        ),
    }
}
