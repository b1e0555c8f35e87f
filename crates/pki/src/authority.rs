//! A directory with a root in it, as an authority at work: it issues, revokes and signs its revocation list anew.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use oauth_core::time::Timestamp;

use crate::{
    certificate::Certificate,
    error::Error,
    files::{self, Readers, read_if_there},
    inventory::{REVOCATION_LIST, ROOT, file},
    key::{KeyAlgorithm, PrivateKey},
    pkcs12::{PKCS12_PASSWORD, Pkcs12},
    revocation::RevocationList,
    root::{Leaf, Root, Usage},
    subject::Subject,
    validity::Days,
};

/// Whether a file that is there may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// It stays, and the command fails.
    Refuse,
    /// It goes.
    Replace,
}

/// A name that makes a plain file name: letters, digits, `.`, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let is_plain = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        if name.is_empty() || !is_plain || name.starts_with(['.', '-']) {
            return Err(Error::FileName);
        }
        Ok(Self(name.to_owned()))
    }
}

/// A certificate that was issued, and what that has done in the directory.
#[derive(Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: Certificate,
    /// The files it lies in, with its key.
    pub made: Vec<PathBuf>,
    /// The archive of the key before it, which nothing took the place of.
    pub removed: Option<PathBuf>,
}

/// A root at work in its directory. Nobody else works there until it is dropped.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
    root: Root,
    _lock: File,
}

impl Authority {
    /// Loads `root.pem` and `root.key`.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoot`] where there is none, and the errors of [`Root::from_pem`].
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let (certificate_path, key_path) = (file(directory, ROOT, "pem"), file(directory, ROOT, "key"));
        if !certificate_path.exists() {
            return Err(Error::NoRoot.in_file(&certificate_path));
        }
        // Locked before anything is read: what is read stays true until the lock falls.
        let lock = files::lock(directory)?;
        let read = |path: &Path| {
            read_if_there(path)?
                .ok_or(Error::NoRoot)
                .map_err(|error| error.in_file(path))
        };
        let (certificate, key) = (read(&certificate_path)?, read(&key_path)?);
        let root = Root::from_pem(&certificate, &key).map_err(|error| error.in_file(&certificate_path))?;
        Ok(Self {
            directory: directory.to_owned(),
            root,
            _lock: lock,
        })
    }

    /// The root.
    pub const fn root(&self) -> &Root {
        &self.root
    }

    /// Verifies that no certificate in the directory carries `subject`.
    ///
    /// # Errors
    ///
    /// [`Error::SubjectTaken`] names the certificate that does.
    pub fn verify_subject_is_free(&self, subject: &Subject) -> Result<(), Error> {
        for path in files::entries(&self.directory)? {
            if path.extension().is_none_or(|extension| extension != "pem") {
                continue;
            }
            // A revocation list is no certificate, and what cannot be read carries no name.
            let certificate = read_if_there(&path)?.and_then(|file| Certificate::from_pem_or_der(&file).ok());
            if certificate.is_some_and(|certificate| certificate.subject().is_same(subject)) {
                return Err(Error::SubjectTaken {
                    subject: subject.to_string(),
                    path,
                });
            }
        }
        Ok(())
    }

    /// Makes a key and a certificate as `NAME.tls.*` or `NAME.client.*`. An archive with the key that was there before
    /// does not outlive it.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`] where one of the files is there and may not be replaced; then none is written.
    pub fn issue(
        &self,
        name: &FileName,
        usage: Usage,
        leaf: &Leaf,
        key_algorithm: KeyAlgorithm,
        pkcs12: Pkcs12,
        overwrite: Overwrite,
    ) -> Result<Issued, Error> {
        let stem = match usage {
            Usage::Server => format!("{}.tls", name.as_str()),
            Usage::Client => format!("{}.client", name.as_str()),
        };
        let [key_path, archive_path, certificate_path] =
            ["key", "p12", "pem"].map(|extension| file(&self.directory, &stem, extension));
        let paths = [&key_path, &archive_path, &certificate_path];
        if let (Overwrite::Refuse, Some(path)) = (overwrite, paths.iter().find(|path| path.exists())) {
            return Err(Error::AlreadyExists.in_file(path));
        }
        let key = PrivateKey::generate(key_algorithm)?;
        let identity = self.root.issue(usage, leaf, key)?;
        let mut made = Vec::new();
        let mut write = |path: PathBuf, contents: &[u8], readers| {
            files::write(&path, contents, readers, overwrite)?;
            made.push(path);
            Ok::<_, Error>(())
        };
        write(key_path, identity.key_pem().as_bytes(), Readers::Owner)?;
        let removed = match pkcs12 {
            Pkcs12::Skip => files::remove_if_there(&archive_path)?.then_some(archive_path),
            Pkcs12::Write { iterations } => {
                let archive = identity.pkcs12(self.root.certificate(), PKCS12_PASSWORD, iterations)?;
                write(archive_path, &archive, Readers::Owner)?;
                None
            }
        };
        let certificate = identity.certificate();
        write(
            certificate_path,
            certificate.pem()?.as_bytes(),
            Readers::Everybody,
        )?;
        Ok(Issued {
            certificate: certificate.clone(),
            made,
            removed,
        })
    }

    /// The revocation list as it stands.
    ///
    /// # Errors
    ///
    /// [`Error::NoRevocationList`] where there is none, and the errors of [`RevocationList::from_pem_or_der`].
    pub fn revocation_list(&self) -> Result<RevocationList, Error> {
        let path = self.revocation_list_path();
        let contents = read_if_there(&path)?
            .ok_or(Error::NoRevocationList)
            .map_err(|error| error.in_file(&path))?;
        RevocationList::from_pem_or_der(&contents, &self.root).map_err(|error| error.in_file(&path))
    }

    /// Adds a certificate to the revocation list; `None` where it was there already, and nothing was written.
    ///
    /// # Errors
    ///
    /// Those of [`RevocationList::revoke`] and of [`Authority::revocation_list`].
    pub fn revoke(&self, certificate: &Certificate, now: Timestamp) -> Result<Option<RevocationList>, Error> {
        let list = self.revocation_list()?;
        let longer = list.revoke(certificate, &self.root, Days::REVOCATION_LIST, now)?;
        if longer.number() == list.number() {
            return Ok(None);
        }
        self.write_revocation_list(&longer)?;
        Ok(Some(longer))
    }

    /// Signs the revocation list again, with fresh dates and the next number.
    ///
    /// # Errors
    ///
    /// Those of [`Authority::revocation_list`], and [`Error::Io`].
    pub fn renew_revocation_list(&self, lifetime: Days, now: Timestamp) -> Result<RevocationList, Error> {
        let list = self.revocation_list()?.renew(&self.root, lifetime, now)?;
        self.write_revocation_list(&list)?;
        Ok(list)
    }

    /// Makes an empty revocation list in place of a lost one: what was revoked before is let in again.
    ///
    /// # Errors
    ///
    /// [`Error::RevocationListThere`] where the list is not lost, and [`Error::Io`].
    pub fn restart_revocation_list(&self, lifetime: Days, now: Timestamp) -> Result<RevocationList, Error> {
        let path = self.revocation_list_path();
        if path.exists() {
            return Err(Error::RevocationListThere.in_file(&path));
        }
        let list = RevocationList::empty(&self.root, lifetime, now)?;
        self.write_revocation_list(&list)?;
        Ok(list)
    }

    fn write_revocation_list(&self, list: &RevocationList) -> Result<(), Error> {
        files::write_public(
            &self.revocation_list_path(),
            list.pem()?.as_bytes(),
            Overwrite::Replace,
        )
    }

    fn revocation_list_path(&self) -> PathBuf {
        file(&self.directory, ROOT, REVOCATION_LIST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_plain_file_names() {
        for name in ["a", "acme-2", "api.example.com", "A_b"] {
            assert_eq!(name.parse::<FileName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn refuses_names_that_lead_elsewhere() {
        for name in ["", ".", "..", "../a", "a/b", "-a", ".a", "a b", "ä", "a\0"] {
            assert!(
                matches!(name.parse::<FileName>(), Err(Error::FileName)),
                "{name:?}"
            );
        }
    }
}
