//! A fresh directory per test, and the few things every test asks of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use oauth_core::time::Timestamp;
use pki::{Certificate, Existing, KeyAlgorithm, Pkcs12, Preparation, Report, prepare};
use tempfile::TempDir;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Everything the contract names.
pub(crate) const FILES: [&str; 27] = [
    "root.pem",
    "root.key",
    "root.crl.pem",
    "login.tls.pem",
    "login.tls.key",
    "api.tls.pem",
    "api.tls.key",
    "api-internal.tls.pem",
    "api-internal.tls.key",
    "example.client.pem",
    "example.client.key",
    "example.client.p12",
    "other.client.pem",
    "other.client.key",
    "other.client.p12",
    "gateway.client.pem",
    "gateway.client.key",
    "refused/rogue.client.pem",
    "refused/rogue.client.key",
    "refused/expired.client.pem",
    "refused/expired.client.key",
    "refused/not-yet-valid.client.pem",
    "refused/not-yet-valid.client.key",
    "refused/revoked.client.pem",
    "refused/revoked.client.key",
    "refused/server-only.client.pem",
    "refused/server-only.client.key",
];

/// A `certs/` of its own, gone when the test ends.
pub(crate) struct Certs {
    directory: TempDir,
}

impl Certs {
    pub(crate) fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// Made complete, as of now.
    pub(crate) fn complete() -> Self {
        let certs = Self::empty();
        certs.prepare(Existing::Keep, now()).unwrap();
        certs
    }

    pub(crate) fn prepare(&self, existing: Existing, now: Timestamp) -> Result<Report, pki::Error> {
        // Few iterations: what the tests look at does not depend on how slow a password is to guess.
        let pkcs12 = Pkcs12::Write { iterations: 1000 };
        let preparation = Preparation {
            existing,
            key_algorithm: KeyAlgorithm::EcdsaP256,
            pkcs12,
        };
        prepare(self.path(), &preparation, now)
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn text_path(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap()
    }

    pub(crate) fn certificate(&self, name: &str) -> Certificate {
        Certificate::from_pem_or_der(&self.read(name)).unwrap()
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.file(name)).unwrap();
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.file(name)).unwrap().permissions().mode() & 0o777
    }

    /// Every file with its contents.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        for directory in [self.path().to_owned(), self.file("refused")] {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    files.insert(
                        path.strip_prefix(self.path()).unwrap().to_owned(),
                        fs::read(&path).unwrap(),
                    );
                }
            }
        }
        files
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// The tool, or a printed note that it is not installed and the test proves nothing here.
#[expect(
    clippy::print_stderr,
    reason = "whoever reads the test's output should know what was not tested"
)]
pub(crate) fn tool(name: &str) -> Option<Command> {
    let harmless = match name {
        "openssl" => "version",
        "keytool" => "-help",
        _ => "--version",
    };
    if Command::new(name).arg(harmless).output().is_err() {
        eprintln!("skipped: {name} is not on PATH");
        return None;
    }
    Some(Command::new(name))
}

/// What a command printed, both streams together, and whether it succeeded.
pub(crate) fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}
