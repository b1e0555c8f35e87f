//! The gateway over real sockets: what it does with connections, with requests, and with an authorization server that
//! fails.

#![expect(clippy::unwrap_used, reason = "tests, and what they share")]

mod availability;
mod connections;
mod ends_of_answers;
mod http_forms;
mod introspection;
mod jwts;
mod metadata;
mod reload;
mod representations;
mod requests;
mod resumption;
mod shared_servers;
mod support;
mod unfinished_requests;
mod upstreams;
mod websockets;
