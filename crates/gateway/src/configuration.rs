//! The gateway's configuration: read, checked as a whole, and then never wrong again.
//!
//! A configuration error stops the gateway at start and names every key at fault; it never opens a door.

mod check;
mod client_certificates;
mod file;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mtls::{Credentials, TrustAnchors, TrustedProxies};
use service::{ConfigurationError, ConfigurationSource, Problems, read_toml};
use url::Url;

pub use client_certificates::{
    CertificateHeaderSection, CertificateVerification, ClientCertificatePolicy, ClientCertificatesSection,
    TrustedPeerSection, TrustedPeerTable,
};
pub use file::{
    CacheSection, ConfigurationFile, IntrospectionSection, IssuerSection, ListenSection, OutboundTlsSection,
    PassthroughSection, ProxyProtocolSection, RouteSection,
};

use crate::authorize::HexThumbprints;
use crate::certificate_header::CertificateHeaderRules;
use crate::host::HostName;
use crate::passthrough::PassThrough;
use crate::route::Routes;

/// A checked configuration.
#[derive(Debug)]
pub struct Configuration {
    pub(crate) hex_thumbprints: HexThumbprints,
    pub(crate) listen: ListenSection,
    /// Who tells where connections come from.
    pub(crate) proxies: TrustedProxies,
    pub(crate) passthrough: HashMap<HostName, PassThrough>,
    pub(crate) tls: mtls::TlsSection,
    pub(crate) client_certificates: ClientCertificatesSection,
    pub(crate) certificate_header: Option<CertificateHeaderRules>,
    pub(crate) introspection: Introspection,
    pub(crate) issuer: Issuer,
    pub(crate) cache: CacheSection,
    pub(crate) routes: Routes,
    pub(crate) outbound_tls: OutboundTlsSection,
}

/// Where opaque tokens are looked up, and within what limits.
#[derive(Clone, Debug)]
pub(crate) struct Introspection {
    pub(crate) endpoint: Url,
    pub(crate) client_id: String,
    pub(crate) timeout: Duration,
    pub(crate) max_response: usize,
}

/// Who signs access tokens.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    pub(crate) issuer: String,
    pub(crate) jwks_uri: Url,
}

impl Configuration {
    /// Reads and checks the configuration that `source` names, and whether every file that it names is readable.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`], with every key at fault.
    pub fn load(source: ConfigurationSource) -> Result<Self, ConfigurationError> {
        let file = match source {
            ConfigurationSource::Demo => ConfigurationFile::demo(),
            ConfigurationSource::File(path) => read_toml::<ConfigurationFile>(&path)?,
        };
        let configuration = Self::try_from(file)?;
        configuration.verify_files()?;
        Ok(configuration)
    }

    fn verify_files(&self) -> Result<(), ConfigurationError> {
        let mut problems = Problems::new();
        problems.take("tls", self.tls.credentials());
        problems.take(
            "client_certificates",
            self.client_certificates
                .server_files(self.tls.clone())
                .client_certificates(),
        );
        problems.take(
            "outbound_tls",
            TrustAnchors::from_pem_files(&self.outbound_tls.trust),
        );
        let OutboundTlsSection { certificate, key, .. } = &self.outbound_tls;
        problems.take("outbound_tls", Credentials::from_pem_files(certificate, key));
        problems.into_result(())
    }

    /// Reads and checks a TOML text.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`], with every key at fault.
    pub fn from_toml(text: &str) -> Result<Self, ConfigurationError> {
        let file: ConfigurationFile =
            toml::from_str(text).map_err(|error| ConfigurationError::NotUnderstood {
                path: PathBuf::from("(text)"),
                reason: error.to_string(),
            })?;
        file.try_into()
    }

    /// Where the admin listener is to be.
    pub const fn admin_address(&self) -> SocketAddr {
        self.listen.admin
    }
}

impl TryFrom<ConfigurationFile> for Configuration {
    type Error = ConfigurationError;

    fn try_from(file: ConfigurationFile) -> Result<Self, ConfigurationError> {
        check::check(file)
    }
}

impl ConfigurationFile {
    /// The demo: certificates from `certs/`, the authorization server and the sample API on loopback.
    pub fn demo() -> Self {
        let certs = |file: &str| PathBuf::from("certs").join(file);
        Self {
            accept_hex_thumbprint: false,
            listen: ListenSection::default(),
            passthrough: vec![PassthroughSection {
                host: "login.example.com".to_owned(),
                upstream: "127.0.0.1:8444".to_owned(),
                proxy_protocol: false,
            }],
            tls: mtls::TlsSection {
                certificate: certs("api.tls.pem"),
                key: certs("api.tls.key"),
            },
            client_certificates: ClientCertificatesSection {
                trust: vec![certs("root.pem")],
                crl: vec![certs("root.crl.pem")],
                crl_policy: mtls::CrlPolicy::Require,
                require_client_eku: true,
                pinned: Vec::new(),
                verify: CertificateVerification::Pki,
                client_certificate: ClientCertificatePolicy::Required,
                header: None,
            },
            introspection: IntrospectionSection {
                endpoint: "https://localhost:8444/oauth/v2/oauth-introspect".to_owned(),
                client_id: "gateway".to_owned(),
                timeout: Duration::from_secs(5),
                max_response: 32 * 1024,
            },
            issuers: vec![IssuerSection {
                issuer: "https://login.example.com/oauth/v2/oauth-anonymous".to_owned(),
                jwks_uri: "https://localhost:8443/oauth/v2/oauth-anonymous/jwks".to_owned(),
            }],
            cache: CacheSection::default(),
            routes: vec![RouteSection {
                host: "api.example.com".to_owned(),
                path: "/api/transactions".to_owned(),
                methods: None,
                upstream: vec!["https://localhost:3001".to_owned()],
                audience: "api.example.com".to_owned(),
                scope: "transactions".to_owned(),
                binding: oauth_core::confirmation::BindingPolicy::Required,
                client_cert_header: true,
            }],
            outbound_tls: OutboundTlsSection {
                trust: vec![certs("root.pem")],
                certificate: certs("gateway.client.pem"),
                key: certs("gateway.client.key"),
            },
        }
    }
}

#[cfg(test)]
mod tests;
