//! node-oidc-provider: the best-known open authorization server, in memory.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::ground::free_addresses;
use super::{Ground, Process, Role};
use crate::generator::{FormPost, Target};

const PACKAGE: &str = include_str!("../../peers/oidc-provider/package.json");
const LOCK: &str = include_str!("../../peers/oidc-provider/package-lock.json");
const SERVER: &str = include_str!("../../peers/oidc-provider/server.mjs");

/// The running provider.
#[derive(Debug)]
pub(crate) struct OidcProvider {
    /// The process.
    pub(crate) process: Process,
    address: SocketAddr,
}

impl OidcProvider {
    /// Installs it, pinned, where it is not installed yet, and starts it.
    pub(crate) fn start(ground: &Ground) -> anyhow::Result<Self> {
        let directory = ground.kept_directory("oidc-provider")?;
        install(&directory)?;
        let [address] = free_addresses()?;
        let mut command = Command::new("node");
        command
            .current_dir(&directory)
            .env("NODE_ENV", "production")
            .arg("server.mjs")
            .arg(address.port().to_string())
            .args(["login.tls.pem", "login.tls.key", "root.pem"].map(|name| ground.certificate(name)))
            .stdout(Stdio::null());
        let process = Process::start(&mut command, Role::Server, ground.core, &directory.join("log"))
            .and_then(|process| process.listening_at(&[address]))
            .context("node-oidc-provider")?;
        Ok(Self { process, address })
    }

    /// Its listener.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        Target::new(self.address, "login.example.com")
    }

    /// Where tokens are asked for.
    pub(crate) fn token_endpoint() -> FormPost {
        post("/token", vec![])
    }

    /// Where tokens are introspected, with an `Accept` field.
    pub(crate) fn introspection_endpoint(accept: &'static str) -> FormPost {
        post("/token/introspection", vec![("accept", accept)])
    }
}

fn post(path: &str, fields: Vec<(&'static str, &'static str)>) -> FormPost {
    FormPost {
        host: "login.example.com".into(),
        path: path.into(),
        fields,
    }
}

/// Installs what the lock file names, once: a directory with the same lock file is complete.
fn install(directory: &Path) -> anyhow::Result<()> {
    let complete = directory.join("installed-lock.json");
    fs::write(directory.join("server.mjs"), SERVER)?;
    if fs::read_to_string(&complete).is_ok_and(|installed| installed == LOCK) {
        return Ok(());
    }
    fs::write(directory.join("package.json"), PACKAGE)?;
    fs::write(directory.join("package-lock.json"), LOCK)?;
    let output = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(directory)
        .output()
        .context("npm is not installed: install Node.js 20 or newer")?;
    ensure!(
        output.status.success(),
        "node-oidc-provider cannot be installed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::write(complete, LOCK)?;
    Ok(())
}
