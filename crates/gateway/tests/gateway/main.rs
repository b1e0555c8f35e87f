//! The gateway over real sockets: what it does with connections, with requests, and with an authorization server that
//! fails.

#![expect(clippy::unwrap_used, reason = "tests, and what they share")]

mod availability;
mod connections;
mod introspection;
mod jwts;
mod representations;
mod requests;
mod support;
