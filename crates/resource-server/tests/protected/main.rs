//! The layer on a small API: what reaches the handler, and what is answered instead.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod api;
mod binding;
mod challenge;
mod handlers;
mod plain;
mod token;
