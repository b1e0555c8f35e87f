//! What is read of files, opened to the fuzz targets; no other build has this module.

use std::time::SystemTime;

use crate::revocation::{self, CrlPolicy, RevocationLists};
use crate::server::{ClientEku, Verification};
use crate::trust::TrustAnchors;
use crate::verifier::{Anonymous, Verifier};

/// The revocation lists in the bytes of one file, where they could be put in force under `trust`.
pub fn revocation_lists(file: &[u8], trust: &TrustAnchors) -> Option<RevocationLists> {
    let lists = RevocationLists::of_file(file).ok()?;
    lists.verify_signatures(trust).ok()?;
    let verification = Verification::new(trust.clone(), lists.clone(), ClientEku::Required);
    Verifier::new(&verification, Anonymous::Refused).ok()?;
    Some(lists)
}

/// The ends of the revocation lists in the bytes of one file.
pub fn ends_in(file: &[u8]) -> Vec<SystemTime> {
    revocation::ends_in(file)
}

impl RevocationLists {
    /// As [`Self::load`], of the bytes of one file.
    fn of_file(file: &[u8]) -> Result<Self, revocation::RevocationError> {
        let mut all = Self::empty(CrlPolicy::Require);
        all.add(file)?;
        Ok(all)
    }
}
