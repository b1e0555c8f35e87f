//! The load generator: as little work per request as it takes to measure others.
//!
//! Client certificates, kept-alive or new connections (full or resumed handshakes, counted), any body, every answer's
//! status verified. One thread; it shares its core with the server in one-core mode, which costs the server nothing
//! that is counted.

mod connection;
mod histogram;
mod load;
mod request;
mod response;
mod tls;

pub(crate) use connection::{Connection, Target};
pub(crate) use histogram::Histogram;
pub(crate) use load::{Length, Load, RanOut, Reuse, WarmUp, run, send_all};
pub(crate) use request::{Each, FormPost, InTurn, Request, Requests, Same};
pub(crate) use response::{BodyDecoder, head_end};
pub(crate) use tls::{KeyExchange, Resume, TlsMaker};
