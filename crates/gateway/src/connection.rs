//! What is known of a terminated connection: worked out once after the handshake, used by every request on it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use mtls::Standing;
use oauth_core::certificate::ClientCertificate;
use oauth_core::client_cert_header;
use oauth_core::time::Timestamp;

use crate::activity::{Activity, TimerSlot};
use crate::certificate_header::CertificateHeader;
use crate::host::HostName;
use crate::rejection::Rejection;
use crate::response_body::ResponseBodies;
use crate::tunnel::TunnelSlot;

/// A terminated connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) server_name: HostName,
    pub(crate) peer_address: SocketAddr,
    /// The peer's own: the client's, or that of a load balancer between.
    pub(crate) client_certificate: Option<Arc<PresentedCertificate>>,
    certificate_source: CertificateSource,
    pub(crate) activity: Arc<Activity>,
    /// Bounds the wait for an answer of an API.
    pub(crate) answer_timer: TimerSlot,
    /// What goes on over the connection after its last request, if that request switched it to another protocol.
    pub(crate) tunnel: TunnelSlot,
    pub(crate) response_bodies: Arc<ResponseBodies>,
    /// The peer's address as APIs are told it, in `X-Forwarded-For`.
    pub(crate) forwarded_for: HeaderValue,
    /// The server name as APIs are told it, in `X-Forwarded-Host`.
    pub(crate) forwarded_host: HeaderValue,
}

/// The certificate whose key the client proved to hold, here or to a load balancer that is trusted to say so.
#[derive(Debug)]
pub(crate) struct PresentedCertificate {
    pub(crate) certificate: Arc<ClientCertificate>,
    /// Whether it is still trusted.
    pub(crate) standing: Standing,
    header: OnceLock<HeaderValue>,
    /// The value of `Client-Cert-Chain`, if the peer sent more than the certificate. RFC 9440 §2.3
    pub(crate) chain_header: Option<HeaderValue>,
    /// The load balancer's header, where APIs are to get it as it came.
    pub(crate) handed_on_in: Option<(HeaderName, HeaderValue)>,
}

/// Where the certificates of a connection's requests come from.
#[derive(Debug)]
enum CertificateSource {
    Handshake,
    /// The handshake, whatever this header says.
    HandshakeDespite(Arc<CertificateHeader>),
    Header(Arc<CertificateHeader>),
}

impl Connection {
    /// The facts of a connection whose handshake named `server_name` and presented `client_certificate`.
    pub(crate) fn new(
        server_name: HostName,
        peer_address: SocketAddr,
        client_certificate: Option<PresentedCertificate>,
    ) -> Self {
        Self {
            client_certificate: client_certificate.map(Arc::new),
            certificate_source: CertificateSource::Handshake,
            activity: Arc::new(Activity::new()),
            answer_timer: TimerSlot::default(),
            tunnel: TunnelSlot::default(),
            response_bodies: Arc::default(),
            forwarded_for: visible(&peer_address.ip().to_canonical().to_string()),
            forwarded_host: visible(server_name.as_str()),
            server_name,
            peer_address,
        }
    }

    /// The same connection, whose peer also sent these certificates (DER) above its own, in this order.
    #[must_use]
    pub(crate) fn with_chain<'a>(mut self, above: impl Iterator<Item = &'a [u8]>) -> Self {
        let members: Vec<_> = above.map(client_cert_header::encode).collect();
        let presented = self.client_certificate.as_mut().and_then(Arc::get_mut);
        if let (Some(presented), false) = (presented, members.is_empty()) {
            presented.chain_header = Some(visible(&members.join(", ")));
        }
        self
    }

    /// The same connection where load balancers hand on certificates in `header`: its requests' are read from there if
    /// its peer is trusted, and that is decided here, once.
    #[must_use]
    pub(crate) fn with_certificate_header(mut self, header: &Arc<CertificateHeader>) -> Self {
        let own = self.client_certificate.as_deref();
        self.certificate_source = match header.trusts(self.peer_address.ip(), own) {
            true => CertificateSource::Header(Arc::clone(header)),
            false => CertificateSource::HandshakeDespite(Arc::clone(header)),
        };
        self
    }

    /// The certificate of the client that a request comes from, taken out of its fields where it stands in them. `None`
    /// where there is none.
    ///
    /// # Errors
    ///
    /// [`Rejection`] where the load balancer's header cannot be read, or its own certificate counts for nothing any
    /// more.
    pub(crate) fn take_certificate(
        &self,
        fields: &mut HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Arc<PresentedCertificate>>, Rejection> {
        match &self.certificate_source {
            CertificateSource::Handshake => Ok(self.client_certificate.clone()),
            CertificateSource::HandshakeDespite(header) => {
                header.remove_from(fields);
                Ok(self.client_certificate.clone())
            }
            CertificateSource::Header(header) => {
                let taken = header.take_from(fields);
                self.client_certificate
                    .as_ref()
                    .map_or(Ok(()), |own| own.verify(now))?;
                taken.map_err(Rejection::CertificateHeaderMalformed)
            }
        }
    }

    /// Where load balancers hand on certificates, whether or not this peer is one that is believed.
    pub(crate) fn certificate_header(&self) -> Option<&HeaderName> {
        match &self.certificate_source {
            CertificateSource::Handshake => None,
            CertificateSource::HandshakeDespite(header) | CertificateSource::Header(header) => {
                Some(header.name())
            }
        }
    }

    /// Resolves once the peer's own certificate is known to be no longer trusted.
    pub(crate) async fn lost(&self) {
        match &self.client_certificate {
            Some(own) => own.standing.lost().await,
            None => std::future::pending().await,
        }
    }
}

impl PresentedCertificate {
    /// This certificate, trusted as long as `standing` says so.
    pub(crate) const fn new(certificate: Arc<ClientCertificate>, standing: Standing) -> Self {
        Self {
            certificate,
            standing,
            header: OnceLock::new(),
            chain_header: None,
            handed_on_in: None,
        }
    }

    /// The value of `Client-Cert`, written when it is first asked for. RFC 9440 §2.2
    pub(crate) fn header(&self) -> HeaderValue {
        let write = || visible(&client_cert_header::encode(self.certificate.der()));
        self.header.get_or_init(write).clone()
    }

    /// Whether it is valid and trusted at `now`: connections and memories can outlive both.
    ///
    /// # Errors
    ///
    /// [`Rejection::CertificateExpired`] or [`Rejection::CertificateUntrusted`].
    pub(crate) fn verify(&self, now: Timestamp) -> Result<(), Rejection> {
        if !self.certificate.is_valid_at(now) {
            return Err(Rejection::CertificateExpired);
        }
        self.standing
            .verify(now)
            .map_err(|_logged| Rejection::CertificateUntrusted)
    }
}

fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("addresses, host names and base64 are visible ASCII")
}
