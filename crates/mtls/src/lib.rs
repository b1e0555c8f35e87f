//! Mutual TLS and serving: everything that names a rustls type, in one place; the gateway's `accept` alone is another.
//!
//! Decides which certificates pass a handshake and how connections are opened, bounded and closed. Of OAuth it
//! knows [`ClientCertificate`](oauth_core::certificate::ClientCertificate) alone: whether a certificate belongs to
//! a client, and what that client may do, is decided above. Services, the client and the tests may depend on it.

mod acceptor;
mod alert;
mod bounds;
mod chain;
mod client;
mod client_identity;
mod connect_to;
mod credentials;
mod crl_signature;
mod expiry;
mod farewell;
mod file;
#[cfg(fuzzing)]
pub mod fuzzing;
mod linger;
mod network;
mod on_arrival;
mod one_piece;
mod patience;
mod pem;
mod pinned;
mod provider;
pub mod proxy_protocol;
mod refusal;
mod revocation;
mod self_signed;
mod serve;
mod server;
mod server_tls;
mod sessions;
mod standing;
mod start_deadline;
mod trust;
mod until;
mod verified_chains;
mod verifier;

pub use acceptor::{Connection, handshake_failure};
pub use alert::{Alert, ServerCertificateFault, peer_alert, server_certificate_fault};
pub use chain::{ChainVerifier, OtherAnchor, PresentedChain};
pub use client::{ClientError, ClientTls, Timeouts};
pub use client_identity::ClientIdentity;
pub use connect_to::{ConnectTo, ConnectToError};
pub use credentials::{Credentials, CredentialsError};
pub use expiry::expires_at;
pub use file::UnreadableFile;
pub use linger::{Lingering, linger};
pub use network::{Network, NetworkError, TrustedProxies, TrustedProxiesError};
pub use on_arrival::OnArrival;
pub use one_piece::OnePiece;
pub use patience::Patience;
pub use pinned::PinnedCertificates;
pub use provider::{Alpn, crypto_provider, install_crypto_provider};
pub use revocation::{CrlPolicy, RevocationError, RevocationLists, Revocations};
pub use self_signed::SelfSignedCertificates;
pub use serve::{
    Answering, BindError, Limits, bind, serve_tls, serve_tls_behind_proxies, serve_tls_with_limits,
};
pub use server::{
    ClientCertificates, ClientCertificatesSection, ClientEku, ServerConfigError, TlsSection, Verification,
    VerificationError, server_config,
};
pub use server_tls::{Offer, Presence, ServerFiles, ServerTls, ServerTlsError};
pub use standing::{NoLongerTrusted, Standing};
pub use trust::{TrustAnchors, TrustError};

#[cfg(test)]
#[path = "../tests/sockets/pki.rs"]
mod pki;
