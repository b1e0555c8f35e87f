//! certbound's sample API: the resource-server layer and two handlers behind it.

use std::fs;
use std::net::SocketAddr;

use anyhow::Context as _;

use super::authorization_server::{AuthorizationServer, ISSUER};
use super::ground::free_addresses;
use super::{Ground, Process, Role};
use crate::generator::Target;

/// The running API.
#[derive(Debug)]
pub(crate) struct SampleApi {
    /// The process.
    pub(crate) process: Process,
    address: SocketAddr,
}

impl SampleApi {
    /// Starts it, letting in the gateway's certificate alone.
    pub(crate) fn start(ground: &Ground, authorization_server: &AuthorizationServer) -> anyhow::Result<Self> {
        let [address, admin] = free_addresses()?;
        let directory = ground.fresh_directory("sample-api")?;
        let file = directory.join("sample-api.toml");
        let text = format!(
            r#"
            issuer = "{ISSUER}"
            jwks_uri = "https://localhost:{jwks}/oauth/v2/oauth-anonymous/jwks"
            audience = "api.example.com"
            [listen]
            tls = "{address}"
            admin = "{admin}"
            [tls]
            certificate = {certificate:?}
            key = {key:?}
            [client_certificates]
            trust = [{trust:?}]
            crl = [{crl:?}]
            gateways = ["gateway-internal.example.com"]
            [outbound_tls]
            trust = [{trust:?}]
            "#,
            jwks = authorization_server.tls.port(),
            certificate = ground.certificate("api-internal.tls.pem"),
            key = ground.certificate("api-internal.tls.key"),
            trust = ground.certificate("root.pem"),
            crl = ground.certificate("root.crl.pem"),
        );
        fs::write(&file, text)?;
        let mut command = ground.service("sample-api");
        command.arg("--config").arg(&file);
        let process = Process::start(&mut command, Role::Server, ground.core, &directory.join("log"))
            .and_then(|process| process.listening_at(&[address, admin]))
            .context("the sample API")?;
        Ok(Self { process, address })
    }

    /// The listener.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        Target::new(self.address, "localhost")
    }
}
