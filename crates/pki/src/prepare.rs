//! `certs/`, made complete: what is missing is made, what is there is kept, and on request what has expired is renewed.
//!
//! Everything is read and checked first, so a refusal leaves the directory as it was. Then it is written in an order
//! in which a crash leaves nothing that looks complete: keys before certificates, a revocation before the revoked.

use std::fs;
use std::path::{Path, PathBuf};

use oauth_core::time::Timestamp;

use crate::{
    authority::Overwrite,
    demo_set::Member,
    error::Error,
    files::{self, Readers},
    identity::Identity,
    inventory::{Inventory, Pair, REVOCATION_LIST, ROOT, file},
    key::{KeyAlgorithm, PrivateKey},
    pkcs12::{PKCS12_ITERATIONS, PKCS12_PASSWORD, Pkcs12},
    revocation::RevocationList,
    root::Root,
    validity::{Days, RENEWAL_MARGIN},
};

/// What happens to files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// All are kept; what has expired is reported.
    Keep,
    /// What has expired, or will within [`RENEWAL_MARGIN`], is certified again under the same key.
    RenewExpired,
    /// All are replaced, keys included.
    Replace,
}

/// How a directory is to be prepared.
#[derive(Clone, Copy, Debug)]
pub struct Preparation {
    /// What happens to files that are there already.
    pub existing: Existing,
    /// The algorithm of keys that are made; keys that are there keep theirs.
    pub key_algorithm: KeyAlgorithm,
    /// Whether PKCS#12 files are written.
    pub pkcs12: Pkcs12,
}

impl Preparation {
    /// What the demo asks for before it starts: everything there, and nothing expired that should not be.
    pub const DEMO: Self = Self {
        existing: Existing::RenewExpired,
        key_algorithm: KeyAlgorithm::EcdsaP256,
        pkcs12: Pkcs12::Write {
            iterations: PKCS12_ITERATIONS,
        },
    };
}

/// What became of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was there and is good.
    Kept,
    /// It was not there, or was replaced on request.
    Made,
    /// It had expired and starts anew.
    Renewed,
    /// It has expired, and was left alone.
    Expired,
}

/// What became of the file at `path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportEntry {
    /// The certificate, revocation list or PKCS#12 file.
    pub path: PathBuf,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of each file; keys are not listed apart from their certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One entry per file.
    pub entries: Vec<ReportEntry>,
}

impl Report {
    /// The files with this outcome.
    pub fn with(&self, outcome: Outcome) -> impl Iterator<Item = &Path> {
        self.entries
            .iter()
            .filter(move |entry| entry.outcome == outcome)
            .map(|entry| entry.path.as_path())
    }

    fn add(&mut self, path: PathBuf, outcome: Outcome) {
        self.entries.push(ReportEntry { path, outcome });
    }
}

/// Makes `directory` hold the whole demo set; it waits while another process does the same.
///
/// # Errors
///
/// [`Error::InFile`] names the file that cannot be read or written, or that does not belong to the rest. Nothing was
/// written then, unless writing itself failed.
pub fn prepare(directory: &Path, preparation: &Preparation, now: Timestamp) -> Result<Report, Error> {
    let refused = directory.join("refused");
    fs::create_dir_all(&refused).map_err(|error| Error::Io(error).in_file(&refused))?;
    let _lock = files::lock(directory)?;
    let mut inventory = match preparation.existing {
        Existing::Keep | Existing::RenewExpired => Inventory::read(directory)?,
        Existing::Replace => Inventory::empty(),
    };
    let mut work = Work {
        directory,
        preparation,
        now,
        report: Report::default(),
    };
    let root_pair = std::mem::take(&mut inventory.root);
    let has_root_key = root_pair.key.is_some();
    let (root, root_outcome) = work.root(root_pair)?;
    inventory.verify_issuers(directory, &root)?;
    let list = inventory.revocation_list.take();
    let list = list
        .map(|file| work.read_revocation_list(&file, &root))
        .transpose()?;
    let members = inventory
        .members
        .into_iter()
        .map(|(member, pair)| work.member(member, pair, &root))
        .collect::<Result<Vec<_>, _>>()?;

    work.write_root(&root, root_outcome, has_root_key)?;
    work.write_revocation_list(list, &members, &root)?;
    for member in &members {
        work.write_member(member, &root)?;
    }
    Ok(work.report)
}

struct Work<'a> {
    directory: &'a Path,
    preparation: &'a Preparation,
    now: Timestamp,
    report: Report,
}

/// A member as it will be in the directory, and what is to be written for it.
struct Planned {
    member: Member,
    identity: Identity,
    outcome: Outcome,
    had_key: bool,
    had_pkcs12: bool,
}

impl Work<'_> {
    fn root(&self, pair: Pair) -> Result<(Root, Outcome), Error> {
        let path = file(self.directory, ROOT, "pem");
        let Some(certificate) = pair.certificate else {
            let key = pair
                .key
                .map_or_else(|| PrivateKey::generate(self.preparation.key_algorithm), Ok)?;
            return Ok((Root::create_with_key(key, self.now)?, Outcome::Made));
        };
        let key = pair
            .key
            .ok_or(Error::KeyMissing)
            .map_err(|error| error.in_file(&path))?;
        let root = Root::new(certificate, key).map_err(|error| error.in_file(&path))?;
        let is_stale = root.certificate().not_after() <= self.now.plus(RENEWAL_MARGIN);
        Ok(match self.outcome(is_stale) {
            Outcome::Renewed => (root.renew(self.now)?, Outcome::Renewed),
            outcome => (root, outcome),
        })
    }

    fn read_revocation_list(&self, contents: &[u8], root: &Root) -> Result<RevocationList, Error> {
        let path = file(self.directory, ROOT, REVOCATION_LIST);
        RevocationList::from_pem_or_der(contents, root).map_err(|error| error.in_file(&path))
    }

    fn member(&self, member: Member, pair: Pair, root: &Root) -> Result<Planned, Error> {
        let (had_key, had_pkcs12) = (pair.key.is_some(), pair.has_pkcs12);
        let key = pair
            .key
            .map_or_else(|| PrivateKey::generate(self.preparation.key_algorithm), Ok)?;
        let (identity, outcome) = match pair.certificate {
            None => (member.issue(root, key, self.now)?, Outcome::Made),
            Some(certificate) => match self.outcome(member.is_stale(&certificate, self.now)) {
                Outcome::Renewed => (member.issue(root, key, self.now)?, Outcome::Renewed),
                outcome => (Identity::new(certificate, key), outcome),
            },
        };
        Ok(Planned {
            member,
            identity,
            outcome,
            had_key,
            had_pkcs12,
        })
    }

    /// What becomes of something that is there.
    const fn outcome(&self, is_stale: bool) -> Outcome {
        match (is_stale, self.preparation.existing) {
            (false, _) => Outcome::Kept,
            (true, Existing::RenewExpired) => Outcome::Renewed,
            (true, Existing::Keep | Existing::Replace) => Outcome::Expired,
        }
    }

    fn write_root(&mut self, root: &Root, outcome: Outcome, had_key: bool) -> Result<(), Error> {
        if !had_key {
            self.write(
                "root.key",
                root.key().pem().as_bytes(),
                Readers::Owner,
                Outcome::Made,
            )?;
        }
        if matches!(outcome, Outcome::Made | Outcome::Renewed) {
            self.write(
                "root.pem",
                root.certificate().pem()?.as_bytes(),
                Readers::Everybody,
                outcome,
            )?;
        }
        self.report.add(file(self.directory, ROOT, "pem"), outcome);
        Ok(())
    }

    /// Writes the list where it is missing or overdue, and wherever the revoked fixture is not in it yet.
    fn write_revocation_list(
        &mut self,
        list: Option<RevocationList>,
        members: &[Planned],
        root: &Root,
    ) -> Result<(), Error> {
        let lifetime = Days::REVOCATION_LIST;
        let (mut list, mut outcome) = match list {
            None => (RevocationList::empty(root, lifetime, self.now)?, Outcome::Made),
            Some(list) => match self.outcome(list.next_update() <= self.now.plus(RENEWAL_MARGIN)) {
                Outcome::Renewed => (list.renew(root, lifetime, self.now)?, Outcome::Renewed),
                outcome => (list, outcome),
            },
        };
        for planned in members.iter().filter(|planned| planned.member == Member::Revoked) {
            if !list.lists(planned.identity.certificate()) {
                list = list.revoke(planned.identity.certificate(), root, lifetime, self.now)?;
                outcome = if outcome == Outcome::Made {
                    Outcome::Made
                } else {
                    Outcome::Renewed
                };
            }
        }
        if matches!(outcome, Outcome::Made | Outcome::Renewed) {
            self.write(
                "root.crl.pem",
                list.pem()?.as_bytes(),
                Readers::Everybody,
                outcome,
            )?;
        }
        self.report
            .add(file(self.directory, ROOT, REVOCATION_LIST), outcome);
        Ok(())
    }

    fn write_member(&mut self, planned: &Planned, root: &Root) -> Result<(), Error> {
        let stem = planned.member.path();
        let is_new = matches!(planned.outcome, Outcome::Made | Outcome::Renewed);
        if !planned.had_key {
            let pem = planned.identity.key_pem();
            self.write(
                &format!("{stem}.key"),
                pem.as_bytes(),
                Readers::Owner,
                Outcome::Made,
            )?;
        }
        if planned.member.has_pkcs12() {
            if is_new || !planned.had_pkcs12 {
                self.write_pkcs12(planned, root)?;
            } else {
                self.report
                    .add(file(self.directory, stem, "p12"), planned.outcome);
            }
        }
        if is_new {
            let pem = planned.identity.certificate_pem()?;
            self.write(
                &format!("{stem}.pem"),
                pem.as_bytes(),
                Readers::Everybody,
                planned.outcome,
            )?;
        }
        self.report
            .add(file(self.directory, stem, "pem"), planned.outcome);
        Ok(())
    }

    /// A PKCS#12 file beside a certificate that is not there is a half-made pair's, and holds nothing that is not kept.
    fn write_pkcs12(&mut self, planned: &Planned, root: &Root) -> Result<(), Error> {
        let Pkcs12::Write { iterations } = self.preparation.pkcs12 else {
            return Ok(());
        };
        let pkcs12 = planned
            .identity
            .pkcs12(root.certificate(), PKCS12_PASSWORD, iterations)?;
        let outcome = if planned.had_pkcs12 {
            Outcome::Renewed
        } else {
            Outcome::Made
        };
        self.write(
            &format!("{}.p12", planned.member.path()),
            &pkcs12,
            Readers::Owner,
            outcome,
        )?;
        self.report
            .add(file(self.directory, planned.member.path(), "p12"), outcome);
        Ok(())
    }

    fn write(&self, name: &str, contents: &[u8], readers: Readers, outcome: Outcome) -> Result<(), Error> {
        let may_replace = self.preparation.existing == Existing::Replace || outcome == Outcome::Renewed;
        let overwrite = if may_replace {
            Overwrite::Replace
        } else {
            Overwrite::Refuse
        };
        files::write(&self.directory.join(name), contents, readers, overwrite)
    }
}
