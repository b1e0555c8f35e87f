//! What is known of a terminated connection: worked out once after the handshake, used by every request on it.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;
use mtls::Standing;
use oauth_core::certificate::{CertificateError, ClientCertificate};
use oauth_core::client_cert_header;

use crate::activity::Activity;
use crate::host::HostName;
use crate::response_body::ResponseBodies;
use crate::tunnel::TunnelSlot;

/// A terminated connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) server_name: HostName,
    pub(crate) peer_address: SocketAddr,
    pub(crate) client_certificate: Option<PresentedCertificate>,
    /// Whether that certificate is still trusted.
    pub(crate) standing: Standing,
    pub(crate) activity: Arc<Activity>,
    /// What goes on over the connection after its last request, if that request switched it to another protocol.
    pub(crate) tunnel: TunnelSlot,
    pub(crate) response_bodies: Arc<ResponseBodies>,
    /// The peer's address as APIs are told it, in `X-Forwarded-For`.
    pub(crate) forwarded_for: HeaderValue,
    /// The server name as APIs are told it, in `X-Forwarded-Host`.
    pub(crate) forwarded_host: HeaderValue,
}

/// The certificate whose key the peer proved to hold.
#[derive(Debug)]
pub(crate) struct PresentedCertificate {
    pub(crate) certificate: ClientCertificate,
    /// The value of `Client-Cert`. RFC 9440 §2.2
    pub(crate) header: HeaderValue,
    /// The value of `Client-Cert-Chain`, if the peer sent more than the certificate. RFC 9440 §2.3
    pub(crate) chain_header: Option<HeaderValue>,
}

impl Connection {
    /// The facts of a connection whose handshake named `server_name` and presented `client_certificate` (DER), trusted
    /// as long as `standing` says so.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] where the certificate cannot be read: then there is no connection.
    pub(crate) fn new(
        server_name: HostName,
        peer_address: SocketAddr,
        client_certificate: Option<&[u8]>,
        standing: Standing,
    ) -> Result<Self, CertificateError> {
        Ok(Self {
            client_certificate: client_certificate
                .map(PresentedCertificate::from_der)
                .transpose()?,
            standing,
            activity: Arc::new(Activity::new()),
            tunnel: TunnelSlot::default(),
            response_bodies: Arc::default(),
            forwarded_for: visible(&peer_address.ip().to_canonical().to_string()),
            forwarded_host: visible(server_name.as_str()),
            server_name,
            peer_address,
        })
    }

    /// The same connection, whose peer also sent these certificates (DER) above its own, in this order.
    pub(crate) fn with_chain<'a>(mut self, above: impl Iterator<Item = &'a [u8]>) -> Self {
        let members: Vec<_> = above.map(client_cert_header::encode).collect();
        if let (Some(presented), false) = (&mut self.client_certificate, members.is_empty()) {
            presented.chain_header = Some(visible(&members.join(", ")));
        }
        self
    }
}

impl PresentedCertificate {
    fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        Ok(Self {
            certificate: ClientCertificate::from_der(der)?,
            header: visible(&client_cert_header::encode(der)),
            chain_header: None,
        })
    }
}

fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("addresses, host names and base64 are visible ASCII")
}
