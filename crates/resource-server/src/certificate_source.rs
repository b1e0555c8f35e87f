//! Where the caller's certificate is read: from the connection, or from a gateway that is known to tell the truth.

use std::sync::Arc;

use http::{Extensions, HeaderMap};
use oauth_core::certificate::{CertificateError, ClientCertificate};
use oauth_core::client_cert_header::{self, CLIENT_CERT};
use oauth_core::thumbprint::CertificateThumbprint;
use oauth_core::time::Timestamp;

use crate::rejection::Rejection;

/// The certificate of the TLS connection that a request came over: an extension of the request, put there by whatever
/// accepts connections.
///
/// That the peer holds the certificate's key, the handshake has proven. Whether an authority vouches for the
/// certificate is the acceptor's to verify or not: see the crate's documentation. With the feature `mtls` the
/// connections of `mtls::serve_tls` need no such extension.
///
/// ```
/// # use resource_server::PeerCertificate;
/// # fn example(leaf_der: &[u8], mut request: http::Request<()>) -> Result<(), Box<dyn std::error::Error>> {
/// // Once for each connection:
/// let peer = PeerCertificate::from_der(leaf_der)?;
/// // For each of its requests:
/// request.extensions_mut().insert(peer.clone());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PeerCertificate(Arc<ClientCertificate>);

impl PeerCertificate {
    /// Reads and hashes the leaf certificate of a handshake; to be done once for each connection, not for each request.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] where it cannot be read: then the connection is to be closed.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        ClientCertificate::from_der(der).map(Self::from)
    }
}

impl From<ClientCertificate> for PeerCertificate {
    fn from(certificate: ClientCertificate) -> Self {
        Self(Arc::new(certificate))
    }
}

/// Whose word is taken for the caller's certificate.
///
/// [RFC 9440 §4](https://www.rfc-editor.org/rfc/rfc9440#section-4)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CertificateSource {
    /// Nobody's: the certificate is the connection's own, and a `Client-Cert` header means nothing.
    #[default]
    Connection,
    /// A trusted gateway's: what it names in its one `Client-Cert` header. Any other peer is judged by the
    /// certificate of its own connection, and what it writes into that header means nothing.
    FromGateway {
        /// The dNSNames of which a gateway's certificate has at least one; letter case does not matter.
        ///
        /// A name proves nothing by itself: the connection must have been accepted under an authority that gives it
        /// to nobody else.
        trusted_gateways: Vec<String>,
    },
}

impl CertificateSource {
    /// [`Self::FromGateway`] with these dNSNames.
    pub fn gateway<N: Into<String>>(trusted_gateways: impl IntoIterator<Item = N>) -> Self {
        Self::FromGateway {
            trusted_gateways: trusted_gateways.into_iter().map(Into::into).collect(),
        }
    }

    /// The thumbprint of the certificate the caller has proven to hold; `None` where there is none.
    pub(crate) fn thumbprint(
        &self,
        peer: Option<&ClientCertificate>,
        headers: &HeaderMap,
    ) -> Result<Option<CertificateThumbprint>, Rejection> {
        match peer {
            None => Ok(None),
            Some(peer) if self.trusts(peer) => forwarded(headers),
            Some(peer) => Ok(Some(*peer.thumbprint())),
        }
    }

    fn trusts(&self, peer: &ClientCertificate) -> bool {
        let Self::FromGateway { trusted_gateways } = self else {
            return false;
        };
        let names = peer.subject_alternative_names().dns_names();
        names.iter().any(|name| {
            trusted_gateways
                .iter()
                .any(|trusted| trusted.eq_ignore_ascii_case(name))
        })
    }
}

/// The certificate of the connection that a request came over, as long as it is worth what it was in the handshake: a
/// connection can outlive the certificate, and the trust in it. RFC 5280 §4.1.2.5, §6.3
pub(crate) fn peer_of(
    extensions: &Extensions,
    now: Timestamp,
) -> Result<Option<&ClientCertificate>, Rejection> {
    let peer = certificate_in(extensions);
    if peer.is_some_and(|peer| !peer.is_valid_at(now)) {
        return Err(Rejection::PeerCertificateExpired);
    }
    verify_trust(extensions, now)?;
    Ok(peer)
}

#[cfg(feature = "mtls")]
fn certificate_in(extensions: &Extensions) -> Option<&ClientCertificate> {
    match extensions.get::<Arc<mtls::Connection>>() {
        Some(connection) => connection.client_certificate.as_ref(),
        None => inserted_in(extensions),
    }
}

#[cfg(not(feature = "mtls"))]
fn certificate_in(extensions: &Extensions) -> Option<&ClientCertificate> {
    inserted_in(extensions)
}

fn inserted_in(extensions: &Extensions) -> Option<&ClientCertificate> {
    extensions
        .get::<PeerCertificate>()
        .map(|PeerCertificate(certificate)| certificate.as_ref())
}

#[cfg(feature = "mtls")]
fn verify_trust(extensions: &Extensions, now: Timestamp) -> Result<(), Rejection> {
    let Some(connection) = extensions.get::<Arc<mtls::Connection>>() else {
        return Ok(());
    };
    let verdict = connection.standing.verify(now);
    verdict.map_err(|reason| Rejection::PeerCertificateUntrusted(reason.to_string()))
}

#[cfg(not(feature = "mtls"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the feature mtls has something to refuse"
)]
const fn verify_trust(_extensions: &Extensions, _now: Timestamp) -> Result<(), Rejection> {
    Ok(())
}

fn forwarded(headers: &HeaderMap) -> Result<Option<CertificateThumbprint>, Rejection> {
    let mut values = headers.get_all(CLIENT_CERT).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Rejection::MalformedClientCert);
    }
    let value = value.to_str().map_err(|_| Rejection::MalformedClientCert)?;
    let der = client_cert_header::decode(value).map_err(|_| Rejection::MalformedClientCert)?;
    Ok(Some(CertificateThumbprint::of_der(&der)))
}
