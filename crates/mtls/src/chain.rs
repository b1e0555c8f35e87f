//! The chain a peer presented, and whether it ends in certain trust anchors rather than in any.
//!
//! A handshake asks whether some trusted authority vouches for a certificate. Where a client is registered with
//! authorities of its own, that is not enough: another one could issue the same name.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use oauth_core::time::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;

use crate::revocation::RevocationLists;
use crate::server::{ClientEku, ServerConfigError, Verification};
use crate::trust::TrustAnchors;
use crate::verifier::{Anonymous, Verifier};

/// The certificates of a handshake, leaf first; clones share them.
#[derive(Clone, Default)]
pub struct PresentedChain(Arc<[CertificateDer<'static>]>);

impl PresentedChain {
    /// The chain of these DER encodings, leaf first; empty where no certificate was sent.
    pub fn from_der(certificates: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(certificates.into_iter().map(CertificateDer::from).collect())
    }

    pub(crate) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }

    pub(crate) fn new(certificates: Option<&[CertificateDer<'static>]>) -> Self {
        Self(certificates.unwrap_or_default().into())
    }
}

impl fmt::Debug for PresentedChain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PresentedChain({} certificates)", self.0.len())
    }
}

/// Verifies chains under certain trust anchors, which are known by their keys: an authority of the same name is
/// another one.
///
/// It asks for the anchor and nothing else. Revocation and usage are the handshake's to verify, under revocation lists
/// that are the listener's.
///
/// [RFC 8705 §7.4](https://www.rfc-editor.org/rfc/rfc8705#section-7.4)
#[derive(Clone, Debug)]
pub struct ChainVerifier(Arc<Verifier>);

impl ChainVerifier {
    /// Verifies under `anchors` alone.
    ///
    /// # Errors
    ///
    /// When the anchors cannot be used.
    pub fn new(anchors: TrustAnchors) -> Result<Self, ServerConfigError> {
        let lists = RevocationLists::none();
        let verification = Verification::new(anchors, lists, ClientEku::RequiredIfPresent);
        Ok(Self(Arc::new(Verifier::new(&verification, Anonymous::Refused)?)))
    }

    /// Whether `chain` ends in one of the anchors at `now`.
    ///
    /// # Errors
    ///
    /// [`OtherAnchor`] for every other chain, and for none.
    pub fn verify(&self, chain: &PresentedChain, now: Timestamp) -> Result<(), OtherAnchor> {
        let (leaf, intermediates) = chain.0.split_first().ok_or(OtherAnchor)?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_unix_seconds()));
        match self.0.verify_client_cert(leaf, intermediates, now) {
            Ok(_verified) => Ok(()),
            Err(_) => Err(OtherAnchor),
        }
    }
}

/// The chain does not end in one of the anchors asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chain ends in another trust anchor")]
pub struct OtherAnchor;

#[cfg(test)]
mod tests {
    use rcgen::date_time_ymd;
    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::pki::{Authority, Leaf};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn chain(leaf: &Leaf) -> PresentedChain {
        let leaf = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
        PresentedChain::from_der([leaf.to_vec()])
    }

    fn verifier(authority: &Authority) -> ChainVerifier {
        ChainVerifier::new(TrustAnchors::from_pem(authority.pem.as_bytes()).unwrap()).unwrap()
    }

    /// M14: the name is the same.
    #[test]
    fn tells_an_authority_from_another_of_the_same_name() {
        let (mine, namesake) = (Authority::new("root"), Authority::new("root"));
        let verifier = verifier(&mine);
        assert_eq!(verifier.verify(&chain(&mine.client(|_| ())), NOW), Ok(()));
        assert_eq!(
            verifier.verify(&chain(&namesake.client(|_| ())), NOW),
            Err(OtherAnchor)
        );
        assert_eq!(verifier.verify(&PresentedChain::default(), NOW), Err(OtherAnchor));
    }

    /// T21: the question is asked with every request, and time passes.
    #[test]
    fn refuses_a_chain_that_is_no_longer_valid() {
        let authority = Authority::new("root");
        let verifier = verifier(&authority);
        let until_2026 = authority.client(|params| params.not_after = date_time_ymd(2026, 1, 1));
        assert_eq!(verifier.verify(&chain(&until_2026), NOW), Err(OtherAnchor));
        let earlier = Timestamp::from_unix_seconds(1_700_000_000);
        assert_eq!(verifier.verify(&chain(&until_2026), earlier), Ok(()));
    }

    /// M14, T17.
    #[test]
    fn refuses_a_self_signed_certificate() {
        let verifier = verifier(&Authority::new("root"));
        let own = Leaf::self_signed(|_| ());
        assert_eq!(verifier.verify(&chain(&own), NOW), Err(OtherAnchor));
    }
}
