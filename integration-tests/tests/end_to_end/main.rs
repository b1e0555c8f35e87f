//! The whole system over real TLS: every accepted case beside its refused twin.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that cannot go on fails the test"
)]

mod api;
mod authorization_server;
mod bodies;
mod certificate_header;
mod certificates;
mod client_hello;
#[expect(dead_code, reason = "the tests of the store use the rest of it")]
#[path = "../../../crates/authorization-server/src/token_store/tests/cluster.rs"]
mod cluster;
mod command_lines;
mod endurance;
mod floods;
mod kill;
mod partner;
mod proxy_protocol;
mod requests;
mod resource_metadata;
mod restart;
mod routes;
mod story;
mod theft;
mod token_sources;
mod trust;
mod wso2;
