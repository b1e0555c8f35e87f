//! Files that are whole or not there at all: written beside their place, flushed to disk, then renamed.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{authority::Overwrite, error::Error, hand_out::Owner};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// The owner alone: 0600.
    Owner,
    /// Everybody: 0644.
    Everybody,
    /// Another owner alone, to whom the file is given: 0600.
    Other(Owner),
}

impl Readers {
    /// Lets them read, before the file has its name: nobody ever meets one that is not for him, or that he cannot read.
    fn admit_to(self, file: &File) -> io::Result<()> {
        let mode = match self {
            Self::Owner | Self::Other(_) => 0o600,
            Self::Everybody => 0o644,
        };
        file.set_permissions(Permissions::from_mode(mode))?;
        match self {
            Self::Owner | Self::Everybody => Ok(()),
            Self::Other(Owner { uid, gid }) => fchown(file, Some(uid), Some(gid)),
        }
    }
}

/// Writes a file without secrets, mode 0644, whole or not at all.
///
/// # Errors
///
/// [`Error::InFile`] with [`Error::AlreadyExists`] where the file is there and may not be replaced, or [`Error::Io`].
pub fn write_public(path: &Path, contents: &[u8], overwrite: Overwrite) -> Result<(), Error> {
    write(path, contents, Readers::Everybody, overwrite)
}

pub(crate) fn write(
    path: &Path,
    contents: &[u8],
    readers: Readers,
    overwrite: Overwrite,
) -> Result<(), Error> {
    write_atomically(path, contents, readers, overwrite).map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::AlreadyExists => Error::AlreadyExists,
            _ => Error::Io(error),
        };
        reason.in_file(path)
    })
}

fn write_atomically(path: &Path, contents: &[u8], readers: Readers, overwrite: Overwrite) -> io::Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // Born with mode 0600, so that a key is never readable to others, not even before it is in its place.
    let mut file = tempfile::Builder::new()
        .prefix(".certbound-")
        .suffix(".tmp")
        .tempfile_in(directory)?;
    file.write_all(contents)?;
    readers.admit_to(file.as_file())?;
    file.as_file().sync_all()?;
    match overwrite {
        Overwrite::Refuse => file.persist_noclobber(path)?,
        Overwrite::Replace => file.persist(path)?,
    };
    File::open(directory)?.sync_all()
}

/// The contents of a file, or `None` where there is none. Wiped when dropped: it may be a key.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    match fs::read(path) {
        Ok(contents) => Ok(Some(Zeroizing::new(contents))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Io(error).in_file(path)),
    }
}

/// What lies in a directory.
pub(crate) fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>());
    entries.map_err(|error| Error::Io(error).in_file(directory))
}

/// Removes a file; whether it was there.
pub(crate) fn remove_if_there(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::Io(error).in_file(path)),
    }
}

/// Waits until nobody else works on the directory; the lock falls when the returned file is closed.
pub(crate) fn lock(directory: &Path) -> Result<File, Error> {
    let open_and_lock = || {
        let file = File::open(directory)?;
        file.lock()?;
        Ok(file)
    };
    open_and_lock().map_err(|error: io::Error| Error::Io(error).in_file(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn writes_keys_for_their_owner_and_the_rest_for_everybody() {
        let directory = tempfile::tempdir().unwrap();
        let (key, public) = (directory.path().join("a.key"), directory.path().join("a.pem"));
        write(&key, b"k", Readers::Owner, Overwrite::Refuse).unwrap();
        write(&public, b"c", Readers::Everybody, Overwrite::Refuse).unwrap();
        assert_eq!((mode(&key), mode(&public)), (0o600, 0o644));
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            2,
            "no temporary file stays behind"
        );
    }

    #[test]
    fn replaces_a_file_when_asked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        write_public(&path, b"old", Overwrite::Refuse).unwrap();
        write_public(&path, b"new", Overwrite::Replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn refuses_to_overwrite_unasked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        write_public(&path, b"old", Overwrite::Refuse).unwrap();
        let Err(Error::InFile { path: named, source }) = write_public(&path, b"new", Overwrite::Refuse)
        else {
            panic!("overwrote a file");
        };
        assert_eq!(named, path);
        assert!(matches!(*source, Error::AlreadyExists));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            1,
            "no temporary file stays behind"
        );
    }
}
