//! The configuration file as an operator writes it: keys and types, nothing checked beyond them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use mtls::{CrlPolicy, TlsSection};
use resource_server::SignatureAlgorithm;
use serde::Deserialize;

/// `sample-api.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationFile {
    /// The listeners' addresses.
    #[serde(default)]
    pub listen: ListenSection,
    /// The API's own certificate.
    pub tls: TlsSection,
    /// Whom the handshake lets in, and who of them is a gateway.
    pub client_certificates: ClientCertificatesSection,
    /// Whom the API trusts when it fetches keys.
    pub outbound_tls: OutboundTlsSection,
    /// The one issuer whose tokens are accepted.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// The API's name in the audience of its tokens.
    pub audience: String,
    /// The API's resource identifier, an https URL; where it is named, challenges point to the resource's metadata,
    /// which the gateway serves. RFC 9728 §1.2
    pub resource: Option<String>,
    /// The signature algorithms accepted; all that this project knows, unless named.
    #[serde(default = "all_algorithms")]
    pub algorithms: Vec<SignatureAlgorithm>,
}

fn all_algorithms() -> Vec<SignatureAlgorithm> {
    SignatureAlgorithm::ALL.into()
}

/// The section `[listen]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenSection {
    /// Mutual TLS: the API.
    pub tls: SocketAddr,
    /// Plain HTTP for those who operate the service.
    pub admin: SocketAddr,
}

impl Default for ListenSection {
    fn default() -> Self {
        let on_loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            tls: on_loopback(3001),
            admin: on_loopback(9103),
        }
    }
}

/// The section `[client_certificates]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificatesSection {
    /// PEM files of the trusted certification authorities.
    pub trust: Vec<PathBuf>,
    /// PEM or DER files of their revocation lists.
    #[serde(default)]
    pub crl: Vec<PathBuf>,
    /// What the absence of a revocation list means.
    #[serde(default)]
    pub crl_policy: CrlPolicy,
    /// Whether a certificate must carry the extended key usage clientAuth even where it could carry none.
    #[serde(default = "yes")]
    pub require_client_eku: bool,
    /// The dNSNames of the gateways whose `Client-Cert` header is believed.
    pub gateways: Vec<String>,
    /// Who else may connect.
    #[serde(default)]
    pub admit: Admit,
}

const fn yes() -> bool {
    true
}

impl ClientCertificatesSection {
    /// What of this section every service has.
    pub(super) fn shared(&self) -> mtls::ClientCertificatesSection {
        mtls::ClientCertificatesSection {
            trust: self.trust.clone(),
            crl: self.crl.clone(),
            crl_policy: self.crl_policy,
            require_client_eku: self.require_client_eku,
        }
    }
}

/// Whom the handshake lets in, of those with a trusted certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admit {
    /// The gateways alone.
    #[default]
    Gateways,
    /// Everybody; who is no gateway is judged by the certificate of the connection.
    Any,
}

/// The section `[outbound_tls]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundTlsSection {
    /// PEM files of the certification authorities trusted for the issuer's server certificate.
    pub trust: Vec<PathBuf>,
}
