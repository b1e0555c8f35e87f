//! One system with one load: what a row of a table is measured from.

use std::cell::Cell;
use std::rc::Rc;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::tokens::Supply;
use crate::generator::{Connection, Load, Request, Resume, Target, TlsMaker};

/// By what CPU time is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Requests.
    Request,
    /// Bytes of bodies, in MiB.
    Mebibyte,
}

/// Which handshakes a slice must have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshakes {
    /// None is looked at: connections are kept.
    NotCounted,
    /// All were full.
    Full,
    /// Nearly all resumed a session.
    Resumed,
}

/// A row to be.
#[derive(Debug)]
pub(crate) struct Contender {
    /// The name of the row.
    pub(crate) name: String,
    /// The processes whose CPU time counts.
    pub(crate) processes: Vec<u32>,
    /// What they are asked.
    pub(crate) load: Load,
    /// By what CPU time is divided.
    pub(crate) unit: Unit,
    /// Which handshakes count.
    pub(crate) handshakes: Handshakes,
    /// What must be refused just before every slice; `None` for a system that checks nothing.
    pub(crate) refusal: Option<Refusal>,
    /// Where unknown tokens come from, if the load needs them.
    pub(crate) supply: Option<Rc<Supply>>,
}

impl Contender {
    /// A system under requests, with its refusal.
    pub(crate) fn new(name: &str, process: u32, load: Load, refusal: Option<Refusal>) -> Self {
        Self {
            name: name.to_owned(),
            processes: vec![process],
            load,
            unit: Unit::Request,
            handshakes: Handshakes::NotCounted,
            refusal,
            supply: None,
        }
    }

    /// Verifies that the handshakes of a slice were of the kind that the row is named after.
    pub(crate) fn verify_handshakes(&self, handshakes: u64, resumed: u64) -> anyhow::Result<()> {
        match self.handshakes {
            Handshakes::NotCounted => {}
            Handshakes::Full => ensure!(
                resumed == 0,
                "{resumed} of {handshakes} handshakes resumed a session"
            ),
            Handshakes::Resumed => ensure!(
                resumed * 20 >= handshakes * 19,
                "only {resumed} of {handshakes} handshakes resumed a session: the server offers none"
            ),
        }
        Ok(())
    }
}

/// A request with another certificate than the token's, or than the client's, and the refusal it must meet.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Where it goes.
    pub(crate) target: Target,
    /// The other certificate.
    pub(crate) tls: TlsMaker,
    /// The request that would succeed with the right certificate.
    pub(crate) request: Request,
    /// The status it must have.
    pub(crate) expected: u16,
}

impl Refusal {
    /// Sees it refused.
    pub(crate) async fn verify(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(&self.target, self.tls.make(Resume::Never)).await?;
        let answer = connection
            .exchange(&self.request, &Cell::new(0))
            .await
            .context("the request with another certificate")?;
        connection.close().await;
        ensure!(
            answer.status == self.expected,
            "another certificate was answered {} where {} was expected: the binding is not checked",
            answer.status,
            self.expected
        );
        Ok(())
    }
}
