//! A PostgreSQL server of the tests' own, in a directory of its own: from Debian's package, where that is installed.

use std::fs::Permissions;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Where Debian puts the servers, a directory for each version.
const INSTALLED: &str = "/usr/lib/postgresql";
const PATIENCE: Duration = Duration::from_secs(60);

/// The name and the password of the one user there is.
pub(crate) const USER: &str = "certbound";
pub(crate) const PASSWORD: &str = "correct:horse@battery/staple";
const PASSWORD_IN_URL: &str = "correct%3Ahorse%40battery%2Fstaple";

/// Runs the server until its input ends, however the tests end, and then removes what is left of it.
const SUPERVISOR: &str = r#"
"$@" >"$DIRECTORY/log" 2>&1 &
server=$!
read -r order || order=remove
kill -INT "$server"
wait "$server"
[ "$order" = stop ] || rm -rf "$DIRECTORY"
"#;

/// A server that listens on loopback, with a password for everybody.
#[derive(Debug)]
pub(crate) struct Cluster {
    directory: PathBuf,
    binaries: PathBuf,
    port: u16,
    settings: Vec<String>,
    running: Option<(Child, ChildStdin)>,
}

impl Cluster {
    /// Starts a server; `None`, and a note, where none is installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(|_| Vec::new())
    }

    /// The same with settings, for which files may be put into the directory first.
    pub(crate) fn start_with(prepare: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let binaries = newest_binaries()?;
        // The supervisor removes it.
        let directory = TempDir::with_prefix("pg-").unwrap().keep();
        let password = directory.join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        let settings = prepare(&directory);
        give_away(&directory);
        let data = directory.join("data");
        let mut initdb = unprivileged(&binaries.join("initdb"));
        initdb.args([
            "--no-sync",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "-U",
            USER,
        ]);
        initdb.arg("-D").arg(data).arg("--pwfile").arg(password);
        let made = initdb.current_dir(&directory).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut cluster = Self {
            directory,
            binaries,
            port: free_port(),
            settings,
            running: None,
        };
        cluster.resume();
        Some(cluster)
    }

    /// Starts the server again over the same data.
    pub(crate) fn resume(&mut self) {
        let mut postgres = unprivileged(&self.binaries.join("postgres"));
        postgres.arg("-D").arg(self.directory.join("data"));
        postgres.args([
            "-h",
            "127.0.0.1,::1",
            "-p",
            &self.port.to_string(),
            "-c",
            "fsync=off",
        ]);
        postgres.arg("-k").arg(&self.directory);
        for setting in &self.settings {
            postgres.args(["-c", setting]);
        }
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(postgres.get_program())
            .args(postgres.get_args())
            .env("DIRECTORY", &self.directory)
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = supervisor.stdin.take().unwrap();
        self.running = Some((supervisor, orders));
        let started = Instant::now();
        while !self.psql("postgres", "SELECT 1") {
            assert!(started.elapsed() < PATIENCE, "{}", self.log());
        }
    }

    /// Stops the server, and every session with it, and keeps its data.
    pub(crate) fn stop(&mut self) {
        let (mut supervisor, mut orders) = self.running.take().unwrap();
        orders.write_all(b"stop\n").unwrap();
        supervisor.wait().unwrap();
    }

    pub(crate) fn create_database(&self, name: &str) {
        assert!(
            self.psql("postgres", &format!("CREATE DATABASE {name}")),
            "{}",
            self.log()
        );
    }

    /// Runs a statement, and says whether that went well.
    pub(crate) fn psql(&self, database: &str, statement: &str) -> bool {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args([
            "-X",
            "-q",
            "-U",
            USER,
            "-p",
            &self.port.to_string(),
            "-d",
            database,
        ]);
        psql.arg("-h").arg(&self.directory).args(["-c", statement]);
        psql.env("PGPASSWORD", PASSWORD).env("PGCONNECT_TIMEOUT", "5");
        psql.output().unwrap().status.success()
    }

    pub(crate) fn url(&self, database: &str) -> String {
        self.url_at("127.0.0.1", PASSWORD_IN_URL, database)
    }

    pub(crate) fn url_at(&self, host: &str, password: &str, database: &str) -> String {
        let port = self.port;
        format!("postgres://{USER}:{password}@{host}:{port}/{database}")
    }

    pub(crate) fn url_without_password(&self, host: &str, database: &str) -> String {
        format!("postgres://{USER}@{host}:{}/{database}", self.port)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some((mut supervisor, orders)) = self.running.take() {
            drop(orders);
            let _ended = supervisor.wait();
        }
        // The supervisor has done so, unless the server was stopped.
        let _removed = std::fs::remove_dir_all(&self.directory);
    }
}

fn newest_binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir(INSTALLED).into_iter().flatten().flatten();
    let installed = versions.map(|version| version.path().join("bin"));
    let newest = installed
        .filter(|binaries| binaries.join("initdb").exists() && binaries.join("psql").exists())
        .max();
    if newest.is_none() {
        note("PostgreSQL is not installed under /usr/lib/postgresql: tests against it are skipped");
    }
    newest
}

#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests is to know what was not tested"
)]
fn note(text: &str) {
    eprintln!("{text}");
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

/// PostgreSQL refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]);
    command.arg(program);
    command
}

fn give_away(directory: &Path) {
    for file in std::fs::read_dir(directory).unwrap() {
        std::fs::set_permissions(file.unwrap().path(), Permissions::from_mode(0o600)).unwrap();
    }
    if is_root() {
        let mut chown = Command::new("chown");
        chown.args(["-R", "nobody:nogroup"]).arg(directory);
        assert!(chown.status().unwrap().success());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
