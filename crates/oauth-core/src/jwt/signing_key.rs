//! Private keys that sign JWTs, each known by the thumbprint of its public half.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    EncodingKey, Header,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use serde::Serialize;

use super::{SignatureAlgorithm, access_token, key_pair::KeyPair};

/// More bytes than most claims take.
const USUAL_CLAIMS: usize = 512;

/// A private key, its algorithm, and its public JWK. `Debug` shows the key's id alone.
pub struct SigningKey {
    key: KeyPair,
    header: Header,
    /// Of what is signed most.
    access_token_header: String,
    key_id: String,
    public: Jwk,
}

impl SigningKey {
    /// Reads a private key in PKCS#8 PEM. Its `kid` is the RFC 7638 thumbprint of the public key.
    ///
    /// # Errors
    ///
    /// [`SigningError::Key`] where the PEM holds no private key that fits `algorithm`.
    ///
    /// [RFC 7638 §3](https://www.rfc-editor.org/rfc/rfc7638#section-3)
    pub fn from_pkcs8_pem(pem: &[u8], algorithm: SignatureAlgorithm) -> Result<Self, SigningError> {
        let key = match algorithm {
            SignatureAlgorithm::ES256 => EncodingKey::from_ec_pem(pem),
            SignatureAlgorithm::PS256 | SignatureAlgorithm::RS256 => EncodingKey::from_rsa_pem(pem),
            SignatureAlgorithm::EdDSA => EncodingKey::from_ed_pem(pem),
        };
        let encoded = key.map_err(|_| SigningError::Key)?;
        let key = KeyPair::read(&encoded, algorithm)?;
        let mut public = Jwk::from_encoding_key(&encoded, algorithm.into()).map_err(|_| SigningError::Key)?;
        let key_id = public
            .thumbprint(ThumbprintHash::SHA256)
            .map_err(|_| SigningError::Key)?;
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        public.common.key_id = Some(key_id.clone());
        let mut header = Header::new(algorithm.into());
        header.kid = Some(key_id.clone());
        let access_token_header = in_base64(&with_type(&header, access_token::TYP))?;
        Ok(Self {
            key,
            header,
            access_token_header,
            key_id,
            public,
        })
    }

    /// The key's id: `kid` in the header of everything it signs.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half, as a member of a JWKS.
    ///
    /// # Errors
    ///
    /// [`SigningError::Encoding`] where it cannot be written as JSON, which no key that was read can cause.
    ///
    /// RFC 7517 §4
    pub fn public_jwk(&self) -> Result<serde_json::Value, SigningError> {
        serde_json::to_value(&self.public).map_err(|_| SigningError::Encoding)
    }

    /// Signs `claims` as a JWT of the explicit type `typ`.
    pub(super) fn sign<T: Serialize>(&self, typ: &str, claims: &T) -> Result<String, SigningError> {
        if typ == access_token::TYP {
            return self.sign_under(&self.access_token_header, claims);
        }
        self.sign_with_header(&with_type(&self.header, typ), claims)
    }

    /// Signs under a header that is not necessarily one of ours.
    pub(super) fn sign_with_header<T: Serialize>(
        &self,
        header: &Header,
        claims: &T,
    ) -> Result<String, SigningError> {
        self.sign_under(&in_base64(header)?, claims)
    }

    /// RFC 7515 §5.1
    fn sign_under<T: Serialize>(&self, header: &str, claims: &T) -> Result<String, SigningError> {
        let mut json = Vec::with_capacity(USUAL_CLAIMS);
        serde_json::to_writer(&mut json, claims).map_err(|_| SigningError::Encoding)?;
        // All of it, and no more: who keeps a JWT keeps this memory, and to give some of it back is dear.
        let encoded = |length| base64::encoded_len(length, false).unwrap_or_default();
        let signature_length = encoded(self.key.signature_length());
        let lengths = [header.len(), encoded(json.len()), signature_length, "..".len()];
        let mut input = String::with_capacity(lengths.iter().sum());
        input.push_str(header);
        input.push('.');
        URL_SAFE_NO_PAD.encode_string(json, &mut input);
        let signature = self.key.sign(input.as_bytes())?;
        Ok(compact(input, &signature))
    }
}

fn with_type(header: &Header, typ: &str) -> Header {
    Header {
        typ: Some(typ.to_owned()),
        ..header.clone()
    }
}

fn in_base64(header: &Header) -> Result<String, SigningError> {
    let json = serde_json::to_vec(header).map_err(|_| SigningError::Encoding)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// RFC 7515 §7.1
fn compact(mut input: String, signature: &[u8]) -> String {
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut input);
    input
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Why something could not be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// No usable private key.
    #[error("not a PKCS#8 private key for the configured algorithm")]
    Key,
    /// The claims or the key cannot be written as JSON.
    #[error("the claims cannot be encoded")]
    Encoding,
    /// The signature could not be made.
    #[error("signing failed")]
    Signing,
}
