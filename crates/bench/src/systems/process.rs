//! A child process, from its start to its end.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::measure::spawn_on;

/// How long a process may take to listen.
const START: Duration = Duration::from_secs(60);
/// How long a process may take to end by itself.
const END: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);
/// So much of its log is shown of a process that did not start.
const SHOWN_LOG: usize = 2000;

/// On which core a process belongs where there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It is under measurement.
    Server,
    /// It makes or swallows the load.
    Load,
}

/// A running process; ended when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    role: Role,
    log: PathBuf,
}

impl Process {
    /// Starts `command` on `core`, its standard error going to `log`.
    pub(crate) fn start(command: &mut Command, role: Role, core: usize, log: &Path) -> anyhow::Result<Self> {
        let file = File::create(log).with_context(|| log.display().to_string())?;
        command
            .stdin(Stdio::null())
            .stderr(file)
            // As shipped: the environment of whoever measures configures nothing.
            .env_remove("RUST_LOG");
        Ok(Self {
            child: spawn_on(core, command)?,
            role,
            log: log.to_owned(),
        })
    }

    /// Waits until it accepts connections at each of these.
    pub(crate) fn listening_at(mut self, addresses: &[SocketAddr]) -> anyhow::Result<Self> {
        let started = Instant::now();
        for address in addresses {
            while TcpStream::connect(address).is_err() {
                if let Some(status) = self.child.try_wait()? {
                    bail!("it ended with {status}:\n{}", self.last_words());
                }
                if started.elapsed() > START {
                    bail!("it does not listen at {address}:\n{}", self.last_words());
                }
                thread::sleep(PAUSE);
            }
        }
        Ok(self)
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it belongs.
    pub(crate) const fn role(&self) -> Role {
        self.role
    }

    /// Its standard output, if it was piped and nobody has taken it.
    pub(crate) fn take_output(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(SHOWN_LOG)..]).into_owned()
    }

    fn ended_within(&mut self, patience: Duration) -> bool {
        let started = Instant::now();
        while started.elapsed() < patience {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(PAUSE);
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _already_ended = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        if !self.ended_within(END) {
            let _already_ended = self.child.kill();
            let _already_waited = self.child.wait();
        }
    }
}
