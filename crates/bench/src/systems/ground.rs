//! What every system stands on: certificates, directories, ports, binaries.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use crate::instructions::callgrind;
use anyhow::{Context as _, ensure};
use oauth_core::time::Timestamp;
use pki::{Existing, KeyAlgorithm, Pkcs12, Preparation};

/// The services that are measured.
const SERVICES: [&str; 3] = ["authorization-server", "gateway", "sample-api"];

/// The service whose instructions are counted, by its binary's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted(pub(crate) &'static str);

/// Directories and binaries of one run.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    directory: PathBuf,
    binaries: PathBuf,
    counted: Option<Counted>,
    /// The core on which servers start.
    pub(crate) core: usize,
    /// The database of the authorization server; its embedded store where there is none.
    pub(crate) database: Option<String>,
}

impl Ground {
    /// Makes fresh certificates; the services are those in `binaries`.
    pub(crate) fn prepare(
        directory: &Path,
        binaries: PathBuf,
        database: Option<String>,
        core: usize,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        let ground = Self {
            // nginx and the services get whole paths, wherever they run.
            directory: directory.canonicalize()?,
            binaries,
            counted: None,
            core,
            database,
        };
        let preparation = Preparation {
            existing: Existing::Replace,
            key_algorithm: KeyAlgorithm::EcdsaP256,
            pkcs12: Pkcs12::Skip,
        };
        pki::prepare(
            &ground.certificates(),
            &preparation,
            Timestamp::from(SystemTime::now()),
        )
        .context("the certificates")?;
        Ok(ground)
    }

    /// What `pki` made.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.directory.join("certs")
    }

    /// A file of `pki`'s, as text for a configuration.
    pub(crate) fn certificate(&self, name: &str) -> String {
        self.certificates().join(name).display().to_string()
    }

    /// One of the services, to be started.
    pub(crate) fn service(&self, name: &str) -> Command {
        let binary = self.binaries.join(name);
        if self.counted.is_some_and(|counted| counted.0 == name) {
            let mut command = callgrind(&self.callgrind_log());
            command.arg(binary);
            command
        } else {
            Command::new(binary)
        }
    }

    /// The same ground, on which one service runs under callgrind.
    pub(crate) fn counting(&self, counted: Counted) -> Self {
        Self {
            counted: Some(counted),
            ..self.clone()
        }
    }

    /// Where callgrind writes.
    pub(crate) fn callgrind_log(&self) -> PathBuf {
        self.directory.join("callgrind.log")
    }

    /// Adds so many live tokens to the embedded store in `file`, and gives the file that names some of them.
    pub(crate) fn fill_store(&self, file: &Path, count: usize) -> anyhow::Result<PathBuf> {
        let mut fill = cargo("run", &self.binaries);
        fill.args([
            "--package",
            "authorization-server",
            "--example",
            "fill_store",
            "--",
        ]);
        let status = fill
            .arg(file)
            .arg(count.to_string())
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "{} cannot be filled", file.display());
        Ok(file.with_added_extension("tokens"))
    }

    /// An empty directory of that name; what was there from an earlier run is gone.
    pub(crate) fn fresh_directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.directory.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
        }
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// A directory of that name that is kept between runs.
    pub(crate) fn kept_directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.directory.join(name);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

/// Addresses that were free a moment ago, all different.
pub(crate) fn free_addresses<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let listeners: Vec<TcpListener> = (0..N)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()
        .context("there is no free port on 127.0.0.1")?;
    let addresses: Vec<SocketAddr> = listeners
        .iter()
        .map(TcpListener::local_addr)
        .collect::<Result<_, _>>()?;
    addresses
        .try_into()
        .map_err(|_| anyhow::anyhow!("there are not as many addresses as listeners"))
}

/// Builds the services with the profile that the directory of their binaries is named after, as `with` says.
///
/// # Errors
///
/// Services that do not build.
pub(crate) fn build_services(binaries: &Path, with: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
    let mut cargo = cargo("build", binaries);
    cargo.arg("--bins");
    with(&mut cargo);
    for service in SERVICES {
        cargo.args(["--package", service]);
    }
    let status = cargo
        .status()
        .context("cargo does not start; run this through `cargo run --release -p bench`")?;
    ensure!(status.success(), "the services do not build");
    Ok(())
}

fn cargo(subcommand: &str, binaries: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([subcommand, "--quiet", "--profile", profile(binaries)]);
    cargo
}

/// Cargo names the directory after the profile, with one exception.
fn profile(binaries: &Path) -> &str {
    match binaries.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_profile_by_the_directory() {
        let of = |directory| profile(Path::new(directory));
        assert_eq!(
            ["target/debug", "target/release", "target/counted"].map(of),
            ["dev", "release", "counted"]
        );
    }

    #[test]
    fn finds_different_ports() {
        let [one, other] = free_addresses::<2>().unwrap();
        assert_ne!(one, other);
        assert!(one.ip().is_loopback());
    }
}
