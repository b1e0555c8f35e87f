//! The private key that signs JWTs: loaded from its file, made on the first start, never overwritten.
//!
//! Servers that share a database share the key through it, so that the JWKS of any verifies what any has signed.
//! Whoever can read that database can sign as the authorization server: it is to be trusted and guarded as the
//! directory of keys would be, its backups too.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use oauth_core::jwt::{SignatureAlgorithm, SigningError, SigningKey};
use serde_json::json;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::token_store::{PostgresTokenStore, StoreError};

/// Characters of base64 in a line of PEM. RFC 7468 §2
const PEM_LINE: usize = 64;

/// The key that signs, and the public keys that verify.
#[derive(Debug)]
pub struct SigningKeys {
    current: SigningKey,
    algorithm: SignatureAlgorithm,
    jwks: Bytes,
}

impl SigningKeys {
    /// Loads the key for `algorithm` from `directory`, and makes it first where there is none.
    ///
    /// The file is PKCS#8 PEM, for its owner alone, and appears whole or not at all.
    ///
    /// # Errors
    ///
    /// [`SigningKeysError`] names the file and the remedy.
    pub fn load_or_create(directory: &Path, algorithm: SignatureAlgorithm) -> Result<Self, SigningKeysError> {
        let path = directory.join(format!("{}.pem", algorithm.as_str()));
        let failed = |cause| SigningKeysError {
            place: format!("signing.keys: {}", path.display()),
            cause,
        };
        let pem = read_or_create(&path, directory, algorithm).map_err(failed)?;
        Self::from_pem(&pem, algorithm).map_err(|error| failed(Failure::Unusable(error)))
    }

    /// Takes the key for `algorithm` from the database, and makes it first where there is none. All servers that use
    /// the database get the same one, also when they start at once.
    ///
    /// # Errors
    ///
    /// [`SigningKeysError`] where the database cannot say, or what it holds is no key.
    pub async fn shared(
        store: &PostgresTokenStore,
        algorithm: SignatureAlgorithm,
    ) -> Result<Self, SigningKeysError> {
        let name = algorithm.as_str();
        let failed = |cause| SigningKeysError {
            place: format!("store.url: the signing key {name}"),
            cause,
        };
        let found = store.signing_key(name).await;
        let pem = match found.map_err(|error| failed(Failure::Store(error)))? {
            Some(pem) => pem,
            None => {
                let made = generate(algorithm).map_err(|_| failed(Failure::Generation))?;
                let kept = store.keep_signing_key(name, &made).await;
                kept.map_err(|error| failed(Failure::Store(error)))?
            }
        };
        Self::from_pem(pem.as_bytes(), algorithm).map_err(|error| failed(Failure::UnusableInStore(error)))
    }

    fn from_pem(pem: &[u8], algorithm: SignatureAlgorithm) -> Result<Self, SigningError> {
        let current = SigningKey::from_pkcs8_pem(pem, algorithm)?;
        let jwks = json!({ "keys": [current.public_jwk()?] }).to_string().into();
        Ok(Self {
            current,
            algorithm,
            jwks,
        })
    }

    /// The key that signs.
    pub const fn current(&self) -> &SigningKey {
        &self.current
    }

    /// What it signs with.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The JWKS document: public members alone.
    ///
    /// [RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)
    pub const fn jwks(&self) -> &Bytes {
        &self.jwks
    }
}

fn read_or_create(
    path: &Path,
    directory: &Path,
    algorithm: SignatureAlgorithm,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let pem = generate(algorithm).map_err(|_| Failure::Generation)?;
            write_new(path, directory, pem.as_bytes()).map_err(Failure::File)?;
            tracing::info!(key.path = %path.display(), "signing key {} made", path.display());
            // Read back what is there now: another process may have been faster.
            std::fs::read(path).map(Zeroizing::new).map_err(Failure::File)
        }
        Err(error) => Err(Failure::File(error)),
        Ok(pem) => Ok(Zeroizing::new(pem)),
    }
}

/// Writes a file whole and durably, unless there is one already.
fn write_new(path: &Path, directory: &Path, contents: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // Made readable for its owner alone.
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => File::open(directory)?.sync_all(),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

/// A new private key, as PKCS#8 PEM. Version 1 throughout: an Ed25519 key of version 2 cannot be read back.
fn generate(algorithm: SignatureAlgorithm) -> Result<Zeroizing<String>, Unspecified> {
    match algorithm {
        SignatureAlgorithm::ES256 => Ok(pem(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?
            .to_pkcs8v1()?
            .as_ref())),
        SignatureAlgorithm::PS256 | SignatureAlgorithm::RS256 => {
            let key: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
            Ok(pem(key.as_ref()))
        }
        SignatureAlgorithm::EdDSA => Ok(pem(Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref())),
    }
}

fn pem(pkcs8: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(pkcs8));
    // Made as long as it gets, so that no copy of the key is left behind by a reallocation.
    let mut pem = Zeroizing::new(String::with_capacity(
        encoded.len() + encoded.len() / PEM_LINE + 64,
    ));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, following) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = following;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}

/// A signing key that could not be loaded or made.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {cause}")]
pub struct SigningKeysError {
    place: String,
    cause: Failure,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}; give this process's user the right to read and write the file and its directory")]
    File(io::Error),
    #[error("{0}; restore the key, or move the file away and a new key is made")]
    Unusable(SigningError),
    #[error("{0}; restore the row of certbound_signing_keys, or delete it and a new key is made")]
    UnusableInStore(SigningError),
    #[error("{0}; the log has the cause")]
    Store(StoreError),
    #[error("a key cannot be made; the system gives no randomness")]
    Generation,
}

#[cfg(test)]
mod tests;
