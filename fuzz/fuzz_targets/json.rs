//! JSON from a server: introspection answers, ours and others', metadata documents, token answers, claims.
//!
//! What was read and is written says the same; a confirmation of whatever kind is never read as none.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth_core::introspection::IntrospectionResponse;
use oauth_core::jwt::AccessTokenClaims;
use oauth_core::metadata::{AuthorizationServerMetadata, ProtectedResourceMetadata, ResourceIdentifier};
use oauth_core::token_facts::Introspected;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

fuzz_target!(|document: &[u8]| {
    // A document of the wrong bytes, or with numbers too large, can pass where nobody reads them.
    let Ok(json) = serde_json::from_slice::<Value>(document) else {
        let _read = serde_json::from_slice::<AuthorizationServerMetadata>(document);
        let _read = serde_json::from_slice::<ProtectedResourceMetadata>(document);
        let _read = Introspected::from_json(document);
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
    if let Ok(introspected) = Introspected::from_json(document) {
        verify_introspected(&introspected, &json);
    }
    if let Some(metadata) = read_twice::<ProtectedResourceMetadata>(document) {
        verify_resource(&metadata);
    }
    if let Some((token, seconds)) = client::fuzzing::token(document) {
        assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(seconds <= 24 * 60 * 60);
    }
});

fn verify_introspected(introspected: &Introspected, json: &Value) {
    assert_eq!(
        json["active"],
        Value::Bool(*introspected != Introspected::Inactive)
    );
    if let Introspected::Active(facts) = introspected {
        assert_eq!(json["exp"].as_u64(), Some(facts.lifetime.exp.as_unix_seconds()));
        assert_eq!(
            json.get("cnf").is_some(),
            facts.grant.cnf.is_some(),
            "a confirmation is lost"
        );
    }
}

/// A document speaks for the resource it names and for no other, and would be looked for on that resource's own host.
fn verify_resource(metadata: &ProtectedResourceMetadata) {
    let Ok(resource) = metadata.resource.parse::<ResourceIdentifier>() else {
        return;
    };
    assert_eq!(metadata.verify(&resource), Ok(()));
    if let Ok(other) = format!("{resource}/").parse() {
        assert!(metadata.verify(&other).is_err());
    }
    if let Ok(url) = Url::parse(resource.as_str()) {
        let metadata_url = Url::parse(&resource.metadata_url()).expect("another path, the same host");
        assert_eq!(metadata_url.origin(), url.origin());
    }
}

fn read_twice<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(document: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(document).ok()?;
    let written = serde_json::to_vec(&read).expect("JSON");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("the same"), read);
    Some(read)
}
