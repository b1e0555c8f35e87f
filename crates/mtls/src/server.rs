//! TLS as a server: the configuration sections all services share, and what becomes of them.
//!
//! Decides whom a handshake lets in. Fails closed: what cannot be verified does not connect, and a listener that
//! asks for certificates resumes no session unless somebody judges each anew.

use std::path::PathBuf;
use std::sync::Arc;

use oauth_core::revocation::RevokedCertificates;
use oauth_core::time::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::NoServerSessionStorage;
use serde::Deserialize;

use crate::credentials::{Credentials, CredentialsError};
use crate::pinned::PinnedCertificates;
use crate::provider::{Alpn, crypto_provider};
use crate::revocation::{CrlPolicy, RevocationError, RevocationLists};
use crate::self_signed::SelfSignedCertificates;
use crate::sessions::Sessions;
use crate::trust::{TrustAnchors, TrustError};
use crate::verifier::{Anonymous, Verifier};

/// The section `[tls]`: the service's own certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// PEM file: the certificate chain, leaf first.
    pub certificate: PathBuf,
    /// PEM file: the leaf's private key.
    pub key: PathBuf,
}

impl TlsSection {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// As [`Credentials::from_pem_files`].
    pub fn credentials(&self) -> Result<Credentials, CredentialsError> {
        Credentials::from_pem_files(&self.certificate, &self.key)
    }
}

/// The section `[client_certificates]`: whose certificates are accepted.
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
}

impl ClientCertificatesSection {
    /// Reads the trust anchors and the revocation lists.
    ///
    /// # Errors
    ///
    /// Names the key and the file at fault; as [`TrustAnchors::from_pem_files`] and [`RevocationLists::load`].
    pub fn verification(&self) -> Result<Verification, VerificationError> {
        let trust = TrustAnchors::from_pem_files(&self.trust)?;
        let revocation = RevocationLists::load(&self.crl, self.crl_policy)?;
        revocation.verify_signatures(&trust)?;
        let client_eku = if self.require_client_eku {
            ClientEku::Required
        } else {
            ClientEku::RequiredIfPresent
        };
        Ok(Verification::new(trust, revocation, client_eku))
    }
}

const fn yes() -> bool {
    true
}

/// Whether a client certificate must say that it is one. RFC 5280 §4.2.1.12.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientEku {
    /// The extended key usage must be there and name clientAuth.
    #[default]
    Required,
    /// An absent extended key usage allows every use, as RFC 5280 has it; a present one must name clientAuth.
    RequiredIfPresent,
}

/// How a listener verifies the certificates its peers send.
#[derive(Clone, Debug)]
pub struct Verification {
    pub(crate) chains: Chains,
    pub(crate) admitted_dns_names: Option<Vec<String>>,
    pub(crate) self_signed: SelfSignedCertificates,
    pub(crate) pinned: PinnedCertificates,
}

/// What is asked of the chain behind a certificate.
#[derive(Clone, Debug)]
pub(crate) enum Chains {
    Verified {
        trust: TrustAnchors,
        revocation: RevocationLists,
        client_eku: ClientEku,
    },
    /// None is good enough.
    Refused,
    /// That its peer holds the key is all.
    NotVerified,
}

impl Verification {
    /// Verifies against `trust` and `revocation`, and lets every such certificate in.
    pub fn new(trust: TrustAnchors, revocation: RevocationLists, client_eku: ClientEku) -> Self {
        Self::of(Chains::Verified {
            trust,
            revocation,
            client_eku,
        })
    }

    /// Verifies that the peer holds the key of its certificate, and that this is valid in time; nobody vouches for what
    /// it says. For listeners behind which nothing but the binding of tokens counts.
    ///
    /// [RFC 8705 §6.2](https://www.rfc-editor.org/rfc/rfc8705#section-6.2)
    pub fn proof_of_possession() -> Self {
        Self::of(Chains::NotVerified)
    }

    /// Lets nobody in but those whose certificates are [pinned](Self::pin).
    pub fn pinned_alone() -> Self {
        Self::of(Chains::Refused)
    }

    fn of(chains: Chains) -> Self {
        Self {
            chains,
            admitted_dns_names: None,
            self_signed: SelfSignedCertificates::default(),
            pinned: PinnedCertificates::default(),
        }
    }

    /// Lets these certificates in as well, whoever issued them, as long as they are valid in time.
    #[must_use]
    pub fn pin(mut self, certificates: PinnedCertificates) -> Self {
        self.pinned = certificates;
        self
    }

    /// Lets these self-signed certificates in as well, which no authority vouches for: each by its thumbprint, and
    /// only from a peer that holds its key. What they are good for, and whether they are valid in time, is for those
    /// to decide who know whose they are. [RFC 8705 §2.2](https://www.rfc-editor.org/rfc/rfc8705#section-2.2)
    #[must_use]
    pub fn admit_self_signed(mut self, certificates: SelfSignedCertificates) -> Self {
        self.self_signed = certificates;
        self
    }

    /// Lets only those in whose certificate has one of these dNSNames; others are refused in the handshake with
    /// `access_denied`. An empty list lets nobody in. Letter case does not matter. RFC 5280 §4.2.1.6.
    #[must_use]
    pub fn admit_san_dns(mut self, names: Vec<String>) -> Self {
        self.admitted_dns_names = Some(names);
        self
    }

    /// When the first of the revocation lists expires, after which its issuer's certificates are refused.
    pub fn revocation_next_update(&self) -> Option<Timestamp> {
        match &self.chains {
            Chains::Verified { revocation, .. } => revocation.next_update(),
            Chains::Refused | Chains::NotVerified => None,
        }
    }

    /// What the revocation lists name.
    pub(crate) fn revoked(&self) -> RevokedCertificates {
        match &self.chains {
            Chains::Verified { revocation, .. } => revocation.revoked().clone(),
            Chains::Refused | Chains::NotVerified => RevokedCertificates::default(),
        }
    }
}

/// What a listener asks of its peers. RFC 8446 §4.3.2.
#[derive(Clone, Debug)]
pub enum ClientCertificates {
    /// Not asked for.
    NotRequested,
    /// Asked for; a handshake without one goes on, a certificate that is sent must verify.
    Optional(Verification),
    /// Demanded: without one that verifies there is no connection.
    Required(Verification),
}

/// Makes the TLS configuration of one listener, once and for all; [`ServerTls`](crate::ServerTls) is the one that
/// follows its files.
///
/// A listener that asks for client certificates resumes no session, since its state never changes: resumption skips the
/// verification of the certificate, so that a session would outlive an expiry, a revocation or a change of trust. Early
/// data is accepted nowhere. [RFC 9440 §3.3](https://www.rfc-editor.org/rfc/rfc9440#section-3.3)
///
/// # Errors
///
/// When a revocation list cannot be used, or the system gives no randomness for session tickets.
pub fn server_config(
    credentials: &Credentials,
    client_certificates: &ClientCertificates,
    alpn: Alpn,
) -> Result<Arc<ServerConfig>, ServerConfigError> {
    let resumption = Resumption::Never;
    config_under(credentials, verifier(client_certificates)?, alpn, resumption)
}

/// Whether a listener that asks for certificates resumes sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumption {
    Never,
    /// Those whose chain passes [`Offer::verify_resumption`](crate::server_tls::Offer::verify_resumption).
    Judged,
}

/// The configuration of a listener that verifies client certificates with `verifier`, or asks for none.
pub(crate) fn config_under(
    credentials: &Credentials,
    verifier: Option<Arc<Verifier>>,
    alpn: Alpn,
    resumption: Resumption,
) -> Result<Arc<ServerConfig>, ServerConfigError> {
    let builder =
        ServerConfig::builder_with_provider(crypto_provider()).with_safe_default_protocol_versions()?;
    let resolver = credentials.resolver();
    let mut config = match verifier {
        Some(verifier) => {
            let mut config = builder
                .with_client_cert_verifier(verifier)
                .with_cert_resolver(resolver);
            (config.session_storage, config.send_tls13_tickets) = match resumption {
                Resumption::Never => (Arc::new(NoServerSessionStorage {}) as _, 0),
                Resumption::Judged => (Arc::new(Sessions::new()) as _, 1),
            };
            config
        }
        None => {
            let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
            config.ticketer = Ticketer::new()?;
            config
        }
    };
    config.alpn_protocols = alpn.protocols();
    Ok(Arc::new(config))
}

/// Why a listener's TLS configuration could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerConfigError {
    /// The trust anchors or revocation lists cannot be used.
    #[error("client certificates cannot be verified: {0}")]
    Verifier(String),
    /// rustls refused the configuration.
    #[error("the TLS configuration cannot be used: {0}")]
    Tls(String),
}

impl From<rustls::Error> for ServerConfigError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error.to_string())
    }
}

/// Why the verification of client certificates could not be set up, by configuration key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerificationError {
    /// The key `trust`.
    #[error("trust: {0}")]
    Trust(#[from] TrustError),
    /// The key `crl`.
    #[error("crl: {0}")]
    Revocation(#[from] RevocationError),
    /// The key `pinned`.
    #[error("pinned: {0}")]
    Pinned(TrustError),
}

pub(crate) fn verifier(
    client_certificates: &ClientCertificates,
) -> Result<Option<Arc<Verifier>>, ServerConfigError> {
    let (verification, anonymous) = match client_certificates {
        ClientCertificates::NotRequested => return Ok(None),
        ClientCertificates::Optional(verification) => (verification, Anonymous::Allowed),
        ClientCertificates::Required(verification) => (verification, Anonymous::Refused),
    };
    Ok(Some(Arc::new(Verifier::new(verification, anonymous)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_that_names_trust_alone_takes_the_strict_defaults() {
        let section: ClientCertificatesSection = toml::from_str("trust = ['root.pem']").unwrap();
        assert_eq!(section.crl_policy, CrlPolicy::Require);
        assert!(section.require_client_eku && section.crl.is_empty());
    }

    #[test]
    fn accepts_the_policy_if_present_and_refuses_an_unknown_one() {
        let parse = |policy: &str| {
            toml::from_str::<ClientCertificatesSection>(&format!("trust = []\ncrl_policy = '{policy}'"))
        };
        assert_eq!(parse("if-present").unwrap().crl_policy, CrlPolicy::IfPresent);
        assert!(parse("never").unwrap_err().to_string().contains("if-present"));
    }

    #[test]
    fn refuses_an_unknown_key_in_either_section() {
        assert!(toml::from_str::<ClientCertificatesSection>("trust = []\ncrls = []").is_err());
        assert!(toml::from_str::<TlsSection>("certificate = 'a'\nkey = 'b'\npassword = 'c'").is_err());
        assert!(toml::from_str::<TlsSection>("certificate = 'a'\nkey = 'b'").is_ok());
    }

    #[test]
    fn names_the_key_at_fault() {
        let section: ClientCertificatesSection = toml::from_str("trust = []").unwrap();
        let error = section.verification().unwrap_err();
        assert!(
            matches!(error, VerificationError::Trust(TrustError::NoFile)),
            "{error}"
        );
        assert!(error.to_string().starts_with("trust: "));
    }
}
