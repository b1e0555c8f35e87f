//! The sample API: a partner's transactions, behind the resource-server layer and a listener for the gateway alone.
//!
//! Shows how little an API has to do itself: [`router`] puts the layer on, and the handlers know their caller. It
//! decides nothing about tokens and certificates; `resource-server` and `mtls` do. Only the demo and the tests depend
//! on it.

pub mod configuration;
mod problem;
mod request_body;
mod requests;
mod router;
mod start;
mod transactions;

pub use configuration::{Configuration, ConfigurationFile};
pub use router::router;
pub use start::start;
