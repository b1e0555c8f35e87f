//! Public keys: a JWKS that is fetched, and the same as a client's registration, for assertions and certificates.
//!
//! Whatever keys there are, what another key signed is not theirs; and no secret key is registered.

#![no_main]

use std::sync::LazyLock;

use certbound_fuzz::{AUDIENCE, ISSUER, KEY_ID, NOW, signed};
use libfuzzer_sys::fuzz_target;
use oauth_core::client::{
    ClientAuthenticationMethod, ClientKeys, ClientMetadata, ClientRegistration, PublishedKeys,
};
use oauth_core::jwt::{AccessTokenVerifier, SignatureAlgorithm, VerificationKeys};
use serde_json::{Value, json};

static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": KEY_ID });
    let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "c", "client_id": "c", "jti": "1",
                         "iat": NOW, "exp": NOW.as_unix_seconds() + 60 });
    signed(header.to_string().as_bytes(), claims.to_string().as_bytes())
});

static VERIFIER: LazyLock<AccessTokenVerifier> = LazyLock::new(|| AccessTokenVerifier {
    issuer: ISSUER.to_owned(),
    audiences: vec![AUDIENCE.to_owned()],
    algorithms: SignatureAlgorithm::ALL.to_vec(),
});

fuzz_target!(|document: &[u8]| {
    if let Ok(keys) = VerificationKeys::from_jwks(document) {
        assert!(VERIFIER.verify(&TOKEN, &keys, NOW).is_err(), "{keys:?}");
    }
    let _published = PublishedKeys::from_jwks(document);
    let Ok(document) = serde_json::from_slice::<Value>(document) else {
        return;
    };
    for method in ["private_key_jwt", "self_signed_tls_client_auth"] {
        verify_registration(method, &document);
    }
});

fn verify_registration(method: &str, document: &Value) {
    let metadata = json!({ "client_id": "c", "token_endpoint_auth_method": method, "jwks": document });
    let metadata: ClientMetadata = serde_json::from_value(metadata).expect("any JSON is a member");
    let Ok(client) = ClientRegistration::try_from(metadata) else {
        return;
    };
    let read: Value = match document {
        Value::String(text) => serde_json::from_str(text).expect("JSON, since it was read"),
        document => document.clone(),
    };
    let keys = read["keys"].as_array().expect("keys");
    assert!((1..=16).contains(&keys.len()));
    assert!(
        keys.iter()
            .all(|key| key.get("d").is_none() && key.get("k").is_none())
    );
    let published = PublishedKeys::from_jwks(read.to_string().as_bytes());
    assert!(published.is_ok(), "what can be registered can be published");
    if let ClientAuthenticationMethod::SelfSignedTlsClientAuth(ClientKeys::Registered(certificates)) =
        &client.authentication
    {
        assert_eq!(certificates.thumbprints().len(), keys.len());
    }
}
