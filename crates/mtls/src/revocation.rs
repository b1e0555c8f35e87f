//! Certificate revocation lists: which are loaded, and what their absence means.
//!
//! Whatever is loaded is enforced in full: every certificate of the chain, and the list's own expiry.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use oauth_core::revocation::{CertificateId, RevokedCertificates};
use oauth_core::time::Timestamp;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use x509_cert::crl::CertificateList;
use x509_cert::der::{Decode, Encode};

use crate::crl_signature;
use crate::file::{self, UnreadableFile};
use crate::trust::TrustAnchors;

/// What is done about an issuer whose revocation list is not at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrlPolicy {
    /// Fails closed: no list, no start; unknown status, no handshake.
    #[default]
    Require,
    /// Lists that exist are enforced, expiry included; an issuer without one is taken at its word.
    IfPresent,
}

/// The revocation lists a listener enforces, under one policy. RFC 5280 §6.3.
#[derive(Clone, Debug)]
pub struct RevocationLists {
    lists: Vec<CertificateRevocationListDer<'static>>,
    next_update: Option<Timestamp>,
    revoked: RevokedCertificates,
    policy: CrlPolicy,
}

impl RevocationLists {
    /// Reads every list of every file, PEM or DER.
    ///
    /// # Errors
    ///
    /// When a file is unreadable or holds no list; with [`CrlPolicy::Require`] also when a file is absent or none
    /// is named. With [`CrlPolicy::IfPresent`] an absent file is passed over and logged.
    pub fn load(files: &[PathBuf], policy: CrlPolicy) -> Result<Self, RevocationError> {
        if files.is_empty() && policy == CrlPolicy::Require {
            return Err(RevocationError::NoneNamed);
        }
        let mut all = Self::empty(policy);
        for path in files {
            if let Some(bytes) = read_list(path, policy)? {
                all.add(&bytes).map_err(|error| error.in_file(path))?;
            }
        }
        if all.lists.is_empty() {
            tracing::warn!("no revocation list is loaded: revoked client certificates are let in");
        }
        Ok(all)
    }

    /// Adds every list of one file, PEM or DER.
    pub(crate) fn add(&mut self, file: &[u8]) -> Result<(), RevocationError> {
        for list in lists_in(file)? {
            let parsed = parse(&list)?;
            self.next_update = earliest(self.next_update, next_update_of(&parsed).map(Timestamp::from));
            add_revoked(&mut self.revoked, &parsed)?;
            self.lists.push(list);
        }
        Ok(())
    }

    /// No lists, where revocation is verified elsewhere.
    pub(crate) fn none() -> Self {
        Self::empty(CrlPolicy::IfPresent)
    }

    pub(crate) fn empty(policy: CrlPolicy) -> Self {
        Self {
            lists: Vec::new(),
            next_update: None,
            revoked: RevokedCertificates::default(),
            policy,
        }
    }

    /// The earliest `nextUpdate` among the lists: from then on handshakes under that list are refused.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.next_update
    }

    /// All certificates in the lists.
    pub fn revoked(&self) -> &RevokedCertificates {
        &self.revoked
    }

    /// Refuses a list that bears the name of a trusted authority and is not signed by it: put in force, it would
    /// refuse everybody.
    ///
    /// # Errors
    ///
    /// [`RevocationError::Forged`].
    pub fn verify_signatures(&self, trust: &TrustAnchors) -> Result<(), RevocationError> {
        let all_signed = self
            .lists
            .iter()
            .all(|list| crl_signature::verify(list, trust).is_ok());
        if all_signed {
            Ok(())
        } else {
            Err(RevocationError::Forged)
        }
    }

    pub(crate) fn lists(&self) -> impl Iterator<Item = CertificateRevocationListDer<'static>> {
        self.lists.iter().cloned()
    }

    pub(crate) fn policy(&self) -> CrlPolicy {
        self.policy
    }
}

/// The certificates revoked by the lists that a listener has in force, for those who ask about something else than a
/// handshake; clones share them, and follow the lists.
#[derive(Clone, Debug, Default)]
pub struct Revocations(Arc<ArcSwap<RevokedCertificates>>);

impl Revocations {
    /// What the lists say now.
    pub fn now(&self) -> Arc<RevokedCertificates> {
        self.0.load_full()
    }

    pub(crate) fn replace(&self, revoked: RevokedCertificates) {
        self.0.store(Arc::new(revoked));
    }
}

/// Why revocation lists could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// The policy demands a list and none is named.
    #[error("crl_policy is \"require\" and no CRL is named; list one, or choose \"if-present\"")]
    NoneNamed,
    /// A file is absent or unreadable.
    #[error(transparent)]
    Unreadable(#[from] UnreadableFile),
    /// There is no list in what was given.
    #[error("holds no revocation list; a PEM block `X509 CRL` or DER is expected")]
    NoList,
    /// A list is damaged.
    #[error("holds a damaged revocation list: {0}")]
    Damaged(String),
    /// A list is not signed by the authority whose name it bears.
    #[error(
        "a revocation list bears the name of a trusted authority and not its signature; publish that authority's own"
    )]
    Forged,
    /// One of the above, in a named file.
    #[error("{}: {reason}", path.display())]
    InFile {
        /// The file as it was named.
        path: PathBuf,
        /// What is wrong with it; already part of the message.
        reason: Box<Self>,
    },
}

impl RevocationError {
    fn in_file(self, path: &Path) -> Self {
        Self::InFile {
            path: path.to_path_buf(),
            reason: Box::new(self),
        }
    }
}

fn read_list(path: &Path, policy: CrlPolicy) -> Result<Option<Vec<u8>>, RevocationError> {
    match file::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(UnreadableFile { path, cause })
            if policy == CrlPolicy::IfPresent && cause.kind() == io::ErrorKind::NotFound =>
        {
            let path = path.display();
            tracing::warn!(crl.path = %path, "revocation list {path} is absent and passed over (crl_policy = \"if-present\")");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn lists_in(bytes: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, RevocationError> {
    const DER_SEQUENCE: u8 = 0x30;
    if bytes.first() == Some(&DER_SEQUENCE) {
        return Ok(vec![CertificateRevocationListDer::from(bytes.to_vec())]);
    }
    let lists = CertificateRevocationListDer::pem_slice_iter(bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| RevocationError::Damaged(error.to_string()))?;
    if lists.is_empty() {
        Err(RevocationError::NoList)
    } else {
        Ok(lists)
    }
}

type ParsedList = CertificateList<x509_cert::certificate::Rfc5280>;

fn parse(list: &CertificateRevocationListDer<'_>) -> Result<ParsedList, RevocationError> {
    ParsedList::from_der(list).map_err(|error| RevocationError::Damaged(error.to_string()))
}

fn next_update_of(list: &ParsedList) -> Option<SystemTime> {
    Some(list.tbs_cert_list.next_update?.to_system_time())
}

/// RFC 5280 §5.3
fn add_revoked(revoked: &mut RevokedCertificates, list: &ParsedList) -> Result<(), RevocationError> {
    let list = &list.tbs_cert_list;
    let issuer = list
        .issuer
        .to_der()
        .map_err(|error| RevocationError::Damaged(error.to_string()))?;
    let entries = list.revoked_certificates.iter().flatten();
    let certificates = entries.map(|entry| CertificateId::new(&issuer, entry.serial_number.as_bytes()));
    revoked.add(Timestamp::from(list.this_update.to_system_time()), certificates);
    Ok(())
}

/// The ends of the lists among these bytes; what is broken has none.
pub(crate) fn ends_in(bytes: &[u8]) -> Vec<SystemTime> {
    let lists = lists_in(bytes).unwrap_or_default();
    let ends = lists.iter().filter_map(|list| next_update_of(&parse(list).ok()?));
    ends.collect()
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
#[path = "revocation_tests.rs"]
mod tests;
