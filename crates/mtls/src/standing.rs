//! Whether the certificate of an open connection is still trusted, and whether one that was handed on is.
//!
//! A handshake is verified once, if it does not take up a session, and a connection may live for long: a revocation, the end of a certification
//! authority or an expiry on the way up would come too late for it. So its chain is verified again, by the very
//! verifier of new handshakes, when trust has changed and once a minute as time passes; in between the verdict is
//! remembered.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oauth_core::thumbprint::CertificateThumbprint;
use oauth_core::time::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use tokio::sync::watch;

use crate::acceptor::words_of;
use crate::chain::PresentedChain;
use crate::server_tls::ServerTls;

/// Bounds for how long a verdict is believed while nothing changes but the time.
const VERDICT_HOLDS: u64 = 60;

/// The standing of one connection, or of one certificate that was handed on; clones share it.
#[derive(Clone, Default)]
pub struct Standing(Option<Arc<Chain>>);

struct Chain {
    tls: ServerTls,
    certificates: Vec<CertificateDer<'static>>,
    origin: Origin,
    // `None`: not verified yet.
    latest: Mutex<Option<Verdict>>,
    lost: watch::Sender<bool>,
}

/// How the chain came here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Handshake,
    HandedOn,
}

#[derive(Clone)]
struct Verdict {
    epoch: u64,
    // `None`: that of the handshake, whose time the first question stands for.
    minute: Option<u64>,
    result: Result<(), NoLongerTrusted>,
}

impl Standing {
    /// Of a connection without certificate, or one made outside of TLS: there is nothing to lose.
    pub const fn without_certificate() -> Self {
        Self(None)
    }

    /// Of a connection whose handshake verified the chain under the state `verified`, or took it from a session: then it
    /// is yet to be verified.
    pub(crate) fn new(
        tls: ServerTls,
        verified: Option<u64>,
        chain: Option<&[CertificateDer<'static>]>,
    ) -> Self {
        Self(chain.map(|certificates| {
            let latest = verified.map(|epoch| Verdict {
                epoch,
                minute: None,
                result: Ok(()),
            });
            Arc::new(Chain {
                tls,
                certificates: certificates.to_vec(),
                origin: Origin::Handshake,
                latest: Mutex::new(latest),
                lost: watch::Sender::new(false),
            })
        }))
    }

    pub(crate) fn handed_on(tls: ServerTls, chain: &PresentedChain) -> Self {
        Self(Some(Arc::new(Chain {
            tls,
            certificates: chain.certificates().to_vec(),
            origin: Origin::HandedOn,
            latest: Mutex::new(None),
            lost: watch::Sender::new(false),
        })))
    }

    /// Whether the chain would pass a handshake now.
    ///
    /// # Errors
    ///
    /// [`NoLongerTrusted`] says why not.
    pub fn verify(&self, now: Timestamp) -> Result<(), NoLongerTrusted> {
        self.0.as_ref().map_or(Ok(()), |chain| chain.verify(now))
    }

    /// Whether a trusted authority vouches for the certificate at `now`, so that its names are worth something: those of
    /// one that is pinned, registered by itself or not verified at all are of its own making. No where there is none.
    pub fn is_vouched_for(&self, now: Timestamp) -> bool {
        self.0.as_ref().is_some_and(|chain| chain.is_vouched_for(now))
    }

    /// Resolves once [`Self::verify`] has said no: then the connection is to be ended. Never where there is nothing
    /// to lose.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let lost = self.0.as_ref().map(|chain| chain.lost.subscribe());
        async move {
            if let Some(mut lost) = lost
                && lost.wait_for(|lost| *lost).await.is_ok()
            {
                return;
            }
            std::future::pending().await
        }
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificates = self.0.as_ref().map_or(0, |chain| chain.certificates.len());
        formatter
            .debug_struct("Standing")
            .field("certificates", &certificates)
            .finish_non_exhaustive()
    }
}

impl Chain {
    fn verify(&self, now: Timestamp) -> Result<(), NoLongerTrusted> {
        let state = self.tls.state();
        let minute = now.as_unix_seconds() / VERDICT_HOLDS;
        // Held while verifying: the requests of one connection need one verdict, not one each.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(latest) = latest.as_mut()
            && latest.epoch == state.epoch
            && *latest.minute.get_or_insert(minute) == minute
        {
            return latest.result.clone();
        }
        let result = state
            .verifier
            .as_ref()
            .map_or(Ok(()), |verifier| self.verify_with(verifier.as_ref(), now));
        *latest = Some(Verdict {
            epoch: state.epoch,
            minute: Some(minute),
            result: result.clone(),
        });
        if let Err(reason) = &result
            && !self.lost.send_replace(true)
        {
            self.log(reason);
        }
        result
    }

    fn is_vouched_for(&self, now: Timestamp) -> bool {
        let state = self.tls.state();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_unix_seconds()));
        match (&state.verifier, self.certificates.split_first()) {
            (Some(verifier), Some((leaf, intermediates))) => {
                verifier.is_vouched_for(leaf, intermediates, now)
            }
            _ => false,
        }
    }

    fn log(&self, reason: &NoLongerTrusted) {
        match self.origin {
            Origin::Handshake => tracing::info!(%reason, "{reason}; its connection ends"),
            Origin::HandedOn => {
                let NoLongerTrusted(words) = reason;
                let thumbprint = self
                    .certificates
                    .first()
                    .map(|leaf| CertificateThumbprint::of_der(leaf));
                let thumbprint = thumbprint.map(tracing::field::display);
                tracing::info!(
                    reason = %words, client_certificate.thumbprint = thumbprint,
                    "a client certificate that was handed on is not trusted: {words}"
                );
            }
        }
    }

    fn verify_with(&self, verifier: &dyn ClientCertVerifier, now: Timestamp) -> Result<(), NoLongerTrusted> {
        let Some((leaf, intermediates)) = self.certificates.split_first() else {
            return Err(NoLongerTrusted("the chain is empty".into()));
        };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_unix_seconds()));
        verifier
            .verify_client_cert(leaf, intermediates, now)
            .map(|_verified| ())
            .map_err(|error| NoLongerTrusted(words_of(&error).into()))
    }
}

/// Why the certificate of an open connection counts for nothing any more; for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection's certificate is no longer trusted: {0}")]
pub struct NoLongerTrusted(Arc<str>);

impl NoLongerTrusted {
    pub(crate) fn expired() -> Self {
        Self("it has expired, or is not valid yet".into())
    }
}
