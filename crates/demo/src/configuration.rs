//! The services' configurations for one system, as the text that an operator would write into their files.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// Where the services listen: loopback, always.
#[derive(Clone, Copy, Debug)]
pub struct Listeners {
    /// The authorization server, without client certificates.
    pub tls: SocketAddr,
    /// The authorization server, mutual TLS.
    pub mutual_tls: SocketAddr,
    /// The gateway's public port.
    pub public: SocketAddr,
    /// The sample API.
    pub sample_api: SocketAddr,
    /// The admin listeners of authorization server, gateway and sample API.
    pub admin: [SocketAddr; 3],
}

impl Listeners {
    /// On ports that happen to be free, so that several systems can run side by side.
    pub fn free() -> Self {
        Self::on_ports([0; 7])
    }

    /// On the ports that partners and scripts rely on.
    pub fn well_known() -> Self {
        Self::on_ports([8443, 8444, 3000, 3001, 9101, 9102, 9103])
    }

    /// On these ports, in the order of the fields.
    pub fn on_ports(ports: [u16; 7]) -> Self {
        let [tls, mutual_tls, public, sample_api, admin @ ..] =
            ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self {
            tls,
            mutual_tls,
            public,
            sample_api,
            admin,
        }
    }
}

/// What a system is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The directory of the certificates, as `pki init` makes it.
    pub certificates: PathBuf,
    /// The directory of what must survive a restart: tokens and signing keys.
    pub data: PathBuf,
    /// Where the services listen.
    pub listeners: Listeners,
    /// How the services behave where it is not the demo's way.
    pub settings: Settings,
}

/// TOML that is put into the services' configurations, each text into the section that its name says.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Into the authorization server's `[tokens]`.
    pub tokens: String,
    /// Before the gateway's sections.
    pub gateway: String,
    /// Into the gateway's `[client_certificates]`, instead of its `trust` and `crl`.
    pub gateway_trust: Option<String>,
    /// Into the gateway's `[client_certificates]`.
    pub gateway_client_certificates: String,
    /// Into the gateway's `[introspection]`, instead of its `client_id`.
    pub gateway_introspection: Option<String>,
    /// Into the gateway's `[cache]`.
    pub gateway_cache: String,
    /// The gateway's upstream instead of the sample API.
    pub gateway_upstream: Option<String>,
    /// Behind the gateway's routes: more of them.
    pub gateway_routes: String,
    /// Into the sample API's `[client_certificates]`.
    pub sample_api_client_certificates: String,
    /// Behind the authorization server's registrations: more of them.
    pub clients: String,
}

const ISSUER: &str = "https://login.example.com/oauth/v2/oauth-anonymous";

/// The authorization server's own demo.
const DEMO: &str = include_str!("../../authorization-server/src/demo.toml");

/// Its registrations, which are the last part of it.
fn registrations() -> &'static str {
    let start = DEMO.find("[[clients]]").unwrap_or(DEMO.len());
    &DEMO[start..]
}

/// The authorization server's.
pub fn authorization_server(parts: &Parts) -> String {
    let Parts {
        certificates,
        data,
        listeners,
        settings,
    } = parts;
    let Listeners {
        tls,
        mutual_tls,
        admin: [admin, _, _],
        ..
    } = listeners;
    format!(
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
        [store]
        path = {store:?}
        [signing]
        keys = {keys:?}
        [tokens]
        {tokens}
        {registrations}
        {clients}
        "#,
        certificate = certificates.join("login.tls.pem"),
        key = certificates.join("login.tls.key"),
        trust = certificates.join("root.pem"),
        crl = certificates.join("root.crl.pem"),
        store = data.join("authorization-server/tokens.redb"),
        keys = data.join("authorization-server/keys"),
        tokens = settings.tokens,
        registrations = registrations(),
        clients = settings.clients,
    )
}

/// The sample API's, with the authorization server's address for its keys.
pub fn sample_api(parts: &Parts, authorization_server: SocketAddr) -> String {
    let Parts {
        certificates,
        listeners,
        settings,
        ..
    } = parts;
    let Listeners {
        sample_api: tls,
        admin: [_, _, admin],
        ..
    } = listeners;
    format!(
        r#"
        issuer = "{ISSUER}"
        jwks_uri = "https://localhost:{port}/oauth/v2/oauth-anonymous/jwks"
        audience = "api.example.com"
        resource = "https://api.example.com"
        [listen]
        tls = "{tls}"
        admin = "{admin}"
        [tls]
        certificate = {certificate:?}
        key = {key:?}
        [client_certificates]
        trust = [{trust:?}]
        crl = [{crl:?}]
        gateways = ["gateway-internal.example.com"]
        {client_certificates}
        [outbound_tls]
        trust = [{trust:?}]
        "#,
        port = authorization_server.port(),
        certificate = certificates.join("api-internal.tls.pem"),
        key = certificates.join("api-internal.tls.key"),
        trust = certificates.join("root.pem"),
        crl = certificates.join("root.crl.pem"),
        client_certificates = settings.sample_api_client_certificates,
    )
}

/// The gateway's, with the addresses of what stands behind it.
pub fn gateway(parts: &Parts, tls: SocketAddr, mutual_tls: SocketAddr, sample_api: SocketAddr) -> String {
    let Parts {
        certificates,
        listeners,
        settings,
        ..
    } = parts;
    let Listeners {
        public,
        admin: [_, admin, _],
        ..
    } = listeners;
    let upstream = settings
        .gateway_upstream
        .clone()
        .unwrap_or_else(|| format!("https://localhost:{}", sample_api.port()));
    let (root, root_crl) = (certificates.join("root.pem"), certificates.join("root.crl.pem"));
    format!(
        r#"
        {gateway}
        [listen]
        public = "{public}"
        admin = "{admin}"
        [[passthrough]]
        host = "login.example.com"
        upstream = "{mutual_tls}"
        [tls]
        certificate = {certificate:?}
        key = {key:?}
        [client_certificates]
        {client_trust}
        {client_certificates}
        [introspection]
        endpoint = "https://localhost:{mutual_tls_port}/oauth/v2/oauth-introspect"
        {introspection}
        [[issuers]]
        issuer = "{ISSUER}"
        jwks_uri = "https://localhost:{tls_port}/oauth/v2/oauth-anonymous/jwks"
        [cache]
        {cache}
        [outbound_tls]
        trust = [{trust:?}]
        certificate = {client_certificate:?}
        key = {client_key:?}
        [[routes]]
        host = "api.example.com"
        path = "/api/transactions"
        upstream = ["{upstream}"]
        audience = "api.example.com"
        scope = "transactions"
        client_cert_header = true
        {routes}
        "#,
        gateway = settings.gateway,
        certificate = certificates.join("api.tls.pem"),
        key = certificates.join("api.tls.key"),
        client_trust = settings
            .gateway_trust
            .clone()
            .unwrap_or_else(|| format!("trust = [{root:?}]\ncrl = [{root_crl:?}]")),
        trust = root,
        client_certificates = settings.gateway_client_certificates,
        mutual_tls_port = mutual_tls.port(),
        tls_port = tls.port(),
        introspection = settings
            .gateway_introspection
            .as_deref()
            .unwrap_or(r#"client_id = "gateway""#),
        cache = settings.gateway_cache,
        client_certificate = certificates.join("gateway.client.pem"),
        client_key = certificates.join("gateway.client.key"),
        upstream = upstream,
        routes = settings.gateway_routes,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(toml: &str) -> toml::Value {
        toml.parse::<toml::Table>().unwrap().remove("clients").unwrap()
    }

    #[test]
    fn the_deployment_registers_the_clients_of_the_demo() {
        let deployed = include_str!("../../../deploy/authorization-server.toml");
        assert_eq!(clients(deployed), clients(DEMO));
        assert_eq!(clients(registrations()), clients(DEMO));
    }
}
