//! PKCS#12 files: leaf, key and root under one password, with AES-256 and HMAC-SHA-256 throughout.
//!
//! OpenSSL 3, Java from 8u301 and curl read these; older Windows and macOS want 3DES, which is not offered.

use p12_keystore::{
    Certificate as KeyStoreCertificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain,
};

use crate::{certificate::Certificate, error::Error, identity::Identity};

/// The password of every PKCS#12 file in `certs/`: a demo's, known to all; the files are mode 0600 like keys.
pub(crate) const PKCS12_PASSWORD: &str = "Password1";

/// How often the password is hashed: bounds how fast somebody with a stolen file can guess at it.
pub const PKCS12_ITERATIONS: u32 = 100_000;

/// The name of the entry inside, as `keytool -list` shows it.
const ALIAS: &str = "client";

/// Whether PKCS#12 files are written, and at what cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pkcs12 {
    /// None: saves tests the password hashing.
    Skip,
    /// Written, the password hashed this often; [`PKCS12_ITERATIONS`] for anything that leaves a test.
    Write {
        /// The PBKDF2 iteration count.
        iterations: u32,
    },
}

pub(crate) fn write(
    identity: &Identity,
    root: &Certificate,
    password: &str,
    iterations: u32,
) -> Result<Vec<u8>, Error> {
    let key = PrivateKey::from_der(identity.key().der())?;
    let leaf = KeyStoreCertificate::from_der(identity.certificate().der())?;
    let root = KeyStoreCertificate::from_der(root.der())?;
    let chain = PrivateKeyChain::new(identity.certificate().serial().to_vec(), key, [leaf, root]);
    let mut store = KeyStore::new();
    store.add_entry(ALIAS, KeyStoreEntry::PrivateKeyChain(chain));
    Ok(store
        .writer(password)
        .encryption_iterations(iterations)
        .mac_iterations(iterations)
        .write()?)
}
