//! Where the caller's certificate is read: from the connection, or from a gateway that is known to tell the truth.

use http::HeaderMap;
use mtls::Connection;
use oauth_core::certificate::ClientCertificate;
use oauth_core::client_cert_header::{self, CLIENT_CERT};
use oauth_core::thumbprint::CertificateThumbprint;

use crate::rejection::Rejection;

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

/// The certificate of the TLS connection that a request came over.
pub(crate) fn peer_of(connection: Option<&Connection>) -> Option<&ClientCertificate> {
    connection?.client_certificate.as_ref()
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
