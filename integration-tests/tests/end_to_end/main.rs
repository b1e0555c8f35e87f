//! The whole system over real TLS: every accepted case beside its refused twin.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that cannot go on fails the test"
)]

mod api;
mod authorization_server;
mod certificates;
mod client_hello;
mod command_lines;
mod partner;
mod requests;
mod restart;
mod story;
mod theft;
mod trust;
