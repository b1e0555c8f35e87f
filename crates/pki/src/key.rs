//! Private keys: generated, read and written as PEM, and never shown.

use std::fmt;
use std::str::FromStr;

use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize, SigningKey as _,
};
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::Error;

/// The kinds of key that are made here; each signs with SHA-256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256: small, fast, understood everywhere. The default.
    #[default]
    EcdsaP256,
    /// RSA with 2048 bits, the least that is still accepted.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
}

impl KeyAlgorithm {
    /// Every algorithm, in the order in which `--help` lists them.
    pub const ALL: [Self; 4] = [Self::EcdsaP256, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for KeyAlgorithm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
            .ok_or(Error::KeyAlgorithm)
    }
}

/// A private key; its bytes are wiped when it is dropped.
pub struct PrivateKey(KeyPair);

impl PrivateKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// [`Error::Making`] where the cryptographic library fails.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, Error> {
        let pair = match algorithm {
            KeyAlgorithm::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            KeyAlgorithm::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
            KeyAlgorithm::Rsa3072 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072),
            KeyAlgorithm::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
        };
        Ok(Self(pair?))
    }

    /// Reads a key from PEM.
    ///
    /// # Errors
    ///
    /// [`Error::NotAPrivateKey`] where the text holds none, or one under a password.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let pem = str::from_utf8(pem).map_err(|_| Error::NotAPrivateKey)?;
        KeyPair::from_pem(pem)
            .map(Self)
            .map_err(|_| Error::NotAPrivateKey)
    }

    /// The key as PKCS#8 PEM.
    pub fn pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// The key as DER: PKCS#8 where it was made here.
    pub fn der(&self) -> &[u8] {
        self.0.serialized_der()
    }

    pub(crate) const fn pair(&self) -> &KeyPair {
        &self.0
    }

    /// The DER of the public key's `SubjectPublicKeyInfo`.
    pub(crate) fn public_key_info(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.sign(message)?)
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PrivateKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_every_name_of_an_algorithm() {
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(algorithm.name().parse::<KeyAlgorithm>().unwrap(), algorithm);
        }
    }

    #[test]
    fn refuses_an_unknown_algorithm() {
        assert!(matches!(
            "rsa-1024".parse::<KeyAlgorithm>(),
            Err(Error::KeyAlgorithm)
        ));
    }

    #[test]
    fn keeps_the_key_over_pem() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let read = PrivateKey::from_pem(key.pem().as_bytes()).unwrap();
        assert_eq!(read.public_key_info(), key.public_key_info());
        assert!(key.pem().starts_with("-----BEGIN PRIVATE KEY-----"));
    }

    #[test]
    fn refuses_a_certificate_in_place_of_a_key() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            PrivateKey::from_pem(pem.as_bytes()),
            Err(Error::NotAPrivateKey)
        ));
    }

    #[test]
    fn shows_nothing_of_the_key_in_debug() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey([redacted])");
    }
}
