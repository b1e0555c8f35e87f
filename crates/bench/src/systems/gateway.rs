//! certbound's gateway, as shipped but for its upstreams and its limit on connections from one address.

use std::fs;
use std::net::SocketAddr;

use anyhow::Context as _;

use super::authorization_server::{AuthorizationServer, INTROSPECTION, ISSUER};
use super::ground::free_addresses;
use super::stub::Upstream;
use super::{Ground, Process, Role};
use crate::generator::Target;

/// More than any job opens: all of them come from one address.
const CONNECTIONS: usize = 4096;

/// The running gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// The process.
    pub(crate) process: Process,
    public: SocketAddr,
}

impl Gateway {
    /// Starts it with the routes `/http` and `/https` to the upstream, and `more` as further tables of its
    /// configuration.
    pub(crate) fn start(
        ground: &Ground,
        authorization_server: &AuthorizationServer,
        upstream: &Upstream,
        more: &str,
    ) -> anyhow::Result<Self> {
        let [public, admin] = free_addresses()?;
        let directory = ground.fresh_directory("gateway")?;
        let file = directory.join("gateway.toml");
        let text = format!(
            r#"
            [listen]
            public = "{public}"
            admin = "{admin}"
            connections_per_address = {CONNECTIONS}
            [tls]
            certificate = {certificate:?}
            key = {key:?}
            [client_certificates]
            trust = [{trust:?}]
            crl = [{crl:?}]
            [introspection]
            endpoint = "https://localhost:{introspection}{INTROSPECTION}"
            client_id = "gateway"
            [[issuers]]
            issuer = "{ISSUER}"
            jwks_uri = "https://localhost:{jwks}/oauth/v2/oauth-anonymous/jwks"
            [outbound_tls]
            trust = [{trust:?}]
            certificate = {client_certificate:?}
            key = {client_key:?}
            {http}
            {https}
            {more}
            "#,
            certificate = ground.certificate("api.tls.pem"),
            key = ground.certificate("api.tls.key"),
            trust = ground.certificate("root.pem"),
            crl = ground.certificate("root.crl.pem"),
            client_certificate = ground.certificate("gateway.client.pem"),
            client_key = ground.certificate("gateway.client.key"),
            introspection = authorization_server.mutual_tls.port(),
            jwks = authorization_server.tls.port(),
            http = route("/http", &format!("http://{}", upstream.http)),
            https = route("/https", &format!("https://localhost:{}", upstream.https.port())),
        );
        fs::write(&file, text)?;
        let mut command = ground.service("gateway");
        command.arg("--config").arg(&file);
        let process = Process::start(&mut command, Role::Server, ground.core, &directory.join("log"))
            .and_then(|process| process.listening_at(&[public, admin]))
            .context("the gateway")?;
        Ok(Self { process, public })
    }

    /// The public listener.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        Target::new(self.public, "api.example.com")
    }
}

/// So many routes `/route-N` to an upstream.
pub(crate) fn routes(count: usize, upstream: &Upstream) -> String {
    (0..count)
        .map(|number| route(&format!("/route-{number}"), &format!("http://{}", upstream.http)))
        .collect()
}

/// A route as shipped, to an upstream.
pub(crate) fn route(path: &str, upstream: &str) -> String {
    format!(
        r#"
            [[routes]]
            host = "api.example.com"
            path = "{path}"
            upstream = ["{upstream}"]
            audience = "api.example.com"
            scope = "transactions"
            client_cert_header = true
            "#
    )
}
