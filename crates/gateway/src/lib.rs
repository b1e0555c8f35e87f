//! The certbound gateway: one public port, pass-through or termination, the binding checked on every request.
//!
//! Decides, by server name, whether a connection is passed on unopened or ends here; and of every request on one that
//! ends here, whether its token and its client's certificate belong together and are good for the API it
//! asks for. What travels on is the JWT the token stands for, or what
//! [`configuration`] says instead. Every rule of OAuth is [`oauth_core`]'s; the reason codes
//! of refused requests stand in [`rejection`], the metrics in [`metrics`](mod@metrics). Routes and pass-through hosts
//! follow the configuration file while the gateway runs.

mod accept;
mod accepted_token;
mod activity;
mod addresses;
mod admin_pages;
mod audiences;
mod authorize;
mod body;
mod cache_control;
mod certificate_header;
mod clock;
pub mod configuration;
mod connection;
mod descriptors;
mod forward;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gate;
mod grants;
mod headers;
mod host;
mod hosts;
mod introspection_client;
mod issuers;
mod lock;
pub mod metrics;
mod passthrough;
mod path;
mod prefix_tree;
mod read_certificates;
pub mod rejection;
mod request;
mod resource;
mod response_body;
mod route;
mod serve;
mod start;
mod token_cache;
mod token_error;
mod token_kind;
mod token_source;
mod trusted_peers;
mod tunnel;
mod upstream;
mod watched;
mod well_formed;
mod workers;

pub use configuration::{Configuration, ConfigurationFile};
pub use start::start;
