//! The header in which a load balancer hands on the certificate of a client whose TLS connection ended there.
//!
//! It is read from trusted peers alone, in one encoding and one spelling, once or not at all; from anybody it is taken
//! out of the request, so that nothing behind the gateway can take it for the gateway's word. A certificate is parsed
//! and its chain verified when its header is seen first, and remembered by the header's digest; its validity and its
//! standing are judged with every request, like those of a connection's certificate.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use mtls::{PresentedChain, ServerTls};
use oauth_core::certificate::{CertificateError, ClientCertificate};
use oauth_core::client_cert_header::encoding::{HeaderEncoding, MalformedCertificateHeader};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use crate::clock::now;
use crate::connection::PresentedCertificate;
use crate::headers;
use crate::trusted_peers::TrustedPeers;

/// Bounds the memory that the certificates of a balancer's clients can take, in bytes of what was parsed and of what is
/// kept as it came.
const MOST_REMEMBERED: u64 = 8 * 1024 * 1024;
/// Of a certificate's DER, parsed names and encoded forms, estimated from its length.
const PARSED_FROM_DER: usize = 6;
/// Of a header's value: the chain in it and itself. Whoever chooses a chain may fill the header with it.
const KEPT_OF_VALUE: usize = 2;
/// Certificates that there is room for from the start.
const FIRST_ROOM: usize = 100;
/// What Apache sends where there was no certificate. Others send nothing, or an empty header.
const APACHE_NONE: &[u8] = b"(null)";

/// What the configuration says of the header.
#[derive(Clone, Debug)]
pub(crate) struct CertificateHeaderRules {
    pub(crate) name: HeaderName,
    pub(crate) encoding: HeaderEncoding,
    pub(crate) trusted_peers: TrustedPeers,
    pub(crate) forwarding: Forwarding,
}

/// Whether APIs get the header as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwarding {
    Forwarded,
    NotForwarded,
}

/// The header, and the certificates seen in it lately.
#[derive(Debug)]
pub(crate) struct CertificateHeader {
    rules: CertificateHeaderRules,
    tls: ServerTls,
    certificates: Cache<[u8; 32], Remembered, InBytes>,
}

/// A certificate seen in a header of that length.
#[derive(Clone, Debug)]
struct Remembered {
    presented: Arc<PresentedCertificate>,
    value_length: usize,
}

impl CertificateHeader {
    /// The certificates are verified as `tls` verifies those of its handshakes.
    pub(crate) fn new(rules: CertificateHeaderRules, tls: ServerTls) -> Self {
        let certificates = Cache::with_weighter(FIRST_ROOM, MOST_REMEMBERED, InBytes);
        Self {
            rules,
            tls,
            certificates,
        }
    }

    /// The header's name.
    pub(crate) const fn name(&self) -> &HeaderName {
        &self.rules.name
    }

    /// Whether a peer at `address` with a certificate of its `own` is believed.
    pub(crate) fn trusts(&self, address: IpAddr, own: Option<&PresentedCertificate>) -> bool {
        let is_vouched_for = || own.is_some_and(|own| own.standing.is_vouched_for(now()));
        let certificate = own.map(|own| own.certificate.as_ref());
        self.rules
            .trusted_peers
            .contain(address, certificate, is_vouched_for)
    }

    /// Takes the header out of a request of somebody who is not believed.
    pub(crate) fn remove_from(&self, fields: &mut HeaderMap) {
        let removed = headers::take_every_spelling(fields, &self.rules.name);
        if let Some((name, _)) = removed.first() {
            tracing::debug!(header = %name, "{name} of a peer that is not trusted is ignored");
        }
    }

    /// Takes the header out of a request of a trusted peer, and reads it; `None` where the client has no certificate.
    ///
    /// # Errors
    ///
    /// [`CertificateHeaderFault`] where it cannot be read, or more than one way to spell it is in use: the peer may
    /// have passed on what its client wrote.
    pub(crate) fn take_from(
        &self,
        fields: &mut HeaderMap,
    ) -> Result<Option<Arc<PresentedCertificate>>, CertificateHeaderFault> {
        let mut taken = headers::take_every_spelling(fields, &self.rules.name);
        let Some((name, value)) = taken.pop() else {
            return Ok(None);
        };
        if !taken.is_empty() {
            return Err(CertificateHeaderFault::MoreThanOne);
        }
        if name != self.rules.name {
            return Err(CertificateHeaderFault::OtherSpelling(name));
        }
        if value.is_empty() || value.as_bytes() == APACHE_NONE {
            return Ok(None);
        }
        self.certificate_in(value).map(Some)
    }

    fn certificate_in(
        &self,
        value: HeaderValue,
    ) -> Result<Arc<PresentedCertificate>, CertificateHeaderFault> {
        let digest: [u8; 32] = Sha256::digest(value.as_bytes()).into();
        if let Some(known) = self.certificates.get(&digest) {
            return Ok(known.presented);
        }
        let value_length = value.len();
        let chain = self.rules.encoding.decode(value.as_bytes())?;
        let presented_chain = PresentedChain::from_der(chain.iter().cloned());
        let standing = self.tls.standing_of(&presented_chain);
        let certificate = ClientCertificate::from_der(chain.first().map_or(&[], Vec::as_slice))?;
        let mut presented = PresentedCertificate::new(Arc::new(certificate), standing);
        if self.rules.forwarding == Forwarding::Forwarded {
            presented.handed_on_in = Some((self.rules.name.clone(), value));
        }
        let presented = Arc::new(presented);
        let remembered = Remembered {
            presented: Arc::clone(&presented),
            value_length,
        };
        self.certificates.insert(digest, remembered);
        Ok(presented)
    }
}

/// What a certificate takes.
#[derive(Clone, Copy, Debug)]
struct InBytes;

impl Weighter<[u8; 32], Remembered> for InBytes {
    fn weight(&self, _digest: &[u8; 32], remembered: &Remembered) -> u64 {
        let parsed = remembered.presented.certificate.der().len() * PARSED_FROM_DER;
        (parsed + remembered.value_length * KEPT_OF_VALUE) as u64
    }
}

/// Why the header of a trusted peer cannot be read; for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateHeaderFault {
    #[error("the header stands there more than once, or in more than one spelling")]
    MoreThanOne,
    #[error("the header is spelled {0}, which clients may write")]
    OtherSpelling(HeaderName),
    #[error("{0}")]
    Encoding(#[from] MalformedCertificateHeader),
    #[error("{0}")]
    Certificate(#[from] CertificateError),
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use mtls::{Alpn, ClientCertificatesSection, CrlPolicy, Presence, ServerFiles, TlsSection};
    use oauth_core::thumbprint::CertificateThumbprint;
    use pki::{DemoSet, KeyAlgorithm, Member};
    use tempfile::TempDir;

    use super::*;
    use crate::trusted_peers::TrustedPeer;

    /// What lets in whom `authority` vouches for, and `pinned`.
    fn tls(authority: &DemoSet, pinned: &str, directory: &Path) -> ServerTls {
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let api = authority.identity(Member::Api);
        let files = ServerFiles::new(TlsSection {
            certificate: write("api.pem", &api.certificate_pem().unwrap()),
            key: write("api.key", &api.key_pem()),
        });
        let section = ClientCertificatesSection {
            trust: vec![write("root.pem", &authority.root().certificate().pem().unwrap())],
            crl: Vec::new(),
            crl_policy: CrlPolicy::IfPresent,
            require_client_eku: true,
        };
        let files = files.asking_for(section, Presence::Required);
        ServerTls::load(files.pin(vec![write("pinned.pem", pinned)]), Alpn::Http2OrHttp1).unwrap()
    }

    /// W13: a balancer may pass on chains that nobody has verified.
    #[test]
    fn long_chains_take_no_more_memory_than_short_ones() {
        let ours = DemoSet::create(KeyAlgorithm::EcdsaP256, now()).unwrap();
        let certificate = ours.identity(Member::Example).certificate().der().to_vec();
        let pinned = ours.identity(Member::Example).certificate_pem().unwrap();
        let directory = TempDir::new().unwrap();
        let rules = CertificateHeaderRules {
            name: HeaderName::from_static("x-client-certificate"),
            encoding: HeaderEncoding::Traefik,
            trusted_peers: TrustedPeers::new(Vec::new()),
            forwarding: Forwarding::Forwarded,
        };
        let header = CertificateHeader::new(rules, tls(&ours, &pinned, directory.path()));
        for number in 0..500_u16 {
            // A SEQUENCE of 30 000 bytes, another one each time.
            let mut above = vec![0x30, 0x82, 0x75, 0x30];
            above.resize(4 + 30_000, 0);
            above[4..6].copy_from_slice(&number.to_be_bytes());
            let [leaf, above] = [&certificate, &above].map(|der| STANDARD.encode(der));
            let value = HeaderValue::try_from(format!("{leaf},{above}")).unwrap();
            header.certificate_in(value).unwrap();
        }
        let kept = header.certificates.len() as u64;
        assert!(kept > 0 && kept * 30_000 * 2 < MOST_REMEMBERED, "{kept}");
    }

    /// W2, W15: whoever made the certificate that is pinned chose the names in it.
    #[test]
    fn the_name_of_a_balancer_is_worth_nothing_in_a_pinned_certificate() {
        let [ours, theirs] = [(); 2].map(|()| DemoSet::create(KeyAlgorithm::EcdsaP256, now()).unwrap());
        let of_balancer = |set: &DemoSet| set.identity(Member::Gateway).certificate().der().to_vec();
        let pinned = theirs.identity(Member::Gateway).certificate_pem().unwrap();
        let directory = TempDir::new().unwrap();
        let tls = tls(&ours, &pinned, directory.path());
        let trusts = |peer: TrustedPeer, der: &[u8]| {
            let standing = tls.standing_of(&PresentedChain::from_der([der.to_vec()]));
            let certificate = ClientCertificate::from_der(der).unwrap();
            let own = PresentedCertificate::new(Arc::new(certificate), standing);
            own.verify(now()).unwrap();
            let rules = CertificateHeaderRules {
                name: HeaderName::from_static("x-client-certificate"),
                encoding: HeaderEncoding::Rfc9440,
                trusted_peers: TrustedPeers::new(vec![peer]),
                forwarding: Forwarding::NotForwarded,
            };
            CertificateHeader::new(rules, tls.clone()).trusts("192.0.2.1".parse().unwrap(), Some(&own))
        };
        let named = || TrustedPeer {
            san_dns: Some("gateway-internal.example.com".to_owned()),
            ..TrustedPeer::default()
        };
        assert!(trusts(named(), &of_balancer(&ours)));
        assert!(!trusts(named(), &of_balancer(&theirs)));
        let its_own = TrustedPeer {
            x5t_s256: Some(CertificateThumbprint::of_der(&of_balancer(&theirs))),
            ..TrustedPeer::default()
        };
        assert!(
            trusts(its_own, &of_balancer(&theirs)),
            "a thumbprint is nobody's to choose"
        );
    }
}
