//! The upstream, as a child of this program.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::{Ground, Process, Role};

/// The running upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// The process.
    pub(crate) process: Process,
    /// Speaks HTTP.
    pub(crate) http: SocketAddr,
    /// Speaks HTTPS, as `localhost`.
    pub(crate) https: SocketAddr,
}

impl Upstream {
    /// Starts it, and waits for its addresses.
    pub(crate) fn start(ground: &Ground) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("upstream")
            .arg(ground.certificates())
            .stdout(Stdio::piped());
        let log = ground.fresh_directory("upstream")?.join("log");
        let mut process = Process::start(&mut command, Role::Load, ground.core, &log)?;
        let mut line = String::new();
        let output = process.take_output().context("the upstream has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let (http, https) = line
            .trim()
            .split_once(' ')
            .context("the upstream does not tell its addresses")?;
        Ok(Self {
            process,
            http: http.parse()?,
            https: https.parse()?,
        })
    }
}
