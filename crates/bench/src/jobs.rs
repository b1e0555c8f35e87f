//! The jobs: what is asked of which systems, and which ratios are drawn.

mod contender;
mod handshake;
mod hot;
mod introspect;
mod issue;
mod large;
mod runner;
mod stage;
mod tokens;
mod unknown_tokens;
mod verify;
mod wide;

use clap::ValueEnum;

pub(crate) use contender::{Contender, Unit};
pub(crate) use hot::{authorized, load, proxies};
pub(crate) use introspect::of_tokens as introspecting;
pub(crate) use issue::ours as issuing;
pub(crate) use runner::{Cost, cost, place};
pub(crate) use stage::{GATEWAY_CERTIFICATE, PARTNER, Stage};
pub(crate) use tokens::{introspection_form, issue as issue_tokens, token_form};
pub(crate) use verify::{forwarded, jwt};
pub(crate) use wide::{CACHE, TOKENS};

use crate::bench::Bench;
use crate::report::JobReport;

/// A job, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Job {
    /// A cached token on kept-alive connections, HTTP upstream and HTTPS upstream.
    Hot,
    /// A new connection for every request, with a full and with a resumed handshake.
    Handshake,
    /// Access tokens over kept-alive mutual TLS; ours are on disk before the answer.
    Issue,
    /// Introspection as JSON, as a JWT for the first time, and again.
    Introspect,
    /// A token on every request that the gateway has never seen, introspected at our authorization server.
    Cold,
    /// Memory with many cached tokens and clients, and with many stored tokens.
    Wide,
    /// Bodies of 1 MiB and 100 MiB, both ways.
    Large,
    /// The resource-server layer: a JWT and its binding verified on every request.
    Verify,
}

impl Job {
    /// Every job, in the order in which they run.
    pub(crate) const ALL: [Self; 8] = [
        Self::Hot,
        Self::Handshake,
        Self::Issue,
        Self::Introspect,
        Self::Cold,
        Self::Wide,
        Self::Large,
        Self::Verify,
    ];

    /// Runs the job; a job of several parts gives one report for each.
    pub(crate) async fn run(self, bench: &Bench) -> anyhow::Result<Vec<JobReport>> {
        match self {
            Self::Hot => hot::run(bench).await,
            Self::Handshake => handshake::run(bench).await,
            Self::Issue => issue::run(bench).await,
            Self::Introspect => introspect::run(bench).await,
            Self::Cold => unknown_tokens::run(bench).await,
            Self::Wide => wide::run(bench).await,
            Self::Large => large::run(bench).await,
            Self::Verify => verify::run(bench).await,
        }
    }
}
