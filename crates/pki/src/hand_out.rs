//! Hands each service of a deployment its own copies of what it needs from a certificates directory.
//!
//! A service that is not root can read nobody else's 0600 key, and has no business with its neighbours'. So each gets
//! a directory of its own, for its user alone, with the files it was promised and nothing else.

use std::{
    ffi::OsString,
    fmt,
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    authority::Overwrite,
    error::Error,
    files::{self, Readers, entries},
};

/// A service's directory is closed to all others.
const DIRECTORY_MODE: u32 = 0o700;

/// The superuser, as whom a deployment may run this.
const ROOT: u32 = 0;

/// A user and a group, written `UID:GID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What one service is handed, written `DIRECTORY=FILE,FILE,...`: which files, and the directory they go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    directory: PathBuf,
    files: Vec<OsString>,
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<_> = self.files.iter().map(|file| file.to_string_lossy()).collect();
        write!(formatter, "{} {}", self.directory.display(), files.join(" "))
    }
}

impl FromStr for Owner {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (uid, gid) = text.split_once(':').ok_or(Error::Owner)?;
        let number = |text: &str| text.parse().map_err(|_| Error::Owner);
        Ok(Self {
            uid: number(uid)?,
            gid: number(gid)?,
        })
    }
}

impl FromStr for Share {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (directory, files) = text.split_once('=').ok_or(Error::Share)?;
        let is_plain = |name: &str| !name.is_empty() && name != "." && name != ".." && !name.contains('/');
        if directory.is_empty() || !files.split(',').all(is_plain) {
            return Err(Error::Share);
        }
        Ok(Self {
            directory: PathBuf::from(directory),
            files: files.split(',').map(OsString::from).collect(),
        })
    }
}

impl Share {
    /// Copies this share's files out of `certificates` for `owner`, each replaced whole, and removes every other file
    /// from the share's directory.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] names what could not be read, written, removed or given away.
    pub fn hand_out(&self, certificates: &Path, owner: Owner) -> Result<(), Error> {
        let _alone = files::lock(certificates)?;
        in_file(&self.directory, make_private(&self.directory))?;
        for name in &self.files {
            let source = certificates.join(name);
            let contents = files::read_if_there(&source)?
                .ok_or_else(|| Error::Io(io::ErrorKind::NotFound.into()).in_file(&source))?;
            let (target, readers) = (self.directory.join(name), Readers::Other(owner));
            files::write(&target, &contents, readers, Overwrite::Replace)?;
        }
        self.remove_others()?;
        in_file(
            &self.directory,
            chown(&self.directory, Some(owner.uid), Some(owner.gid)),
        )
    }

    fn remove_others(&self) -> Result<(), Error> {
        for path in entries(&self.directory)? {
            let is_promised = path
                .file_name()
                .is_some_and(|name| self.files.iter().any(|file| file == name));
            if !is_promised {
                in_file(&path, fs::remove_file(&path))?;
            }
        }
        Ok(())
    }
}

/// Gives root's files in `directory` to whoever owns the directory itself: root may fill it, but it is not root's.
///
/// # Errors
///
/// [`Error::InFile`] names what could not be read or given away.
pub fn give_to_directory_owner(directory: &Path) -> Result<(), Error> {
    let metadata = in_file(directory, fs::metadata(directory))?;
    give_entries(
        directory,
        Owner {
            uid: metadata.uid(),
            gid: metadata.gid(),
        },
    )
}

fn give_entries(directory: &Path, owner: Owner) -> Result<(), Error> {
    for path in entries(directory)? {
        // Never through a link: what it points at may be anything of the host's.
        let metadata = in_file(&path, fs::symlink_metadata(&path))?;
        if metadata.is_symlink() {
            continue;
        }
        if metadata.is_dir() {
            give_entries(&path, owner)?;
        }
        if metadata.uid() == ROOT && owner.uid != ROOT {
            in_file(&path, chown(&path, Some(owner.uid), Some(owner.gid)))?;
        }
    }
    Ok(())
}

/// The directory may be a fresh volume, root's and open to all, or the service's own since the last time. In the
/// latter case its mode is right, and root without `CAP_FOWNER` could not set it.
fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)?;
    match fs::metadata(directory)?.mode() & 0o777 {
        DIRECTORY_MODE => Ok(()),
        _ => fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE)),
    }
}

fn in_file<T>(path: &Path, result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|error| Error::Io(error).in_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only owner that tests can give files to, unless they run as root.
    fn myself(directory: &Path) -> Owner {
        let metadata = fs::metadata(directory).unwrap();
        Owner {
            uid: metadata.uid(),
            gid: metadata.gid(),
        }
    }

    fn share(directory: &Path, files: &str) -> Share {
        format!("{}={files}", directory.display()).parse().unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn hands_out_private_copies_of_what_was_promised_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let (certificates, service) = (root.path().join("certs"), root.path().join("service"));
        fs::create_dir(&certificates).unwrap();
        for name in ["root.key", "root.pem", "api.tls.key"] {
            fs::write(certificates.join(name), name).unwrap();
        }
        fs::create_dir(&service).unwrap();
        fs::write(service.join("stale.key"), "stale").unwrap();

        let share = share(&service, "root.pem,api.tls.key");
        for _again in 0..2 {
            share.hand_out(&certificates, myself(root.path())).unwrap();
            assert_eq!(names(&service), ["api.tls.key", "root.pem"]);
            assert_eq!(fs::read(service.join("api.tls.key")).unwrap(), b"api.tls.key");
            assert_eq!(
                (mode(&service), mode(&service.join("api.tls.key"))),
                (0o700, 0o600)
            );
        }
    }

    #[test]
    fn hands_out_the_new_file_after_a_change() {
        let root = tempfile::tempdir().unwrap();
        let service = root.path().join("service");
        let share = share(&service, "root.pem");
        for contents in ["old", "new"] {
            fs::write(root.path().join("root.pem"), contents).unwrap();
            share.hand_out(root.path(), myself(root.path())).unwrap();
            assert_eq!(fs::read_to_string(service.join("root.pem")).unwrap(), contents);
        }
    }

    #[test]
    fn names_a_promised_file_that_is_missing() {
        let root = tempfile::tempdir().unwrap();
        let share = share(&root.path().join("service"), "root.pem");
        let error = share.hand_out(root.path(), myself(root.path())).unwrap_err();
        assert!(matches!(error, Error::InFile { path, .. } if path == root.path().join("root.pem")));
    }

    #[test]
    fn follows_no_link_when_giving_a_directory_to_its_owner() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", root.path().join("link")).unwrap();
        fs::create_dir(root.path().join("refused")).unwrap();
        give_to_directory_owner(root.path()).unwrap();
    }

    #[test]
    fn accepts_an_owner_and_a_share() {
        assert_eq!(
            "65532:100".parse::<Owner>().unwrap(),
            Owner { uid: 65532, gid: 100 }
        );
        let share: Share = "/handed/api=root.pem,api.tls.key".parse().unwrap();
        assert_eq!(share.directory, Path::new("/handed/api"));
        assert_eq!(share.files, ["root.pem", "api.tls.key"]);
    }

    #[test]
    fn refuses_an_owner_that_is_not_two_numbers() {
        for text in ["", "65532", "65532:", ":1", "-1:1", "nobody:nogroup", "1:2:3"] {
            assert!(matches!(text.parse::<Owner>(), Err(Error::Owner)), "{text}");
        }
    }

    #[test]
    fn refuses_a_share_without_a_directory_or_with_files_elsewhere() {
        for text in [
            "",
            "/handed",
            "=root.pem",
            "/handed=",
            "/handed=a,,b",
            "/handed=../root.key",
            "/handed=..",
            "/handed=a/b",
        ] {
            assert!(matches!(text.parse::<Share>(), Err(Error::Share)), "{text}");
        }
    }
}
