//! An issuer for the tests of an API: keys, tokens and a resource server that accepts them, without network.
//!
//! With the feature `test-util` alone; the keys are made anew for each issuer, and nothing else believes them.
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use resource_server::testing::TestIssuer;
//! use resource_server::{Caller, PeerCertificate};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let issuer = TestIssuer::new("https://login.example.com");
//! let resource_server = issuer.resource_server("api.example.com");
//!
//! // A partner's certificate, and a token bound to it.
//! let certificate = rcgen::generate_simple_self_signed(["partner.example.com".to_owned()])?;
//! let peer = PeerCertificate::from_der(certificate.cert.der())?;
//! let token = issuer.token("api.example.com").scope("orders").bound_to(certificate.cert.der()).sign()?;
//!
//! let api = ServiceBuilder::new()
//!     .layer(resource_server.require_scope("orders".parse()?))
//!     .service(service_fn(async |request: Request<()>| {
//!         let caller = request.extensions().get::<Caller>().map(|caller| caller.client_id.clone());
//!         Ok::<_, std::convert::Infallible>(Response::new(caller.unwrap_or_default()))
//!     }));
//! let mut request = Request::get("/orders").header("authorization", format!("Bearer {token}")).body(())?;
//! request.extensions_mut().insert(peer);
//! let accepted = api.clone().oneshot(request.clone()).await?;
//! assert_eq!((accepted.status(), accepted.body().as_str()), (StatusCode::OK, "a-client"));
//!
//! // The same token, stolen: over a connection without that certificate.
//! request.extensions_mut().remove::<PeerCertificate>();
//! assert_eq!(api.oneshot(request).await?.status(), StatusCode::UNAUTHORIZED);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).map_err(|error| error.to_string())?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use oauth_core::confirmation::Confirmation;
use oauth_core::jwt::{
    AccessTokenClaims, AccessTokenVerifier, SignatureAlgorithm, SigningError, SigningKey, VerificationKeys,
};
use oauth_core::scope::MalformedScope;
use oauth_core::thumbprint::CertificateThumbprint;
use oauth_core::time::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::authorization::ResourceServer;
use crate::keys::Keys;

/// For how long a test's tokens are good.
const LIFETIME: Duration = Duration::from_secs(60);

/// An authorization server of one test: an issuer's name and an ES256 key; clones share it.
#[derive(Clone, Debug)]
pub struct TestIssuer {
    issuer: String,
    key: Arc<SigningKey>,
    keys: VerificationKeys,
}

impl TestIssuer {
    /// An issuer of this name, with a key of its own.
    ///
    /// # Panics
    ///
    /// Where the system has no randomness: then no test can be run.
    pub fn new(issuer: impl Into<String>) -> Self {
        let key = new_key().expect("the system has randomness for a key");
        let jwk = key.public_jwk().expect("a public key can be written as JSON");
        let jwks = format!(r#"{{"keys":[{jwk}]}}"#);
        let keys = VerificationKeys::from_jwks(jwks.as_bytes()).expect("an ES256 key with a kid is usable");
        Self {
            issuer: issuer.into(),
            key: Arc::new(key),
            keys,
        }
    }

    /// The keys that verify its tokens.
    pub fn keys(&self) -> Keys {
        Keys::from(self.keys.clone())
    }

    #[cfg(test)]
    pub(crate) fn verification_keys(&self) -> VerificationKeys {
        self.keys.clone()
    }

    /// What demands its tokens for `audience`.
    pub fn verifier(&self, audience: &str) -> AccessTokenVerifier {
        AccessTokenVerifier {
            issuer: self.issuer.clone(),
            audiences: vec![audience.to_owned()],
            algorithms: SignatureAlgorithm::ALL.to_vec(),
        }
    }

    /// A resource server that accepts its tokens for `audience`; the rest is as by default.
    pub fn resource_server(&self, audience: &str) -> ResourceServer {
        ResourceServer::new(self.keys(), self.verifier(audience))
    }

    /// The beginning of a token for `audience`: of the client `a-client`, without scope, not bound, good for a minute.
    pub fn token(&self, audience: &str) -> TestToken {
        let now = Timestamp::from(SystemTime::now());
        TestToken {
            key: Arc::clone(&self.key),
            claims: AccessTokenClaims {
                iss: self.issuer.clone(),
                exp: now.plus(LIFETIME),
                aud: vec![audience.to_owned()],
                sub: "a-client".to_owned(),
                client_id: "a-client".to_owned(),
                iat: now,
                nbf: None,
                jti: Uuid::now_v7().to_string(),
                scope: oauth_core::scope::Scope::default(),
                cnf: None,
            },
            scope: String::new(),
            further: Map::new(),
        }
    }
}

/// A token in the making: a JWT access token as RFC 9068 has it. Made by [`TestIssuer::token`].
#[must_use = "a token is good for nothing until it is signed"]
pub struct TestToken {
    key: Arc<SigningKey>,
    claims: AccessTokenClaims,
    scope: String,
    further: Map<String, Value>,
}

impl TestToken {
    /// Issued to this client, in its own name.
    pub fn client_id(mut self, client_id: &str) -> Self {
        client_id.clone_into(&mut self.claims.client_id);
        client_id.clone_into(&mut self.claims.sub);
        self
    }

    /// Issued on behalf of somebody else than the client.
    pub fn subject(mut self, subject: &str) -> Self {
        subject.clone_into(&mut self.claims.sub);
        self
    }

    /// With this scope: tokens separated by blanks.
    pub fn scope(mut self, scope: &str) -> Self {
        scope.clone_into(&mut self.scope);
        self
    }

    /// Bound to the certificate of this DER encoding. RFC 8705 §3.1
    pub fn bound_to(mut self, certificate_der: &[u8]) -> Self {
        self.claims.cnf = Some(Confirmation::new(CertificateThumbprint::of_der(certificate_der)));
        self
    }

    /// No longer good since a minute.
    pub fn expired(mut self) -> Self {
        self.claims.exp = self.claims.iat.minus(LIFETIME);
        self.claims.iat = self.claims.exp.minus(LIFETIME);
        self
    }

    /// With a claim of the issuer's own.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.further.insert(name.to_owned(), value.into());
        self
    }

    /// The token, in compact form.
    ///
    /// # Errors
    ///
    /// [`TestTokenError`] where the scope is malformed.
    pub fn sign(mut self) -> Result<String, TestTokenError> {
        self.claims.scope = self.scope.parse()?;
        Ok(self.claims.sign_with(&self.further, &self.key)?)
    }
}

impl fmt::Debug for TestToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TestToken")
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

/// Why a test's token cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TestTokenError {
    /// The scope breaks its grammar.
    #[error(transparent)]
    Scope(#[from] MalformedScope),
    /// The signature could not be made.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

fn new_key() -> Result<SigningKey, SigningError> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| SigningError::Key)?;
    let der = pair.to_pkcs8v1().map_err(|_| SigningError::Key)?;
    let base64 = STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n");
    SigningKey::from_pkcs8_pem(pem.as_bytes(), SignatureAlgorithm::ES256)
}
