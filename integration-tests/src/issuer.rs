//! Another identity provider than ours: it publishes its key, and signs what it is told to.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use axum::{Json, Router, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mtls::{Alpn, ClientCertificates, server_config};
use oauth_core::{
    jwt::{SignatureAlgorithm, SigningKey},
    time::Timestamp,
};
use pki::{KeyAlgorithm, Member, PrivateKey};
use serde_json::{Value, json};

use crate::Ground;

/// How its tokens look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As RFC 9068 has it.
    AccessToken,
    /// `typ` is `JWT`, and of the claims there are those alone that every JWT of an identity provider has.
    Plain,
}

/// A running identity provider.
#[derive(Debug)]
pub struct Issuer {
    name: String,
    jwks_uri: String,
    key: EcdsaKeyPair,
    key_id: String,
}

impl Issuer {
    /// Starts it with the login server's certificate.
    pub fn start(ground: &Ground) -> Self {
        mtls::install_crypto_provider();
        let tls = server_config(
            &ground.credentials(Member::Login),
            &ClientCertificates::NotRequested,
            Alpn::Http2OrHttp1,
        )
        .unwrap();
        let listener = mtls::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "issuer").unwrap();
        let name = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let published = SigningKey::from_pkcs8_pem(key.pem().as_bytes(), SignatureAlgorithm::ES256).unwrap();
        let jwks = json!({ "keys": [published.public_jwk().unwrap()] });
        let router = Router::new().route("/jwks", get(async move || Json(jwks)));
        tokio::spawn(mtls::serve_tls(listener, tls, router, std::future::pending()));
        Self {
            jwks_uri: format!("{name}/jwks"),
            name,
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.der()).unwrap(),
            key_id: published.key_id().to_owned(),
        }
    }

    /// The gateway's `[[issuers]]` entry, which accepts either profile.
    pub fn configuration(&self) -> String {
        let Self { name, jwks_uri, .. } = self;
        format!("[[issuers]]\nissuer = {name:?}\njwks_uri = {jwks_uri:?}\naccept_plain_jwt = true\n")
    }

    /// An access token of the partner's for the demo's API that says `cnf`.
    pub fn token(&self, profile: Profile, cnf: &Value) -> String {
        let now = Timestamp::from(SystemTime::now());
        let mut claims = json!({
            "iss": self.name,
            "aud": "api.example.com",
            "exp": now.plus(Duration::from_secs(900)),
            "scope": "transactions",
            "cnf": cnf,
        });
        let mut header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.key_id });
        if profile == Profile::AccessToken {
            header["typ"] = "at+jwt".into();
            claims["iat"] = json!(now);
            claims["sub"] = "partner-client".into();
            claims["client_id"] = "partner-client".into();
            claims["jti"] = "1".into();
        }
        self.signed(&header, &claims)
    }

    fn signed(&self, header: &Value, claims: &Value) -> String {
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
