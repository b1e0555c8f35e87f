//! Mutual TLS and serving: everything that names a rustls type, in one place; the gateway's `accept` alone is another.
//!
//! Decides which certificates pass a handshake and how connections are opened, bounded and closed. Of OAuth it
//! knows [`ClientCertificate`](oauth_core::certificate::ClientCertificate) alone: whether a certificate belongs to
//! a client, and what that client may do, is decided above. Services, the client and the tests may depend on it.

pub mod acceptor;
pub mod alert;
mod bounds;
pub mod chain;
pub mod client;
pub mod client_identity;
pub mod connect_to;
pub mod credentials;
mod crl_signature;
pub mod expiry;
mod farewell;
mod file;
#[cfg(fuzzing)]
pub mod fuzzing;
mod linger;
pub mod network;
mod patience;
mod pem;
pub mod pinned;
pub mod provider;
pub mod proxy_protocol;
mod refusal;
pub mod revocation;
pub mod self_signed;
pub mod serve;
pub mod server;
pub mod server_tls;
mod sessions;
pub mod standing;
mod start_deadline;
pub mod trust;
mod until;
mod verified_chains;
mod verifier;

pub use acceptor::Connection;
pub use alert::{Alert, ServerCertificateFault, peer_alert, server_certificate_fault};
pub use chain::{ChainVerifier, PresentedChain};
pub use client::{ClientTls, Timeouts};
pub use client_identity::ClientIdentity;
pub use connect_to::ConnectTo;
pub use credentials::Credentials;
pub use expiry::expires_at;
pub use file::UnreadableFile;
pub use linger::{Lingering, linger};
pub use network::{Network, TrustedProxies};
pub use patience::Patience;
pub use pinned::PinnedCertificates;
pub use provider::{Alpn, crypto_provider, install_crypto_provider};
pub use revocation::{CrlPolicy, RevocationLists, Revocations};
pub use self_signed::SelfSignedCertificates;
pub use serve::{Answering, Limits, bind, serve_tls, serve_tls_behind_proxies, serve_tls_with_limits};
pub use server::{
    ClientCertificates, ClientCertificatesSection, ClientEku, TlsSection, Verification, server_config,
};
pub use server_tls::{Presence, ServerFiles, ServerTls};
pub use standing::{NoLongerTrusted, Standing};
pub use trust::TrustAnchors;

#[cfg(test)]
#[path = "../tests/sockets/pki.rs"]
mod pki;
