//! certbound's authorization server, with the demo's registrations.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;

use super::ground::free_addresses;
use super::{Ground, Process, Role};
use crate::generator::{FormPost, Target};

/// The token endpoint.
const TOKEN: &str = "/oauth/v2/oauth-token-mutual-tls";
/// The introspection endpoint.
pub(crate) const INTROSPECTION: &str = "/oauth/v2/oauth-introspect";
/// The issuer identifier.
pub(crate) const ISSUER: &str = "https://login.example.com/oauth/v2/oauth-anonymous";
/// A client by certificate, in the registration's words.
const REGISTRATION: &str = r#"
    token_endpoint_auth_method = "tls_client_auth"
    grant_types = ["client_credentials"]
    scope = "transactions"
    audience = "api.example.com"
"#;

/// The running server.
#[derive(Debug)]
pub(crate) struct AuthorizationServer {
    /// The process.
    pub(crate) process: Process,
    /// TLS without client certificates.
    pub(crate) tls: SocketAddr,
    /// Mutual TLS.
    pub(crate) mutual_tls: SocketAddr,
}

/// In what it differs from job to job.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setting<'a> {
    /// So many clients `client-N` (subject `CN=bench-N`) beside the demo's.
    pub(crate) clients: usize,
    /// Further keys of `[tokens]`.
    pub(crate) tokens: &'a str,
    /// The store to be used, instead of an empty one.
    pub(crate) store: Option<&'a Path>,
}

impl AuthorizationServer {
    /// Starts it.
    pub(crate) fn start(ground: &Ground, setting: Setting<'_>) -> anyhow::Result<Self> {
        let [tls, mutual_tls, admin] = free_addresses()?;
        let directory = ground.fresh_directory("authorization-server")?;
        let file = directory.join("authorization-server.toml");
        let keys = directory.join("keys");
        let embedded = setting
            .store
            .map_or_else(|| directory.join("tokens.redb"), Path::to_owned);
        let store = match &ground.database {
            Some(url) => format!("[store]\nurl = {url:?}\n[signing]"),
            None => format!("[store]\npath = {embedded:?}\n[signing]\nkeys = {keys:?}"),
        };
        let mut text = format!(
            r#"
            issuer = "{ISSUER}"
            [listen]
            tls = "{tls}"
            mutual_tls = "{mutual_tls}"
            admin = "{admin}"
            [tls]
            certificate = {certificate:?}
            key = {key:?}
            [client_certificates]
            trust = [{trust:?}]
            crl = [{crl:?}]
            {store}
            [tokens]
            lifetime = "4h"
            {tokens}
            # One client and one address ask for everything here.
            [limits]
            token_requests_per_client = 1000000
            token_requests_per_address = 1000000
            [[clients]]
            client_id = "partner-client"
            tls_client_auth_subject_dn = "CN=demo-partner"
            {REGISTRATION}
            [[clients]]
            client_id = "gateway"
            token_endpoint_auth_method = "tls_client_auth"
            tls_client_auth_san_dns = "gateway-internal.example.com"
            resource_server = "api.example.com"
            "#,
            certificate = ground.certificate("login.tls.pem"),
            key = ground.certificate("login.tls.key"),
            tokens = setting.tokens,
            trust = ground.certificate("root.pem"),
            crl = ground.certificate("root.crl.pem"),
        );
        for number in 0..setting.clients {
            write!(
                text,
                "[[clients]]\nclient_id = \"client-{number}\"\ntls_client_auth_subject_dn = \"CN=bench-{number}\"\n{REGISTRATION}"
            )?;
        }
        fs::write(&file, text)?;
        let mut command = ground.service("authorization-server");
        command.arg("--config").arg(&file);
        let process = Process::start(&mut command, Role::Server, ground.core, &directory.join("log"))
            .and_then(|process| process.listening_at(&[tls, mutual_tls, admin]))
            .context("the authorization server")?;
        Ok(Self {
            process,
            tls,
            mutual_tls,
        })
    }

    /// The mutual TLS listener.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        Target::new(self.mutual_tls, "login.example.com")
    }

    /// Where tokens are asked for.
    pub(crate) fn token_endpoint() -> FormPost {
        post(TOKEN, vec![])
    }

    /// Where tokens are introspected, with an `Accept` field.
    pub(crate) fn introspection_endpoint(accept: &'static str) -> FormPost {
        post(INTROSPECTION, vec![("accept", accept)])
    }
}

fn post(path: &str, fields: Vec<(&'static str, &'static str)>) -> FormPost {
    FormPost {
        host: "login.example.com".into(),
        path: path.into(),
        fields,
    }
}
