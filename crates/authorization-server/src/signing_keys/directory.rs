//! Keys in a directory: one file each, for its owner alone, whose name says all that is known of the key.
//!
//! A key is scheduled by a rename, so that a crash leaves the old state or the new one.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use oauth_core::jwt::SignatureAlgorithm;
use oauth_core::time::Timestamp;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::failure::{Failure, SigningKeysError};
use super::kept::{self, KeptKey};
use super::key_set::{KeyRecord, RotationPolicy, Step};
use super::{Occasion, carry_out};

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
                .and_then(kept::parse_name)
            {
                Some(record) => keys.push(load(&path, record)?),
                None => tracing::debug!(key.path = %path.display(), "{} is no signing key", path.display()),
            }
        }
        Ok(keys)
    }

    /// Does what is due at `now`: on disk first, then in `keys`. After a failure these are what was done before it.
    pub(super) fn change(
        &self,
        keys: &mut Vec<KeptKey>,
        occasion: Occasion<'_>,
        policy: &RotationPolicy,
        now: Timestamp,
    ) -> Result<(), SigningKeysError> {
        carry_out(keys, occasion, policy, now, |step, keys| {
            self.apply(step, keys, now)
        })
    }

    fn apply(&self, step: Step, keys: &mut Vec<KeptKey>, now: Timestamp) -> Result<(), SigningKeysError> {
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
        let made = KeptKey::make(algorithm, signs_from, now);
        let (kept, pem) = made.map_err(|cause| failed(&self.0, cause))?;
        let path = self.path(&kept.record);
        write_new(&path, &self.0, pem.as_bytes()).map_err(|error| failed(&path, Failure::File(error)))?;
        kept::log_made(&kept.record);
        Ok(kept)
    }

    fn schedule(&self, kept: &mut KeptKey, signs_from: Timestamp) -> Result<(), SigningKeysError> {
        let scheduled = kept::scheduled(&kept.record, signs_from);
        let path = self.path(&kept.record);
        std::fs::rename(&path, self.path(&scheduled))
            .and_then(|()| sync(&self.0))
            .map_err(|error| failed(&path, Failure::File(error)))?;
        kept::log_scheduled(&scheduled.key_id, signs_from);
        kept.record = scheduled;
        Ok(())
    }

    fn remove(&self, record: &KeyRecord) -> Result<(), SigningKeysError> {
        let path = self.path(record);
        std::fs::remove_file(&path)
            .and_then(|()| sync(&self.0))
            .map_err(|error| failed(&path, Failure::File(error)))?;
        kept::log_removed(&record.key_id);
        Ok(())
    }

    fn path(&self, record: &KeyRecord) -> PathBuf {
        self.0.join(kept::name(record))
    }
}

fn load(path: &Path, record: KeyRecord) -> Result<KeptKey, SigningKeysError> {
    let pem = std::fs::read(path)
        .map(Zeroizing::new)
        .map_err(|error| failed(path, Failure::File(error)))?;
    KeptKey::read(record, &pem).map_err(|cause| failed(path, cause))
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
    SigningKeysError::at_path(path, cause)
}
