//! A memory of the chains that a verifier has let in: a client that comes again costs no signature check of its chain.
//!
//! It saves work and decides nothing. A verifier has one trust, one set of revocation lists and one memory, and all
//! three end together when any file is loaded anew. Only time passes meanwhile, so each chain is remembered with the
//! time in which no date in it, nor of the lists, can change the verdict. Refusals are not remembered, and that the
//! peer holds the certificate's key is proven in every handshake all the same.

use std::time::Duration;

use oauth_core::time::Timestamp;
use quick_cache::sync::Cache;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// Bounds the memory, about a megabyte. A client whose chain makes room for another's costs one more check of it.
const MOST: usize = 14 * 1024;

#[derive(Debug)]
pub(crate) struct VerifiedChains {
    // When the first of the revocation lists expires, and with it every verdict.
    lists_expire: Option<Timestamp>,
    chains: Cache<ChainDigest, Validity>,
}

/// SHA-256 over all certificates that were presented, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChainDigest([u8; 32]);

/// From the first to the last second in which every certificate of a chain is valid.
#[derive(Clone, Copy, Debug)]
struct Validity {
    not_before: Timestamp,
    not_after: Timestamp,
}

impl VerifiedChains {
    /// None yet, under revocation lists the first of which expires then.
    pub(crate) fn under(lists_expire: Option<Timestamp>) -> Self {
        Self {
            lists_expire,
            chains: Cache::new(MOST),
        }
    }

    /// Whether the chain was verified, and time can have changed nothing since.
    pub(crate) fn contains(&self, chain: &ChainDigest, now: Timestamp) -> bool {
        self.lists_expire.is_none_or(|expire| now < expire)
            && self
                .chains
                .get(chain)
                .is_some_and(|validity| (validity.not_before..=validity.not_after).contains(&now))
    }

    /// Takes note of a chain that was verified, unless there is a certificate in it that cannot be read, which the path
    /// need not lead through.
    pub(crate) fn add(
        &self,
        chain: ChainDigest,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) {
        let Some(validity) = Validity::of(leaf, intermediates) else {
            return;
        };
        self.chains.insert(chain, validity);
    }
}

impl ChainDigest {
    pub(crate) fn of(leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Self {
        let mut hash = Sha256::new();
        for certificate in std::iter::once(leaf).chain(intermediates) {
            // Where one ends and the next begins is part of what was presented.
            hash.update(certificate.len().to_be_bytes());
            hash.update(certificate);
        }
        Self(hash.finalize().into())
    }
}

impl Validity {
    /// `None` where a certificate cannot be read.
    fn of(leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Option<Self> {
        let mut validity = Self::of_one(leaf)?;
        for certificate in intermediates {
            let other = Self::of_one(certificate)?;
            validity.not_before = validity.not_before.max(other.not_before);
            validity.not_after = validity.not_after.min(other.not_after);
        }
        Some(validity)
    }

    fn of_one(certificate: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let validity = certificate.tbs_certificate().validity();
        let seconds = |duration: Duration| Timestamp::from_unix_seconds(duration.as_secs());
        Some(Self {
            not_before: seconds(validity.not_before.to_unix_duration()),
            not_after: seconds(validity.not_after.to_unix_duration()),
        })
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::pki::Authority;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn never_remembers_more_than_its_bound() {
        let leaf = Authority::new("root").client(|_| ()).certificate;
        let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
        let verified = VerifiedChains::under(None);
        let digest = |number: usize| ChainDigest(Sha256::digest(number.to_be_bytes()).into());
        for number in 0..2 * MOST {
            verified.add(digest(number), &leaf, &[]);
            assert!(verified.contains(&digest(number), NOW));
            assert!(verified.chains.len() <= MOST);
        }
        let known = |number: &usize| verified.contains(&digest(*number), NOW);
        assert!((0..2 * MOST).filter(known).count() > MOST / 2);
    }

    #[test]
    fn tells_chains_apart_by_where_their_certificates_begin() {
        let certificate = |bytes: &'static [u8]| CertificateDer::from(bytes);
        let one = ChainDigest::of(&certificate(b"ab"), &[certificate(b"c")]);
        assert_eq!(one, ChainDigest::of(&certificate(b"ab"), &[certificate(b"c")]));
        assert_ne!(one, ChainDigest::of(&certificate(b"a"), &[certificate(b"bc")]));
        assert_ne!(one, ChainDigest::of(&certificate(b"ab"), &[]));
    }
}
