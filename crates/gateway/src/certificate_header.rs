//! The header in which a load balancer hands on the certificate of a client whose TLS connection ended there.
//!
//! It is read from trusted peers alone, in one encoding and one spelling, once or not at all; from anybody it is taken
//! out of the request, so that nothing behind the gateway can take it for the gateway's word. A certificate is parsed
//! and its chain verified when its header is seen first, and remembered by the header's digest; its validity and its
//! standing are judged with every request, like those of a connection's certificate.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use moka::sync::Cache;
use mtls::{PresentedChain, ServerTls};
use oauth_core::certificate::{CertificateError, ClientCertificate};
use oauth_core::client_cert_header::encoding::{HeaderEncoding, MalformedCertificateHeader};
use sha2::{Digest as _, Sha256};

use crate::connection::PresentedCertificate;
use crate::headers;
use crate::trusted_peers::TrustedPeers;

/// Bounds the memory that the certificates of a balancer's clients can take, in bytes of what was parsed.
const MOST_REMEMBERED: u64 = 8 * 1024 * 1024;
/// Of a certificate's DER, parsed names and encoded forms, estimated from its length.
const PARSED_FROM_DER: u32 = 6;
/// A certificate that nobody used for so long is parsed again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);
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
    certificates: Cache<[u8; 32], Arc<PresentedCertificate>>,
}

impl CertificateHeader {
    /// The certificates are verified as `tls` verifies those of its handshakes.
    pub(crate) fn new(rules: CertificateHeaderRules, tls: ServerTls) -> Self {
        let certificates = Cache::builder()
            .weigher(|_, presented: &Arc<PresentedCertificate>| weight_of(presented))
            .max_capacity(MOST_REMEMBERED)
            .time_to_idle(FORGOTTEN_AFTER)
            .build();
        Self {
            rules,
            tls,
            certificates,
        }
    }

    /// Whether a peer at `address` with `certificate` of its own is believed.
    pub(crate) fn trusts(&self, address: IpAddr, certificate: Option<&ClientCertificate>) -> bool {
        self.rules.trusted_peers.contain(address, certificate)
    }

    /// The header's name.
    pub(crate) const fn name(&self) -> &HeaderName {
        &self.rules.name
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
            return Ok(known);
        }
        let chain = self.rules.encoding.decode(value.as_bytes())?;
        let presented_chain = PresentedChain::from_der(chain.iter().cloned());
        let standing = self.tls.standing_of(&presented_chain);
        let mut presented =
            PresentedCertificate::from_der(chain.first().map_or(&[], Vec::as_slice), standing)?;
        if self.rules.forwarding == Forwarding::Forwarded {
            presented.handed_on_in = Some((self.rules.name.clone(), value));
        }
        let presented = Arc::new(presented);
        self.certificates.insert(digest, Arc::clone(&presented));
        Ok(presented)
    }
}

fn weight_of(presented: &PresentedCertificate) -> u32 {
    let length = u32::try_from(presented.certificate.der().len()).unwrap_or(u32::MAX);
    length.saturating_mul(PARSED_FROM_DER)
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
