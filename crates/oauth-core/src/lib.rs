//! The rules of certificate-bound access tokens, as pure functions.
//!
//! Every decision the services take is taken here, from values passed in: there is no IO, no async, no clock and
//! no HTTP type in this crate, so each rule can be read beside its RFC section and tested without a socket.
//! It depends on no sibling crate.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::panic, clippy::arithmetic_side_effects)
)]

pub mod access_token;
pub mod bearer;
pub mod certificate;
pub mod client;
pub mod client_authentication;
pub mod client_cert_header;
pub mod confirmation;
pub mod distinguished_name;
pub mod error;
pub mod form;
mod hex;
pub mod introspection;
pub mod jwt;
pub mod metadata;
pub mod revocation;
pub mod scope;
mod secret;
pub mod thumbprint;
pub mod time;
pub mod token_facts;
pub mod token_request;
