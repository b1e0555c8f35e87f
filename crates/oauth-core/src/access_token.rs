//! The opaque access token and the record kept of it: the token itself is shown once and never stored.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::{
    confirmation::Confirmation, revocation::CertificateId, scope::Scope, secret::SecretDigest,
    time::Timestamp,
};

/// Random bytes in a token: 256 bits, so that none is ever guessed. RFC 6749 §10.10
pub const SECRET_LENGTH: usize = 32;

/// Bytes of a token before encoding: the record's id, then the secret.
const TOKEN_LENGTH: usize = ID_LENGTH + SECRET_LENGTH;
const ID_LENGTH: usize = 16;
/// Characters of a token.
const TEXT_LENGTH: usize = 64;

/// An opaque access token: 64 characters of base64url over the record's id (16 bytes) and a secret (32 bytes).
/// The id alone finds the record; the secret proves possession. `Debug` shows neither; compared in constant time.
///
/// [RFC 6749 §10.10](https://www.rfc-editor.org/rfc/rfc6749#section-10.10)
#[derive(Clone, Eq)]
pub struct AccessToken {
    id: Uuid,
    text: [u8; TEXT_LENGTH],
}

impl AccessToken {
    /// The token for the record `id` with the random bytes `secret`.
    pub fn new(id: Uuid, secret: [u8; SECRET_LENGTH]) -> Self {
        let mut bytes = [0; TOKEN_LENGTH];
        bytes[..ID_LENGTH].copy_from_slice(id.as_bytes());
        bytes[ID_LENGTH..].copy_from_slice(&secret);
        let mut text = [0; TEXT_LENGTH];
        URL_SAFE_NO_PAD
            .encode_slice(bytes, &mut text)
            .expect("48 bytes are 64 characters of base64url");
        Self { id, text }
    }

    /// Reads a token as a client presents it.
    ///
    /// # Errors
    ///
    /// [`MalformedAccessToken`] for every text that this server cannot have issued.
    pub fn parse(text: &str) -> Result<Self, MalformedAccessToken> {
        let text = text.as_bytes().try_into().map_err(|_| MalformedAccessToken)?;
        let mut bytes = [0; TOKEN_LENGTH];
        URL_SAFE_NO_PAD
            .decode_slice(text, &mut bytes)
            .map_err(|_| MalformedAccessToken)?;
        let (id, _) = bytes.split_first_chunk().ok_or(MalformedAccessToken)?;
        let id = Uuid::from_bytes(*id);
        Ok(Self { id, text })
    }

    /// The id of the token's record; no secret.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// What is stored instead of the token.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(SecretDigest::of(&self.text))
    }

    /// The token itself, for the one answer that carries it.
    pub fn expose(&self) -> &str {
        str::from_utf8(&self.text).expect("base64url is ASCII")
    }
}

impl PartialEq for AccessToken {
    fn eq(&self, other: &Self) -> bool {
        self.text.ct_eq(&other.text).into()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessToken([redacted])")
    }
}

/// The text is no access token of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an access token of this server")]
pub struct MalformedAccessToken;

/// SHA-256 of a token's text: what stores and caches hold instead of it; compared in constant time.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenDigest(SecretDigest);

impl TokenDigest {
    /// The digest of any token, opaque or not, as the caller presents it.
    pub fn of(token: &str) -> Self {
        Self(SecretDigest::of(token.as_bytes()))
    }

    /// The digest that was kept as these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(SecretDigest::from_bytes(bytes))
    }

    /// The 32 bytes, for use as a key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenDigest([redacted])")
    }
}

/// What the authorization server knows of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The record's id, a version 7 UUID; also the `jti` of every JWT made from the token.
    pub id: Uuid,
    /// Digest of the token.
    pub digest: TokenDigest,
    /// The client it was issued to.
    pub client_id: String,
    /// The scope granted.
    pub scope: Scope,
    /// The resource server it is for.
    pub audience: String,
    /// The certificate it is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
    /// The certificate it was issued to, bound or not, as revocation lists name it; records of older versions do not
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateId>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl TokenRecord {
    /// Whether the token can be used at `now`.
    ///
    /// # Errors
    ///
    /// [`InactiveToken`] says why not; from outside the reasons look alike.
    ///
    /// RFC 7662 §2.2
    pub fn verify_active(&self, now: Timestamp) -> Result<(), InactiveToken> {
        if self.revoked_at.is_some() {
            Err(InactiveToken::Revoked)
        } else if now >= self.expires_at {
            Err(InactiveToken::Expired)
        } else {
            Ok(())
        }
    }
}

/// Why a token is inactive: for the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InactiveToken {
    /// No such token: never issued, or its secret is wrong.
    #[error("unknown token")]
    Unknown,
    /// Past its `exp`.
    #[error("expired token")]
    Expired,
    /// Revoked before its time.
    #[error("revoked token")]
    Revoked,
    /// For another resource server than the one that asks.
    #[error("token for another audience")]
    OtherAudience,
    /// Its client was removed or disabled.
    #[error("token of a client that is no longer registered")]
    ClientRemoved,
    /// A revocation list names the certificate it was issued to, or may do so.
    #[error("token of a revoked certificate")]
    CertificateRevoked,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O18.
    #[test]
    fn reads_back_what_it_wrote() {
        let token = AccessToken::new(Uuid::from_u128(7), [0xAB; SECRET_LENGTH]);
        assert_eq!(token.expose().len(), 64);
        let read = AccessToken::parse(token.expose()).unwrap();
        assert_eq!((read.id(), read.digest()), (token.id(), token.digest()));
        assert_eq!(read, token);
        assert_ne!(read, AccessToken::new(Uuid::from_u128(7), [0xAC; SECRET_LENGTH]));
    }

    /// I5.
    #[test]
    fn refuses_texts_that_it_cannot_have_written() {
        let right = AccessToken::new(Uuid::from_u128(7), [0xAB; SECRET_LENGTH])
            .expose()
            .to_owned();
        for wrong in [
            String::new(),
            right[1..].to_owned(),
            format!("{right}A"),
            format!("{right}="),
            right.replace('q', "+"),
        ] {
            assert_eq!(AccessToken::parse(&wrong), Err(MalformedAccessToken), "{wrong}");
        }
    }

    /// X7.
    #[test]
    fn shows_nothing_of_itself_when_debugged() {
        let token = AccessToken::new(Uuid::from_u128(7), [0xAB; SECRET_LENGTH]);
        let shown = format!("{token:?} {:?}", token.digest());
        assert_eq!(shown, "AccessToken([redacted]) TokenDigest([redacted])");
    }
}
