//! nginx, as Debian packages it, in front of a system: for what a load balancer of somebody else's does.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long nginx may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running nginx, ended when dropped.
#[derive(Debug)]
pub struct Nginx {
    address: SocketAddr,
    child: Child,
    _directory: TempDir,
}

impl Nginx {
    /// Starts nginx with one server that listens with TLS on a free port of loopback, and otherwise is as `server`
    /// (lines of an nginx configuration) has it; `None`, and a note, where nginx is not installed.
    pub fn start(server: &str) -> Option<Self> {
        let nginx = installed()?;
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let configuration = configuration(directory.path(), address, server);
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let log = std::fs::File::create(directory.path().join("output")).unwrap();
        let mut child = Command::new(nginx)
            .arg("-p")
            .arg(directory.path())
            .arg("-c")
            .arg(&file)
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            let output = || std::fs::read_to_string(directory.path().join("output")).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "nginx ended: {}", output());
            assert!(
                started.elapsed() < PATIENCE,
                "nginx listens in time: {}",
                output()
            );
            std::thread::yield_now();
        }
        Some(Self {
            address,
            child,
            _directory: directory,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // One process: there is no worker that could be left behind.
        let _already_ended = self.child.kill();
        let _already_waited = self.child.wait();
    }
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let nginx = directories
        .map(|directory| directory.join("nginx"))
        .find(|nginx| nginx.is_file());
    if nginx.is_none() {
        note("skipped: nginx is not installed; on Debian: apt-get install nginx-light");
    }
    nginx
}

#[expect(
    clippy::print_stderr,
    reason = "who runs the tests should know what was not tested"
)]
fn note(text: &str) {
    eprintln!("{text}");
}

/// In one process and in the foreground, with everything it writes in `directory`.
fn configuration(directory: &Path, address: SocketAddr, server: &str) -> String {
    let directory = directory.display();
    format!(
        r#"
        daemon off;
        master_process off;
        pid {directory}/pid;
        error_log stderr warn;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {directory}/client_body;
            proxy_temp_path {directory}/proxy;
            fastcgi_temp_path {directory}/fastcgi;
            scgi_temp_path {directory}/scgi;
            uwsgi_temp_path {directory}/uwsgi;
            server {{
                listen {address} ssl http2;
                {server}
            }}
        }}
        "#
    )
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
