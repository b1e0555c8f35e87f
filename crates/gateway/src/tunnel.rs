//! A connection that was switched to another protocol: what goes over it is the caller's and the API's, and the gateway
//! looks after the right to it.
//!
//! A token and a certificate opened it, and it ends with them: at the token's expiry, and as soon as the certificate is
//! no longer valid or trusted. It also ends when both sides are silent for too long. During a shutdown it may end by
//! itself, as long as connections are waited for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use oauth_core::jwt::VerificationError;
use oauth_core::time::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use crate::clock::now;
use crate::connection::{Connection, PresentedCertificate};
use crate::lock::lock;
use crate::rejection::Rejection;
use crate::upstream::{Switched, UpstreamPlace};
use crate::watched::carry;

/// For the caller's side to have switched, once the API's has.
const SWITCH: Duration = Duration::from_secs(10);
/// Bounds for how long a tunnel outlives the right to it.
const BETWEEN_CHECKS: Duration = Duration::from_secs(1);
/// For the last words to each side.
const FAREWELL: Duration = Duration::from_secs(1);
/// For each direction.
const BUFFER: usize = 16 * 1024;

/// Two connections about to become one.
#[derive(Debug)]
pub(crate) struct Tunnel {
    caller: OnUpgrade,
    api: Switched,
    place: UpstreamPlace,
    right: Right,
}

/// What entitles to a tunnel, as long as it is good.
#[derive(Debug)]
pub(crate) struct Right {
    /// When the token ends.
    pub(crate) expires_at: Timestamp,
    /// The client's certificate.
    pub(crate) certificate: Option<Arc<PresentedCertificate>>,
}

/// Where a request leaves the tunnel that its connection becomes.
#[derive(Debug, Default)]
pub(crate) struct TunnelSlot(Mutex<Option<Tunnel>>);

impl TunnelSlot {
    /// Leaves a tunnel.
    pub(crate) fn put(&self, tunnel: Tunnel) {
        *lock(&self.0) = Some(tunnel);
    }

    /// The tunnel, if one was left.
    pub(crate) fn take(&self) -> Option<Tunnel> {
        lock(&self.0).take()
    }
}

impl Tunnel {
    /// Between `caller` and `api`, for as long as there is a `right` to it.
    pub(crate) const fn new(caller: OnUpgrade, api: Switched, place: UpstreamPlace, right: Right) -> Self {
        Self {
            caller,
            api,
            place,
            right,
        }
    }

    /// Carries bytes both ways until a side ends it, or the right to it does.
    pub(crate) async fn run(self, connection: &Arc<Connection>) {
        let Ok(Ok(caller)) = timeout(SWITCH, self.caller).await else {
            return;
        };
        let mut caller = TokioIo::new(caller);
        let mut api = self.api;
        let ended = tokio::select! {
            _ended = carry(&mut caller, &mut api, BUFFER) => None,
            reason = right_ends(connection, &self.right) => Some(reason),
        };
        if let Some(reason) = ended {
            log(connection, &reason);
        }
        say_farewell(&mut caller, &mut api).await;
        drop(self.place);
    }
}

/// Resolves when the token or a certificate is not good any more: the client's, or that of the load balancer between.
async fn right_ends(connection: &Connection, right: &Right) -> Rejection {
    loop {
        let now = now();
        if now >= right.expires_at {
            return Rejection::TokenRefused(VerificationError::Expired);
        }
        for presented in [&right.certificate, &connection.client_certificate] {
            if let Some(Err(rejection)) = presented.as_ref().map(|presented| presented.verify(now)) {
                return rejection;
            }
        }
        sleep(BETWEEN_CHECKS).await;
    }
}

fn log(connection: &Connection, rejection: &Rejection) {
    let (reason, peer) = (rejection.reason(), connection.peer_address);
    tracing::info!(reason, peer.address = %peer, "the WebSocket of {peer} ends: {reason}");
}

async fn say_farewell(caller: &mut TokioIo<Upgraded>, api: &mut Switched) {
    let both = async { tokio::join!(caller.shutdown(), api.shutdown()) };
    // Either may be gone.
    let _unheard = timeout(FAREWELL, both).await;
}
