//! A private key ready to sign. `jsonwebtoken` reads a key anew for every signature, which takes longer than to sign with
//! it: here it is read once.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use jsonwebtoken::EncodingKey;

use super::{SignatureAlgorithm, SigningError};

/// A private key, and what it signs with.
pub(super) enum KeyPair {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ed(Ed25519KeyPair),
}

impl KeyPair {
    pub(super) fn read(key: &EncodingKey, algorithm: SignatureAlgorithm) -> Result<Self, SigningError> {
        let der = key.as_bytes();
        let rsa = |encoding| RsaKeyPair::from_der(der).map(|key| Self::Rsa(key, encoding));
        let pair = match algorithm {
            SignatureAlgorithm::ES256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Self::Ec)
            }
            SignatureAlgorithm::PS256 => rsa(&RSA_PSS_SHA256),
            SignatureAlgorithm::RS256 => rsa(&RSA_PKCS1_SHA256),
            SignatureAlgorithm::EdDSA => Ed25519KeyPair::from_pkcs8(der).map(Self::Ed),
        };
        pair.map_err(|_| SigningError::Key)
    }

    /// How many bytes each of its signatures has.
    pub(super) fn signature_length(&self) -> usize {
        match self {
            Self::Ec(_) | Self::Ed(_) => 64,
            Self::Rsa(key, _) => key.public_modulus_len(),
        }
    }

    /// The signature over `message`, as JWS has it.
    ///
    /// RFC 7518 §3.3 to §3.5, RFC 8037 §3.1
    pub(super) fn sign(&self, message: &[u8]) -> Result<Box<[u8]>, SigningError> {
        let random = SystemRandom::new();
        let signature = match self {
            Self::Ec(key) => key.sign(&random, message).map(|made| made.as_ref().into()),
            Self::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, message, &mut signature)
                    .map(|()| signature.into())
            }
            Self::Ed(key) => Ok(key.sign(message).as_ref().into()),
        };
        signature.map_err(|_| SigningError::Signing)
    }
}
