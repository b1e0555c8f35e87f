//! Handshakes and connections over real sockets: whom a listener lets in, what the refused learn, what is bounded.

#![expect(clippy::unwrap_used, reason = "what the tests share is test code too")]

mod admission;
mod bounds;
mod http_client;
mod pinned;
mod pki;
mod proxied;
mod refusal;
mod reload;
mod resumption;
mod revocation;
mod self_signed;
mod support;
