//! The TLS of a listener as it stands now: made from files, made anew when they change, with no connection dropped.
//!
//! A new state takes the place of the old one whole or not at all. What cannot be used leaves the last good state in
//! force, and says so to the caller; connections opened under an older state are judged by the new one.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use oauth_core::revocation::RevokedCertificates;
use oauth_core::time::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::server::danger::ClientCertVerifier;
use rustls::{HandshakeKind, ServerConfig, ServerConnection};

use crate::chain::PresentedChain;
use crate::credentials::CredentialsError;
use crate::pinned::PinnedCertificates;
use crate::provider::Alpn;
use crate::revocation::Revocations;
use crate::self_signed::SelfSignedCertificates;
use crate::server::{
    ClientCertificates, ClientCertificatesSection, Resumption, ServerConfigError, TlsSection, Verification,
    VerificationError, config_under, verifier,
};
use crate::standing::Standing;
use crate::verifier::Verifier;

/// Whether a peer must present a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A handshake without one goes on; one that is sent must verify.
    Optional,
    /// Without one that verifies there is no connection.
    Required,
}

/// The files that the TLS of one listener is made of.
#[derive(Clone, Debug)]
pub struct ServerFiles {
    tls: TlsSection,
    client_certificates: Asked,
    pinned: Vec<PathBuf>,
    admitted_dns_names: Option<Vec<String>>,
    self_signed: SelfSignedCertificates,
    revocations: Revocations,
    resumption: Resumption,
}

/// Which client certificates a listener asks for.
#[derive(Clone, Debug)]
enum Asked {
    None,
    Vouched(ClientCertificatesSection, Presence),
    Any(Presence),
}

impl ServerFiles {
    /// A listener with this certificate of its own, which asks its peers for none.
    pub fn new(tls: TlsSection) -> Self {
        Self {
            tls,
            client_certificates: Asked::None,
            pinned: Vec::new(),
            admitted_dns_names: None,
            self_signed: SelfSignedCertificates::default(),
            revocations: Revocations::default(),
            resumption: Resumption::Never,
        }
    }

    /// Asks for client certificates, and verifies them so.
    #[must_use]
    pub fn asking_for(mut self, section: ClientCertificatesSection, presence: Presence) -> Self {
        self.client_certificates = Asked::Vouched(section, presence);
        self
    }

    /// Asks for client certificates, and verifies nothing but that the peer holds the key; as
    /// [`Verification::proof_of_possession`](crate::Verification::proof_of_possession).
    #[must_use]
    pub fn asking_for_proof_of_possession(mut self, presence: Presence) -> Self {
        self.client_certificates = Asked::Any(presence);
        self
    }

    /// Lets the certificates of these PEM files in as well; as [`Verification::pin`](crate::Verification::pin). Where
    /// no authority is trusted, nobody else.
    #[must_use]
    pub fn pin(mut self, files: Vec<PathBuf>) -> Self {
        self.pinned = files;
        self
    }

    /// As [`Verification::admit_san_dns`](crate::Verification::admit_san_dns).
    #[must_use]
    pub fn admit_san_dns(mut self, names: Vec<String>) -> Self {
        self.admitted_dns_names = Some(names);
        self
    }

    /// As [`Verification::admit_self_signed`](crate::Verification::admit_self_signed).
    #[must_use]
    pub fn admit_self_signed(mut self, certificates: SelfSignedCertificates) -> Self {
        self.self_signed = certificates;
        self
    }

    /// Keeps `revocations` up with the lists in force.
    #[must_use]
    pub fn tell_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = revocations;
        self
    }

    /// Lets peers that present certificates resume their sessions of TLS 1.3, none of which outlives a reload of any
    /// file. For those who ask [`Offer::verify_resumption`] in every handshake.
    #[must_use]
    pub fn resume_sessions(mut self) -> Self {
        self.resumption = Resumption::Judged;
        self
    }

    /// Every file, to be watched.
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.tls.certificate.clone(), self.tls.key.clone()];
        if let Asked::Vouched(section, _) = &self.client_certificates {
            paths.extend(section.trust.iter().chain(&section.crl).cloned());
        }
        paths.extend(self.pinned.iter().cloned());
        paths
    }

    /// Reads what decides whose certificates are let in.
    ///
    /// # Errors
    ///
    /// Names the key of `[client_certificates]` and the file at fault.
    pub fn client_certificates(&self) -> Result<ClientCertificates, VerificationError> {
        let (verification, presence) = match &self.client_certificates {
            Asked::None => return Ok(ClientCertificates::NotRequested),
            Asked::Vouched(section, presence) if section.trust.is_empty() && !self.pinned.is_empty() => {
                (Verification::pinned_alone(), presence)
            }
            Asked::Vouched(section, presence) => (section.verification()?, presence),
            Asked::Any(presence) => (Verification::proof_of_possession(), presence),
        };
        let pinned = PinnedCertificates::from_pem_files(&self.pinned).map_err(VerificationError::Pinned)?;
        let mut verification = verification
            .pin(pinned)
            .admit_self_signed(self.self_signed.clone());
        if let Some(names) = &self.admitted_dns_names {
            verification = verification.admit_san_dns(names.clone());
        }
        Ok(match presence {
            Presence::Optional => ClientCertificates::Optional(verification),
            Presence::Required => ClientCertificates::Required(verification),
        })
    }
}

/// The TLS of one listener, now and after every change; clones share it.
#[derive(Clone)]
pub struct ServerTls(Arc<Shared>);

struct Shared {
    current: ArcSwap<State>,
    // `None`: fixed from the start.
    source: Option<(ServerFiles, Alpn)>,
}

/// One state of a listener's trust, from one reload to the next.
pub(crate) struct State {
    /// Counts the reloads, so that a connection knows when it has been judged by another state.
    pub(crate) epoch: u64,
    pub(crate) verifier: Option<Arc<Verifier>>,
    config: Arc<ServerConfig>,
    revocation_next_update: Option<Timestamp>,
}

impl ServerTls {
    /// Reads the files; [`Self::reload`] reads them again.
    ///
    /// # Errors
    ///
    /// Names the section, the key and the file at fault.
    pub fn load(files: ServerFiles, alpn: Alpn) -> Result<Self, ServerTlsError> {
        let (state, revoked) = State::read(&files, alpn, 0)?;
        files.revocations.replace(revoked);
        Ok(Self(Arc::new(Shared {
            current: ArcSwap::from_pointee(state),
            source: Some((files, alpn)),
        })))
    }

    /// Reads the files again. From here on every handshake, and every request on a connection that is open already,
    /// meets what they hold now. Sessions do not survive: they belong to the old state.
    ///
    /// # Errors
    ///
    /// When the files cannot be used, or hold a revocation list that has expired at `now`; then all stays as it was.
    pub fn reload(&self, now: Timestamp) -> Result<(), ServerTlsError> {
        let Some((files, alpn)) = &self.0.source else {
            return Ok(());
        };
        let (state, revoked) = State::read(files, *alpn, self.0.current.load().epoch + 1)?;
        if state.revocation_next_update.is_some_and(|due| due <= now) {
            return Err(ServerTlsError::ExpiredList);
        }
        self.0.current.store(Arc::new(state));
        files.revocations.replace(revoked);
        Ok(())
    }

    /// When the first of the revocation lists in force expires, after which its issuer's certificates are refused.
    pub fn revocation_next_update(&self) -> Option<Timestamp> {
        self.0.current.load().revocation_next_update
    }

    /// What one handshake is made under.
    pub fn offer(&self) -> Offer {
        Offer {
            tls: self.clone(),
            state: self.0.current.load_full(),
        }
    }

    /// The standing of a certificate that was not presented in a handshake here but handed on by somebody who saw one:
    /// whether it would pass a handshake.
    pub fn standing_of(&self, chain: &PresentedChain) -> Standing {
        Standing::handed_on(self.clone(), chain)
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.0.current.load_full()
    }
}

impl From<Arc<ServerConfig>> for ServerTls {
    /// A configuration that never changes: its connections keep the trust they were opened under.
    fn from(config: Arc<ServerConfig>) -> Self {
        let state = State {
            epoch: 0,
            verifier: None,
            config,
            revocation_next_update: None,
        };
        Self(Arc::new(Shared {
            current: ArcSwap::from_pointee(state),
            source: None,
        }))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ServerTls")
            .field("epoch", &self.0.current.load().epoch)
            .field("files", &self.0.source)
            .finish_non_exhaustive()
    }
}

/// The state one handshake is made under, so that the connection it opens is judged by that state and no other.
pub struct Offer {
    tls: ServerTls,
    state: Arc<State>,
}

impl Offer {
    /// The configuration of the handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.state.config)
    }

    /// Whether a session may be taken up again, if the handshake is about to do so: its certificate was verified when it
    /// began, and time has passed. To be asked when the `ClientHello` is processed and nothing is answered yet.
    ///
    /// # Errors
    ///
    /// Why its chain would not pass a handshake at `now`.
    pub fn verify_resumption(&self, session: &ServerConnection, now: Timestamp) -> Result<(), rustls::Error> {
        match (&self.state.verifier, session.peer_certificates()) {
            (Some(verifier), Some([leaf, intermediates @ ..])) if is_resumed(session) => {
                let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_unix_seconds()));
                verifier.verify_client_cert(leaf, intermediates, now).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// The standing of the connection that was opened with this handshake.
    pub fn standing(self, session: &ServerConnection) -> Standing {
        let verified = (!is_resumed(session)).then_some(self.state.epoch);
        Standing::new(self.tls, verified, session.peer_certificates())
    }
}

fn is_resumed(session: &ServerConnection) -> bool {
    session.handshake_kind() == Some(HandshakeKind::Resumed)
}

impl fmt::Debug for Offer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Offer")
            .field("epoch", &self.state.epoch)
            .finish_non_exhaustive()
    }
}

impl State {
    fn read(
        files: &ServerFiles,
        alpn: Alpn,
        epoch: u64,
    ) -> Result<(Self, RevokedCertificates), ServerTlsError> {
        let credentials = files.tls.credentials()?;
        let client_certificates = files.client_certificates()?;
        let (revocation_next_update, revoked) = match &client_certificates {
            ClientCertificates::NotRequested => (None, RevokedCertificates::default()),
            ClientCertificates::Optional(verification) | ClientCertificates::Required(verification) => {
                (verification.revocation_next_update(), verification.revoked())
            }
        };
        let verifier = verifier(&client_certificates)?;
        let state = Self {
            epoch,
            config: config_under(&credentials, verifier.clone(), alpn, files.resumption)?,
            verifier,
            revocation_next_update,
        };
        Ok((state, revoked))
    }
}

/// Why a listener's files cannot be used; names the section of the configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerTlsError {
    /// The section `[tls]`.
    #[error("tls: {0}")]
    Credentials(#[from] CredentialsError),
    /// The section `[client_certificates]`.
    #[error("client_certificates.{0}")]
    Verification(#[from] VerificationError),
    /// A revocation list would refuse everybody.
    #[error("client_certificates.crl: a revocation list has expired; publish its issuer's current one")]
    ExpiredList,
    /// The parts do not make a configuration.
    #[error(transparent)]
    Configuration(#[from] ServerConfigError),
}
