//! Everything in one process, over real sockets: the services, the partner who uses them, and the thieves.
//!
//! [`system`] starts the services as their own binaries would; [`actor`] is anybody with a network and perhaps a
//! certificate; [`scenarios`] is what they try, and what must come of it. The demo narrates it, the end-to-end tests
//! build on the same system.

pub mod actor;
pub mod configuration;
pub mod narration;
pub mod scenarios;
pub mod system;
