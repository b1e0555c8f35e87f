//! The gateway's configuration: read, checked as a whole, and then never wrong again.
//!
//! A configuration error stops the gateway at start and names every key at fault; it never opens a door.

mod check;
mod check_tokens;
mod file;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mtls::{Credentials, TrustAnchors};
use oauth_core::jwt::SignatureAlgorithm;
use service::{ConfigurationError, ConfigurationSource, Problems, read_toml};
use url::Url;

pub use file::{
    CacheControlPolicy, CacheSection, ClientCertificatePolicy, ClientCertificatesSection, ConfigurationFile,
    EndpointAuthMethod, IntrospectionRepresentation, IntrospectionSection, IssuerSection, ListenSection,
    OutboundTlsSection, PassthroughSection, RouteSection, TokenKind,
};

use crate::host::HostName;
use crate::introspection_client::Authentication;
use crate::issuers::JwtProfile;
use crate::route::Routes;

/// A checked configuration.
#[derive(Debug)]
pub struct Configuration {
    pub(crate) listen: ListenSection,
    pub(crate) passthrough: HashMap<HostName, String>,
    pub(crate) tls: mtls::TlsSection,
    pub(crate) client_certificates: ClientCertificatesSection,
    pub(crate) introspection: Option<Introspection>,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) cache: CacheSection,
    pub(crate) routes: Routes,
    pub(crate) outbound_tls: OutboundTlsSection,
}

/// Where opaque tokens are looked up, and within what limits.
#[derive(Clone, Debug)]
pub(crate) struct Introspection {
    pub(crate) endpoint: Url,
    /// Who answers there.
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) authentication: EndpointAuthentication,
    pub(crate) expected: ExpectedAnswer,
    pub(crate) cache_control: CacheControlPolicy,
    pub(crate) timeout: Duration,
    pub(crate) max_response: usize,
    pub(crate) concurrency: usize,
}

/// What proves to the introspection endpoint who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EndpointAuthentication {
    Certificate,
    Secret {
        file: PathBuf,
    },
    Assertion {
        key: PathBuf,
        algorithm: SignatureAlgorithm,
    },
}

impl EndpointAuthentication {
    /// The configuration key that names its file.
    pub(crate) const fn key(&self) -> &'static str {
        match self {
            Self::Certificate => "introspection.endpoint_auth_method",
            Self::Secret { .. } => "introspection.client_secret_file",
            Self::Assertion { .. } => "introspection.client_assertion_key",
        }
    }
}

/// The answer that is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedAnswer {
    AccessTokenJwt,
    IntrospectionJwt {
        audience: String,
        audience_if_absent: Option<String>,
    },
    Json {
        audience_if_absent: Option<String>,
    },
}

/// Whose signatures are believed.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    pub(crate) issuer: String,
    /// `None` where its metadata says so.
    pub(crate) jwks_uri: Option<Url>,
    pub(crate) profile: JwtProfile,
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
            self.client_certificates.verification().verification(),
        );
        problems.take(
            "outbound_tls",
            TrustAnchors::from_pem_files(&self.outbound_tls.trust),
        );
        let OutboundTlsSection { certificate, key, .. } = &self.outbound_tls;
        problems.take("outbound_tls", Credentials::from_pem_files(certificate, key));
        if let Some(introspection) = &self.introspection {
            let key = introspection.authentication.key();
            problems.take(key, Authentication::load(introspection));
        }
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
            listen: ListenSection::default(),
            passthrough: vec![PassthroughSection {
                host: "login.example.com".to_owned(),
                upstream: "127.0.0.1:8444".to_owned(),
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
                client_certificate: ClientCertificatePolicy::Required,
            },
            introspection: Some(IntrospectionSection::at(
                "https://localhost:8444/oauth/v2/oauth-introspect",
            )),
            issuers: vec![IssuerSection {
                issuer: "https://login.example.com/oauth/v2/oauth-anonymous".to_owned(),
                jwks_uri: Some("https://localhost:8443/oauth/v2/oauth-anonymous/jwks".to_owned()),
                accept_plain_jwt: false,
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
                tokens: vec![TokenKind::Opaque],
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
