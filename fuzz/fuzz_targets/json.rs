//! JSON from a server: introspection answers, metadata documents, token answers, claims.
//!
//! What was read and is written says the same; a confirmation of whatever kind is never read as none.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth_core::introspection::IntrospectionResponse;
use oauth_core::jwt::AccessTokenClaims;
use oauth_core::metadata::AuthorizationServerMetadata;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fuzz_target!(|document: &[u8]| {
    // A document of the wrong bytes, or with numbers too large, can pass where nobody reads them.
    let Ok(json) = serde_json::from_slice::<Value>(document) else {
        let _read = serde_json::from_slice::<AuthorizationServerMetadata>(document);
        return;
    };
    let has_confirmation = json.get("cnf").is_some();
    if let Some(answer) = read_twice::<IntrospectionResponse>(document)
        && let Some(token) = answer.token
    {
        assert_eq!(has_confirmation, token.cnf.is_some());
    }
    if let Some(claims) = read_twice::<AccessTokenClaims>(document) {
        assert_eq!(has_confirmation, claims.cnf.is_some());
    }
    if let Some(metadata) = read_twice::<AuthorizationServerMetadata>(document) {
        let alias = &json["mtls_endpoint_aliases"]["token_endpoint"];
        let endpoint = alias.as_str().or(json["token_endpoint"].as_str());
        assert_eq!(Some(metadata.mtls_token_endpoint()), endpoint);
    }
    if let Some((token, seconds)) = client::fuzzing::token(document) {
        assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(seconds <= 24 * 60 * 60);
    }
});

fn read_twice<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(document: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(document).ok()?;
    let written = serde_json::to_vec(&read).expect("JSON");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("the same"), read);
    Some(read)
}
