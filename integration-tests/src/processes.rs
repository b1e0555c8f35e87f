//! The services as processes of their own, so that a test can kill one.

use std::{
    ffi::OsStr,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use demo::configuration::{self, Listeners, Settings};

use crate::Ground;

/// How long a service may take to become ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// The path of a binary of this workspace, as it is now: built with the profile of the test, beside it.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let directory = BUILT.get_or_init(|| {
        let packages = [
            "authorization-server",
            "gateway",
            "sample-api",
            "client",
            "demo",
            "pki",
        ];
        // target/debug/deps/end_to_end-… → target/debug
        let test = std::env::current_exe().unwrap();
        let directory = test.ancestors().nth(2).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--bins"]);
        cargo.args(["--profile", profile(directory)]);
        for package in packages {
            cargo.args(["--package", package]);
        }
        assert!(cargo.status().unwrap().success(), "the binaries build");
        directory.to_owned()
    });
    directory.join(name)
}

/// Cargo names the directory after the profile, with one exception.
fn profile(directory: &Path) -> &str {
    match directory.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    }
}

/// A service, killed when dropped.
#[derive(Debug)]
struct Process {
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed by the test already.
        let _already_ended = self.child.kill();
        let _already_waited = self.child.wait();
    }
}

/// One of the three services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The authorization server.
    AuthorizationServer,
    /// The gateway.
    Gateway,
    /// The sample API.
    SampleApi,
}

impl Service {
    /// All three, in no order that would matter.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::SampleApi, Self::AuthorizationServer];

    const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationServer => "authorization-server",
            Self::Gateway => "gateway",
            Self::SampleApi => "sample-api",
        }
    }
}

/// The three services as processes, each with a configuration file.
#[derive(Debug)]
pub struct Processes {
    listeners: Listeners,
    directory: PathBuf,
    running: [Option<Process>; 3],
}

impl Processes {
    /// Writes the configurations and starts all three.
    pub fn start(ground: &Ground) -> Self {
        Self::start_with(ground, Settings::default())
    }

    /// The same, with other settings.
    pub fn start_with(ground: &Ground, settings: Settings) -> Self {
        mtls::install_crypto_provider();
        let listeners = Listeners::on_ports(free_ports());
        let parts = ground.parts(listeners, settings);
        let Listeners {
            tls,
            mutual_tls,
            sample_api,
            ..
        } = listeners;
        let write =
            |service: Service, text: String| std::fs::write(file(ground.path(), service), text).unwrap();
        write(
            Service::AuthorizationServer,
            configuration::authorization_server(&parts),
        );
        write(Service::SampleApi, configuration::sample_api(&parts, tls));
        write(
            Service::Gateway,
            configuration::gateway(&parts, tls, mutual_tls, sample_api),
        );
        let mut processes = Self {
            listeners,
            directory: ground.path().to_owned(),
            running: [const { None }; 3],
        };
        for service in Service::ALL {
            processes.spawn(service);
        }
        processes
    }

    /// The gateway's public address.
    pub const fn gateway(&self) -> SocketAddr {
        self.listeners.public
    }

    /// What a service holds of the machine's memory.
    pub fn memory(&self, service: Service) -> Memory {
        let process = self.running[service as usize].as_ref().expect("it runs");
        Memory::of(process.child.id())
    }

    /// Ends a service as `kill -9` does.
    pub fn kill(&mut self, service: Service) {
        self.running[service as usize] = None;
    }

    /// Starts a service and waits until it is ready.
    ///
    /// # Panics
    ///
    /// With what it has logged, when it ends instead, or is not ready in time.
    pub fn spawn(&mut self, service: Service) {
        let configuration = file(&self.directory, service);
        let log = self.directory.join(format!("{}.log", service.name()));
        let child = Command::new(binary(service.name()))
            .arg("--config")
            .arg(&configuration)
            .stderr(File::options().create(true).append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        let process = self.running[service as usize].insert(Process { child });
        let logged = || std::fs::read_to_string(&log).unwrap();
        let started = Instant::now();
        while !is_ready(service, &configuration) {
            let ended = process.child.try_wait().unwrap();
            assert!(ended.is_none(), "{service:?} ended: {}", logged());
            let in_time = started.elapsed() < PATIENCE;
            assert!(in_time, "{service:?} is ready in time: {}", logged());
        }
    }
}

/// Resident memory, in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Now.
    pub resident: u64,
    /// At most, so far.
    pub peak: u64,
}

impl Memory {
    fn of(process: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        Self {
            resident: field("VmRSS:"),
            peak: field("VmHWM:"),
        }
    }
}

fn file(directory: &Path, service: Service) -> PathBuf {
    directory.join(format!("{}.toml", service.name()))
}

/// Asks by the binary's own healthcheck.
fn is_ready(service: Service, configuration: &Path) -> bool {
    let mut healthcheck = Command::new(binary(service.name()));
    healthcheck
        .arg("--config")
        .arg(configuration)
        .arg("healthcheck")
        .stderr(Stdio::null())
        .stdout(Stdio::null());
    healthcheck.status().unwrap().success()
}

/// Ports that are free, others each time.
fn free_ports() -> [u16; 7] {
    // Below those that the system gives to connections: one of them could take a port before its service does.
    const FIRST: u32 = 15_000;
    const EACH_PROCESS: u32 = 300;
    const PROCESSES: u32 = 56;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let own = std::process::id() % PROCESSES * EACH_PROCESS;
    let ports = std::iter::repeat_with(|| {
        let place = own + TAKEN.fetch_add(1, Ordering::Relaxed);
        u16::try_from(FIRST + place % (PROCESSES * EACH_PROCESS)).unwrap()
    });
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    std::array::from_fn(|_| free.next().unwrap())
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
    #[should_panic(expected = "unknown field `unheard_of`")]
    fn says_why_a_service_ends_instead_of_becoming_ready() {
        let gateway = "unheard_of = 1".to_owned();
        let settings = Settings {
            gateway,
            ..Settings::default()
        };
        Processes::start_with(&Ground::new(), settings);
    }
}
