//! A gateway over real sockets, between a stub authorization server and a stub API.

mod bare_api;
mod certificates;
mod http2_api;
mod issuers;
mod peer;
mod refusals;
mod stubs;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gateway::Configuration;
use mtls::Alpn;
use pki::{Days, Member};
use service::{ConfigurationSource, Occasion, Running, Shutdown};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use self::certificates::{server_of_another_name, server_of_another_root};
use self::stubs::{closed_port, serve_broken_api, serve_login};

pub(crate) use self::bare_api::{acceptor, read_request, serve};
pub(crate) use self::certificates::{PKI, certificate_of, client_tls, new_signing_key, now, trust};
pub(crate) use self::http2_api::{Frame, serve_http2};
pub(crate) use self::issuers::{Metadata, StubIssuer, StubIssuers};
pub(crate) use self::peer::{Answered, connect_http2, connect_tls, get_plain, send, with_token};
pub(crate) use self::refusals::reason_of;
pub(crate) use self::stubs::{Answer, Stubs};

pub(crate) const ISSUER: &str = "https://login.example.com/oauth/v2/oauth-anonymous";
pub(crate) const API: &str = "api.example.com";
/// For anything that is going to happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A gateway that runs, and everything around it.
pub(crate) struct Harness {
    pub(crate) stubs: Arc<Stubs>,
    pub(crate) issuers: StubIssuers,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) passthrough: SocketAddr,
    pub(crate) shutdown: Shutdown,
    running: Option<Running>,
    file: PathBuf,
    stubs_shutdown: Shutdown,
    directory: TempDir,
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.shutdown.trigger_at_once();
        self.stubs_shutdown.trigger();
    }
}

/// How one gateway differs from the usual one.
#[derive(Clone, Debug)]
pub(crate) struct Variation {
    pub(crate) client_certificate: &'static str,
    pub(crate) timeout: &'static str,
    pub(crate) max_age: &'static str,
    /// Further lines of `[introspection]`; `{directory}` is where the certificates are.
    pub(crate) introspection: String,
    /// Further lines of `[cache]`.
    pub(crate) cache: &'static str,
    pub(crate) connections_per_address: usize,
    /// One, where it matters over which connection a request goes on.
    pub(crate) workers: usize,
    /// A line of `[listen]`.
    pub(crate) proxy_protocol: &'static str,
    pub(crate) authorization_server: AuthorizationServer,
    pub(crate) api: Api,
    /// Further keys of the route of `/api`.
    pub(crate) route: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum AuthorizationServer {
    Up,
    Down,
    /// Its certificate is of the right root, and for another host.
    OfAnotherName,
    /// Its certificate is for the right host, and of another root.
    OfAnotherRoot,
}

#[derive(Clone, Debug)]
pub(crate) enum Api {
    Up,
    /// The first of its two servers cannot be reached.
    HalfUp,
    Down,
    /// It takes requests and closes.
    Broken,
    /// A server of the test's own, in the clear.
    At(SocketAddr),
    /// The same in TLS, as of an [`acceptor`].
    InTlsAt(SocketAddr),
}

impl Api {
    async fn upstreams(&self, stubs: &Arc<Stubs>, shutdown: &Shutdown) -> Vec<String> {
        let https = |address: SocketAddr| format!("https://localhost:{}", address.port());
        match self {
            Self::Up => vec![https(stubs.serve_api(shutdown))],
            Self::HalfUp => vec![https(closed_port()), https(stubs.serve_api(shutdown))],
            Self::Down => vec![https(closed_port()), https(closed_port())],
            Self::Broken => vec![format!("http://{}", serve_broken_api().await)],
            Self::At(address) => vec![format!("http://{address}")],
            Self::InTlsAt(address) => vec![https(*address)],
        }
    }
}

impl Default for Variation {
    fn default() -> Self {
        Self {
            client_certificate: "required",
            timeout: "5s",
            max_age: "60s",
            introspection: String::new(),
            cache: "",
            connections_per_address: 1_000,
            workers: 2,
            proxy_protocol: "",
            authorization_server: AuthorizationServer::Up,
            api: Api::Up,
            route: "",
        }
    }
}

/// A gateway of one worker before this API, on whose route stand these further keys, and the token `opaque`.
pub(crate) async fn harness(api: Api, route: &'static str) -> Harness {
    let variation = Variation {
        api,
        route,
        workers: 1,
        ..Variation::default()
    };
    let harness = Harness::start_with(variation).await;
    harness.stubs.issue("opaque", Member::Example);
    harness
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::start_with(Variation::default()).await
    }

    pub(crate) async fn start_with(variation: Variation) -> Self {
        refusals::keep();
        let directory = tempfile::tempdir().unwrap();
        write_certificates(directory.path());
        let (stubs, stubs_shutdown) = (Stubs::new(), Shutdown::new());
        let authorization_server = match variation.authorization_server {
            AuthorizationServer::Up => stubs.serve_authorization_server(&stubs_shutdown),
            AuthorizationServer::Down => closed_port(),
            AuthorizationServer::OfAnotherName => {
                stubs.serve_impostor(&server_of_another_name(), &stubs_shutdown)
            }
            AuthorizationServer::OfAnotherRoot => {
                stubs.serve_impostor(&server_of_another_root(), &stubs_shutdown)
            }
        };
        let issuers = StubIssuers::serve(&stubs_shutdown);
        let passthrough = serve_login(&stubs_shutdown);
        let upstreams = variation.api.upstreams(&stubs, &stubs_shutdown).await;
        let toml = configuration(
            directory.path(),
            &variation,
            authorization_server,
            passthrough,
            &upstreams,
        ) + &issuers.configuration();
        let file = directory.path().join("gateway.toml");
        std::fs::write(&file, toml).unwrap();
        let configuration = Configuration::load(ConfigurationSource::File(file.clone())).unwrap();
        let shutdown = Shutdown::new();
        let running = gateway::start(configuration, shutdown.clone()).await.unwrap();
        Self {
            stubs,
            issuers,
            public: running.address("public"),
            admin: running.address("admin"),
            passthrough,
            shutdown,
            running: Some(running),
            file,
            stubs_shutdown,
            directory,
        }
    }

    /// Writes a file that the gateway was told of, such as `root.crl.pem`.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// Reads every file of the gateway again.
    pub(crate) fn reload(&self) {
        let reloads = self.running.as_ref().expect("runs").reloads();
        reloads.attempt(Occasion::Demand);
    }

    /// Puts this member's certificate on the revocation list, and has the gateway read it.
    pub(crate) fn revoke(&self, member: Member) {
        let list = PKI.revocation_list();
        let certificate = PKI.identity(member).certificate();
        let list = list.revoke(certificate, PKI.root(), Days::REVOCATION_LIST, now());
        self.write("root.crl.pem", &list.unwrap().pem().unwrap());
        self.reload();
    }

    /// Changes the configuration file, as an operator does, and has the gateway look at its files.
    pub(crate) fn reconfigure(&self, change: impl FnOnce(&str) -> String) {
        let text = std::fs::read_to_string(&self.file).unwrap();
        std::fs::write(&self.file, change(&text)).unwrap();
        self.running.as_ref().unwrap().reloads().attempt(Occasion::Poll);
    }

    /// Waits for the gateway to end.
    pub(crate) async fn finished(&mut self) -> anyhow::Result<()> {
        self.running.take().expect("waited for once").finished().await
    }

    /// Lets go of the stubs' ports.
    pub(crate) fn stop_stubs(&self) {
        self.stubs_shutdown.trigger();
    }

    pub(crate) async fn connect(&self, member: Member) -> TlsStream<TcpStream> {
        connect_tls(self.public, API, Some(member), Alpn::Http1)
            .await
            .unwrap()
    }

    /// Sends one request, as written but for `\n`, over a connection of its own.
    pub(crate) async fn exchange(&self, member: Member, request: &str) -> Answered {
        let mut stream = self.connect(member).await;
        send(&mut stream, request).await
    }

    /// A plain `GET /api/transactions` with this token.
    pub(crate) async fn call(&self, member: Member, token: &str) -> Answered {
        self.call_at("/api/transactions", member, token).await
    }

    /// A plain `GET` of another path with this token.
    pub(crate) async fn call_at(&self, path: &str, member: Member, token: &str) -> Answered {
        self.exchange(member, &with_token(&format!("GET {path}"), token, ""))
            .await
    }
}

fn write_certificates(directory: &Path) {
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    write("root.pem", &PKI.root().certificate().pem().unwrap());
    write("root.crl.pem", &PKI.revocation_list().pem().unwrap());
    for (member, name) in [(Member::Api, "api"), (Member::Gateway, "gateway")] {
        let identity = PKI.identity(member);
        write(&format!("{name}.pem"), &identity.certificate_pem().unwrap());
        write(&format!("{name}.key"), &identity.key_pem());
    }
}

fn configuration(
    directory: &Path,
    variation: &Variation,
    authorization_server: SocketAddr,
    passthrough: SocketAddr,
    upstreams: &[String],
) -> String {
    let Variation {
        client_certificate,
        timeout,
        max_age,
        introspection,
        cache,
        connections_per_address,
        workers,
        route,
        proxy_protocol,
        ..
    } = variation;
    let (directory, port) = (directory.display(), authorization_server.port());
    let introspection = introspection.replace("{directory}", &directory.to_string());
    format!(
        r#"
        [listen]
        public = "127.0.0.1:0"
        admin = "127.0.0.1:0"
        connections_per_address = {connections_per_address}
        workers = {workers}
        {proxy_protocol}

        [[passthrough]]
        host = "login.example.com"
        upstream = "{passthrough}"

        [tls]
        certificate = "{directory}/api.pem"
        key = "{directory}/api.key"

        [client_certificates]
        trust = ["{directory}/root.pem"]
        crl = ["{directory}/root.crl.pem"]
        client_certificate = "{client_certificate}"

        [introspection]
        endpoint = "https://localhost:{port}/introspect"
        issuer = "{ISSUER}"
        timeout = "{timeout}"
        max_response = 4096
        {introspection}

        [[issuers]]
        issuer = "{ISSUER}"
        jwks_uri = "https://localhost:{port}/jwks"

        [cache]
        max_age = "{max_age}"
        {cache}

        [[routes]]
        host = "api.example.com"
        path = "/api"
        methods = ["GET", "POST"]
        upstream = {upstreams:?}
        audience = "api.example.com"
        scope = "transactions"
        client_cert_header = true
        {route}

        [[routes]]
        host = "api.example.com"
        path = "/admin"
        upstream = {upstreams:?}
        audience = "api.example.com"
        scope = "admin"

        [[routes]]
        host = "api.example.com"
        path = "/jwt"
        upstream = {upstreams:?}
        audience = "api.example.com"
        scope = "transactions"
        tokens = ["jwt"]

        [[routes]]
        host = "api.example.com"
        path = "/both"
        upstream = {upstreams:?}
        audience = "api.example.com"
        scope = "transactions"
        tokens = ["opaque", "jwt"]

        [outbound_tls]
        trust = ["{directory}/root.pem"]
        certificate = "{directory}/gateway.pem"
        key = "{directory}/gateway.key"
        "#
    )
}
