//! The configuration: a TOML file as an operator writes it, and what stands after every value has been checked.
//!
//! All problems are collected and named by key, those of the files it names too; an unknown key is an error.

mod file;

use std::path::Path;

use axum::http::Uri;
use mtls::{Presence, RevocationLists, ServerFiles, TrustAnchors};
use oauth_core::metadata::split_issuer;
use resource_server::{AccessTokenVerifier, CertificateSource, ResourceIdentifier};
use service::configuration::{ConfigurationError, ConfigurationSource, Problems, read_toml};

pub use file::{Admit, ClientCertificatesSection, ConfigurationFile, ListenSection, OutboundTlsSection};

const DEMO: &str = include_str!("demo.toml");

/// The checked configuration of the sample API: every file has been read, every value can be used.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The listeners' addresses.
    pub listen: ListenSection,
    /// The API's own certificate, and whom the handshake lets in.
    pub server_files: ServerFiles,
    /// Whose word is taken for the caller's certificate.
    pub certificate_source: CertificateSource,
    /// Whom the API trusts when it fetches the issuer's keys.
    pub outbound_trust: TrustAnchors,
    /// Where the issuer's keys are.
    pub jwks_uri: String,
    /// What an access token must be.
    pub access_tokens: AccessTokenVerifier,
    /// What the API is to those who look for its authorization server; its metadata is the gateway's to serve.
    pub resource: Option<ResourceIdentifier>,
}

impl Configuration {
    /// The configuration that `source` names.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`] names the file and every key at fault.
    pub fn load(source: ConfigurationSource) -> Result<Self, ConfigurationError> {
        match source {
            ConfigurationSource::Demo => Self::demo(),
            ConfigurationSource::File(path) => read_toml::<ConfigurationFile>(&path)?.try_into(),
        }
    }

    /// The demo: on loopback, with the certificates of `certs/`.
    ///
    /// # Errors
    ///
    /// When the certificates are not there.
    pub fn demo() -> Result<Self, ConfigurationError> {
        Self::from_toml(DEMO)
    }

    /// The configuration that stands in `text`.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn from_toml(text: &str) -> Result<Self, ConfigurationError> {
        ConfigurationFile::from_toml(text)?.try_into()
    }
}

impl ConfigurationFile {
    /// The file of the demo, to be changed before it is checked.
    ///
    /// # Errors
    ///
    /// None: the text is a part of the program.
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
            path: Path::new("sample-api.toml").to_path_buf(),
            reason: error.to_string(),
        })
    }
}

impl TryFrom<ConfigurationFile> for Configuration {
    type Error = ConfigurationError;

    fn try_from(file: ConfigurationFile) -> Result<Self, ConfigurationError> {
        let mut problems = Problems::new();
        let server_files = server_files(&file, &mut problems);
        let outbound_trust = problems.take(
            "outbound_tls.trust",
            TrustAnchors::from_pem_files(&file.outbound_tls.trust),
        );
        verify_values(&file, &mut problems);
        let resource = file.resource.as_deref().map(str::parse);
        let resource = resource.and_then(|parsed| problems.take("resource", parsed));
        let configuration = server_files.zip(outbound_trust);
        let configuration = configuration.map(|(server_files, outbound_trust)| Self {
            listen: file.listen,
            server_files,
            certificate_source: CertificateSource::gateway(file.client_certificates.gateways),
            outbound_trust,
            jwks_uri: file.jwks_uri,
            access_tokens: AccessTokenVerifier {
                issuer: file.issuer,
                audiences: vec![file.audience],
                algorithms: file.algorithms,
            },
            resource,
        });
        problems.conclude(configuration)
    }
}

/// The files of the listener, once each of them could be read.
fn server_files(file: &ConfigurationFile, problems: &mut Problems) -> Option<ServerFiles> {
    let section = file.client_certificates.shared();
    let tls = problems.take("tls", file.tls.credentials());
    let trust = problems.take(
        "client_certificates.trust",
        TrustAnchors::from_pem_files(&section.trust),
    );
    let lists = RevocationLists::load(&section.crl, section.crl_policy);
    let lists = problems.take("client_certificates.crl", lists);
    let (_, (trust, lists)) = tls.zip(trust.zip(lists))?;
    problems.take("client_certificates.crl", lists.verify_signatures(&trust))?;
    let files = ServerFiles::new(file.tls.clone()).asking_for(section, Presence::Required);
    let ClientCertificatesSection { admit, gateways, .. } = &file.client_certificates;
    Some(match admit {
        Admit::Gateways => files.admit_san_dns(gateways.clone()),
        Admit::Any => files,
    })
}

fn verify_values(file: &ConfigurationFile, problems: &mut Problems) {
    if let Err(error) = split_issuer(&file.issuer) {
        problems.add("issuer", error);
    }
    if !is_https_url(&file.jwks_uri) {
        problems.add(
            "jwks_uri",
            "is not an https URL, such as https://login.example.com/jwks",
        );
    }
    if file.audience.is_empty() {
        problems.add(
            "audience",
            "is empty; name this API as its tokens do, such as api.example.com",
        );
    }
    if file.algorithms.is_empty() {
        problems.add(
            "algorithms",
            "is empty: no token could be verified; leave it out to accept all",
        );
    }
    let ClientCertificatesSection { admit, gateways, .. } = &file.client_certificates;
    if *admit == Admit::Gateways && gateways.is_empty() {
        problems.add(
            "client_certificates.gateways",
            "is empty: nobody would be let in; name the gateway's dNSName",
        );
    }
}

fn is_https_url(text: &str) -> bool {
    text.parse::<Uri>()
        .is_ok_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some())
}

#[cfg(test)]
mod tests;
