//! The gateway's configuration: read, checked as a whole, and then never wrong again.
//!
//! A configuration error stops the gateway at start and names every key at fault; it never opens a door.

mod check;
mod check_tokens;
mod client_certificates;
mod file;
mod files;
mod resources;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mtls::TrustedProxies;
use oauth_core::jwt::SignatureAlgorithm;
use service::{ConfigurationError, ConfigurationSource, Fingerprint, Problems, StartedWith, read_toml};
use url::Url;

pub use client_certificates::{
    CertificateHeaderSection, CertificateVerification, ClientCertificatePolicy, ClientCertificatesSection,
    TrustedPeerSection, TrustedPeerTable,
};
pub use file::{
    CacheControlPolicy, CacheSection, ConfigurationFile, EndpointAuthMethod, IntrospectionRepresentation,
    IntrospectionSection, IssuerSection, ListenSection, OutboundTlsSection, PassthroughSection,
    ProxyProtocolSection, RouteSection, TokenKind,
};

use crate::authorize::HexThumbprints;
use crate::certificate_header::CertificateHeaderRules;
use crate::host::HostName;
use crate::introspection_client::Authentication;
use crate::issuers::JwtProfile;
use crate::passthrough::PassThrough;
use crate::route::Routes;

const DEMO: &str = include_str!("demo.toml");

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
    pub(crate) introspection: Option<Introspection>,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) cache: CacheSection,
    pub(crate) routes: Routes,
    pub(crate) outbound_tls: OutboundTlsSection,
    /// The file all this was read from; routes and pass-through hosts follow it.
    pub(crate) origin: Option<Origin>,
}

/// The part of a configuration that can change while the gateway runs.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) passthrough: HashMap<HostName, PassThrough>,
    pub(crate) routes: Routes,
}

impl From<Configuration> for Followed {
    fn from(configuration: Configuration) -> Self {
        Self {
            passthrough: configuration.passthrough,
            routes: configuration.routes,
        }
    }
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

/// The file of a configuration.
#[derive(Debug)]
pub(crate) struct Origin {
    /// Taken before the file was read.
    pub(crate) read: Fingerprint,
    pub(crate) started_with: StartedWith,
}

impl Configuration {
    /// Reads and checks the configuration that `source` names, and whether every file that it names is readable.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`], with every key at fault.
    pub fn load(source: ConfigurationSource) -> Result<Self, ConfigurationError> {
        let (file, origin) = match source {
            ConfigurationSource::Demo => (ConfigurationFile::demo()?, None),
            ConfigurationSource::File(path) => {
                let read = Fingerprint::of(std::slice::from_ref(&path));
                let started_with = StartedWith::read(&path, &["passthrough", "routes"])?;
                (read_toml(&path)?, Some(Origin { read, started_with }))
            }
        };
        let mut problems = Problems::new();
        files::verify(&file, &mut problems);
        let configuration = check::values(file, &mut problems);
        let introspection = configuration.introspection.as_ref();
        if let Some(introspection) = introspection {
            let key = introspection.authentication.key();
            problems.take(key, Authentication::load(introspection));
        }
        problems.into_result(Self {
            origin,
            ..configuration
        })
    }

    /// Reads the file and checks its values, but none of the files that it names.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`], with every key at fault.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigurationError> {
        read_toml::<ConfigurationFile>(path)?.try_into()
    }

    /// Reads and checks a TOML text; the files that it names are read when the gateway starts.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`], with every key at fault.
    pub fn from_toml(text: &str) -> Result<Self, ConfigurationError> {
        ConfigurationFile::from_toml(text)?.try_into()
    }

    /// Where the admin listener is to be.
    pub const fn admin_address(&self) -> SocketAddr {
        self.listen.admin
    }
}

impl TryFrom<ConfigurationFile> for Configuration {
    type Error = ConfigurationError;

    fn try_from(file: ConfigurationFile) -> Result<Self, ConfigurationError> {
        let mut problems = Problems::new();
        let configuration = check::values(file, &mut problems);
        problems.into_result(configuration)
    }
}

impl ConfigurationFile {
    /// The demo: certificates from `certs/`, the authorization server and the sample API on loopback.
    ///
    /// # Errors
    ///
    /// None in practice: the demo is part of the program, and a test reads it.
    pub fn demo() -> Result<Self, ConfigurationError> {
        Self::from_toml(DEMO)
    }

    /// Reads the TOML in `text`.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::NotUnderstood`] names line and column.
    pub fn from_toml(text: &str) -> Result<Self, ConfigurationError> {
        toml::from_str(text).map_err(|error| ConfigurationError::NotUnderstood {
            path: PathBuf::from("gateway.toml"),
            reason: error.to_string(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
