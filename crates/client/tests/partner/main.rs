//! The client against an authorization server and an API on loopback, over mutual TLS.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod certificates;
mod command_line;
mod connection;
mod discovery;
mod server;
mod token;
