//! What a `certs/` directory holds already, read and checked before anything is written.
//!
//! Every half of a pair without the other, and every file that does not belong to the rest, is named here: nothing is
//! repaired by guessing.

use std::path::{Path, PathBuf};

use crate::{
    certificate::Certificate,
    demo_set::Member,
    error::Error,
    files::{self, read_if_there},
    key::PrivateKey,
    root::Root,
};

/// Where `stem`'s file with `extension` lies; stems contain dots, so `Path::with_extension` would not do.
pub(crate) fn file(directory: &Path, stem: &str, extension: &str) -> PathBuf {
    directory.join(format!("{stem}.{extension}"))
}

/// The stem of the root's files.
pub(crate) const ROOT: &str = "root";

/// The extension of the revocation list, after [`ROOT`].
pub(crate) const REVOCATION_LIST: &str = "crl.pem";

/// The files of one certificate, as far as they are there.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    pub(crate) key: Option<PrivateKey>,
    pub(crate) certificate: Option<Certificate>,
    pub(crate) has_pkcs12: bool,
}

impl Pair {
    /// Reads the pair. A key alone is fine: the certificate was about to be written after it.
    pub(crate) fn read(directory: &Path, stem: &str) -> Result<Self, Error> {
        let (key_path, certificate_path) = (file(directory, stem, "key"), file(directory, stem, "pem"));
        let pkcs12_path = file(directory, stem, "p12");
        let key = read_if_there(&key_path)?
            .map(|pem| PrivateKey::from_pem(&pem).map_err(|error| error.in_file(&key_path)))
            .transpose()?;
        let certificate = read_if_there(&certificate_path)?
            .map(|pem| Certificate::from_pem_or_der(&pem).map_err(|error| error.in_file(&certificate_path)))
            .transpose()?;
        let has_pkcs12 = read_if_there(&pkcs12_path)?.is_some();
        match (&key, &certificate) {
            (None, Some(_)) => Err(Error::KeyMissing.in_file(&certificate_path)),
            (Some(key), Some(certificate)) if key.public_key_info() != certificate.public_key_info()? => {
                Err(Error::KeyMismatch.in_file(&certificate_path))
            }
            (None, None) if has_pkcs12 => Err(Error::Pkcs12WithoutKey.in_file(&pkcs12_path)),
            _ => Ok(Self {
                key,
                certificate,
                has_pkcs12,
            }),
        }
    }
}

/// Everything a directory holds of the demo set.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) root: Pair,
    pub(crate) revocation_list: Option<Vec<u8>>,
    pub(crate) members: Vec<(Member, Pair)>,
}

impl Inventory {
    /// An inventory of nothing: everything is to be made, whatever lies there.
    pub(crate) fn empty() -> Self {
        let members = Member::ALL.into_iter().map(|member| (member, Pair::default()));
        Self {
            members: members.collect(),
            ..Self::default()
        }
    }

    pub(crate) fn read(directory: &Path) -> Result<Self, Error> {
        let root = Pair::read(directory, ROOT)?;
        let members = Member::ALL
            .into_iter()
            .map(|member| Ok((member, Pair::read(directory, member.path())?)))
            .collect::<Result<Vec<_>, Error>>()?;
        if root.key.is_none() && members.iter().any(|(_, pair)| pair.certificate.is_some()) {
            return Err(Error::RootMissing.in_file(&file(directory, ROOT, "key")));
        }
        let list_path = file(directory, ROOT, REVOCATION_LIST);
        let revocation_list = read_if_there(&list_path)?.map(|list| list.to_vec());
        // The list is written before anything is issued: without it, only a root that has issued nothing may go on.
        if revocation_list.is_none() && root.key.is_some() && holds_issued(directory)? {
            return Err(Error::NoRevocationList.in_file(&list_path));
        }
        Ok(Self {
            root,
            revocation_list,
            members,
        })
    }

    /// Checks that every certificate comes from where it should.
    pub(crate) fn verify_issuers(&self, directory: &Path, root: &Root) -> Result<(), Error> {
        for (member, pair) in &self.members {
            let Some(certificate) = &pair.certificate else {
                continue;
            };
            let error = match (root.has_issued(certificate), member) {
                (true, Member::Rogue) => Error::RogueIssuedHere,
                (false, Member::Rogue) | (true, _) => continue,
                (false, _) => Error::NotIssuedHere,
            };
            return Err(error.in_file(&file(directory, member.path(), "pem")));
        }
        Ok(())
    }
}

/// Whether any certificate but the root's own lies here, whoever it is for.
fn holds_issued(directory: &Path) -> Result<bool, Error> {
    let root = file(directory, ROOT, "pem");
    for folder in [directory.to_owned(), directory.join("refused")] {
        let paths = files::entries(&folder)?;
        let mut certificates = paths
            .iter()
            .filter(|path| path.extension().is_some_and(|end| end == "pem"));
        if certificates.any(|path| *path != root) {
            return Ok(true);
        }
    }
    Ok(false)
}
