//! What the fuzz targets share: one authorization server that does not exist, its clients and a key.

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_core::client::{ClientMetadata, ClientRegistration, ClientRegistry};
use oauth_core::time::Timestamp;
use serde_json::{Value, json};

/// The issuer of every token.
pub const ISSUER: &str = "https://login.example.com/oauth/v2/oauth-anonymous";
/// The audience of every token.
pub const AUDIENCE: &str = "api.example.com";
/// The `kid` of the one key.
pub const KEY_ID: &str = "key";
/// The moment of every check.
pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// Fixed, so that a finding can be reproduced; it signs for nobody but these targets.
static KEY: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes are a seed"));

/// A JWS whose signature is right, whatever it says.
pub fn signed(header: &[u8], claims: &[u8]) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = URL_SAFE_NO_PAD.encode(KEY.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// The public half of the key.
pub fn jwks() -> Value {
    let x = URL_SAFE_NO_PAD.encode(KEY.public_key());
    json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": KEY_ID, "use": "sig" }] })
}

/// A client for every way to authenticate; nobody knows the secret.
pub static CLIENTS: LazyLock<ClientRegistry> = LazyLock::new(|| {
    let mut clients = ClientRegistry::default();
    for client in [
        json!({ "client_id": "certificate", "token_endpoint_auth_method": "tls_client_auth",
                "tls_client_auth_subject_dn": "CN=nobody" }),
        json!({ "client_id": "assertion", "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks() }),
        json!({ "client_id": "secret", "token_endpoint_auth_method": "client_secret_basic",
                "client_secret_hash": "sha256:A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" }),
    ] {
        let client: ClientMetadata = serde_json::from_value(client).expect("a client's metadata");
        let client = ClientRegistration::try_from(client).expect("a sound registration");
        clients.register(client).expect("one registration each");
    }
    clients
});
