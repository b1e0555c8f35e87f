//! Keys in a directory: one file each, for its owner alone, whose name says all that is known of the key.
//!
//! `MADE.SIGNS.ALGORITHM.KID.pem`: when it was made and from when on it signs, in seconds since 1970, or `next`. A key
//! is scheduled by a rename, so that a crash leaves the old state or the new one.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oauth_core::jwt::{SignatureAlgorithm, SigningError, SigningKey};
use oauth_core::time::Timestamp;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::generate::generate;
use super::key_set::{KeyRecord, Step};

const NEXT: &str = "next";

/// A key with its record.
#[derive(Clone, Debug)]
pub(super) struct KeptKey {
    pub(super) record: KeyRecord,
    pub(super) key: Arc<SigningKey>,
}

/// The directory of the keys of one server.
#[derive(Debug)]
pub(super) struct KeyDirectory(PathBuf);

impl KeyDirectory {
    /// Makes the directory where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, SigningKeysError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| failed(path, Failure::File(error)))?;
        Ok(Self(path.to_path_buf()))
    }

    /// Every key there is.
    pub(super) fn load(&self) -> Result<Vec<KeptKey>, SigningKeysError> {
        let unreadable = |error| failed(&self.0, Failure::File(error));
        let mut keys = Vec::new();
        for entry in std::fs::read_dir(&self.0).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            match path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(parse_name)
            {
                Some(record) => keys.push(load(&path, record)?),
                None => tracing::debug!(key.path = %path.display(), "{} is no signing key", path.display()),
            }
        }
        Ok(keys)
    }

    /// Carries out one step: on disk first, then in `keys`.
    pub(super) fn apply(
        &self,
        step: Step,
        keys: &mut Vec<KeptKey>,
        now: Timestamp,
    ) -> Result<(), SigningKeysError> {
        match step {
            Step::Make {
                algorithm,
                signs_from,
            } => keys.push(self.make(algorithm, signs_from, now)?),
            Step::Schedule { key_id, signs_from } => {
                if let Some(kept) = keys.iter_mut().find(|kept| kept.record.key_id == key_id) {
                    self.schedule(kept, signs_from)?;
                }
            }
            Step::Remove { key_id } => {
                if let Some(index) = keys.iter().position(|kept| kept.record.key_id == key_id) {
                    self.remove(&keys[index].record)?;
                    keys.remove(index);
                }
            }
        }
        Ok(())
    }

    fn make(
        &self,
        algorithm: SignatureAlgorithm,
        signs_from: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<KeptKey, SigningKeysError> {
        let pem = generate(algorithm).map_err(|_| failed(&self.0, Failure::Generation))?;
        let key = SigningKey::from_pkcs8_pem(pem.as_bytes(), algorithm)
            .map_err(|error| failed(&self.0, Failure::Unusable(error)))?;
        let record = KeyRecord {
            key_id: key.key_id().to_owned(),
            algorithm,
            made_at: now,
            signs_from,
        };
        let path = self.path(&record);
        write_new(&path, &self.0, pem.as_bytes()).map_err(|error| failed(&path, Failure::File(error)))?;
        let key_id = &record.key_id;
        tracing::info!(key.id = %key_id, algorithm = algorithm.as_str(), "signing key {key_id} made, and shown from now on");
        let key = Arc::new(key);
        Ok(KeptKey { record, key })
    }

    fn schedule(&self, kept: &mut KeptKey, signs_from: Timestamp) -> Result<(), SigningKeysError> {
        let scheduled = KeyRecord {
            signs_from: Some(signs_from),
            ..kept.record.clone()
        };
        let path = self.path(&kept.record);
        std::fs::rename(&path, self.path(&scheduled))
            .and_then(|()| sync(&self.0))
            .map_err(|error| failed(&path, Failure::File(error)))?;
        let (key_id, from) = (&scheduled.key_id, signs_from.as_unix_seconds());
        tracing::info!(key.id = %key_id, key.signs_from = from, "signing key {key_id} signs from {from} on");
        kept.record = scheduled;
        Ok(())
    }

    fn remove(&self, record: &KeyRecord) -> Result<(), SigningKeysError> {
        let path = self.path(record);
        std::fs::remove_file(&path)
            .and_then(|()| sync(&self.0))
            .map_err(|error| failed(&path, Failure::File(error)))?;
        let key_id = &record.key_id;
        tracing::info!(key.id = %key_id, "signing key {key_id} removed: nothing that it signed is valid any more");
        Ok(())
    }

    fn path(&self, record: &KeyRecord) -> PathBuf {
        let KeyRecord {
            key_id,
            algorithm,
            made_at,
            signs_from,
        } = record;
        let signs = signs_from.map_or_else(|| NEXT.to_owned(), |from| from.as_unix_seconds().to_string());
        let (made, algorithm) = (made_at.as_unix_seconds(), algorithm.as_str());
        self.0.join(format!("{made}.{signs}.{algorithm}.{key_id}.pem"))
    }
}

fn parse_name(name: &str) -> Option<KeyRecord> {
    let mut parts = name.strip_suffix(".pem")?.split('.');
    let (made, signs, algorithm, key_id) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let time = |seconds: &str| seconds.parse().ok().map(Timestamp::from_unix_seconds);
    if parts.next().is_some() {
        return None;
    }
    Some(KeyRecord {
        key_id: key_id.to_owned(),
        algorithm: SignatureAlgorithm::ALL
            .into_iter()
            .find(|known| known.as_str() == algorithm)?,
        made_at: time(made)?,
        signs_from: match signs {
            NEXT => None,
            from => Some(time(from)?),
        },
    })
}

fn load(path: &Path, record: KeyRecord) -> Result<KeptKey, SigningKeysError> {
    let pem = std::fs::read(path)
        .map(Zeroizing::new)
        .map_err(|error| failed(path, Failure::File(error)))?;
    let key = SigningKey::from_pkcs8_pem(&pem, record.algorithm)
        .map_err(|error| failed(path, Failure::Unusable(error)))?;
    if key.key_id() != record.key_id {
        return Err(failed(path, Failure::OtherKey));
    }
    let key = Arc::new(key);
    Ok(KeptKey { record, key })
}

/// Writes a file whole and durably; there is none of that name yet, for a new key has a new name.
fn write_new(path: &Path, directory: &Path, contents: &[u8]) -> io::Result<()> {
    // Made readable for its owner alone.
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync(directory)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn failed(path: &Path, cause: Failure) -> SigningKeysError {
    SigningKeysError {
        path: path.to_path_buf(),
        cause,
    }
}

/// A signing key that could not be loaded or made.
#[derive(Debug, thiserror::Error)]
#[error("signing.keys: {}: {cause}", path.display())]
pub struct SigningKeysError {
    path: PathBuf,
    cause: Failure,
}

impl SigningKeysError {
    pub(super) fn of_encoding(error: SigningError) -> Self {
        failed(Path::new("(the JWKS)"), Failure::Unusable(error))
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}; give this process's user the right to read and write the file and its directory")]
    File(io::Error),
    #[error("{0}; restore the key, or move the file away and a new key is made")]
    Unusable(SigningError),
    #[error("it is another key than its name says; restore the name, or move the file away")]
    OtherKey,
    #[error("a key cannot be made; the system gives no randomness")]
    Generation,
}
