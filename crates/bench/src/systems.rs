//! The systems under measurement: certbound's services as built, and the peers; each a child process held by its
//! handle, with its files under one directory.

pub(crate) mod authorization_server;
pub(crate) mod gateway;
mod ground;
mod machine;
pub(crate) mod nginx;
pub(crate) mod oidc_provider;
mod process;
pub(crate) mod sample_api;
pub(crate) mod stub;

pub(crate) use ground::{Counted, Ground, build_services};
pub(crate) use machine::machine;
pub(crate) use process::{Process, Role};
