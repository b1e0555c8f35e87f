//! nginx, in three ways: as a proxy that checks nothing, the same tuned, and with checks of token, binding and scope
//! in Lua.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::authorization_server::{AuthorizationServer, INTROSPECTION};
use super::ground::free_addresses;
use super::stub::Upstream;
use super::{Ground, Process, Role};
use crate::generator::Target;

/// Where Debian keeps nginx's modules.
const MODULES: &str = "/usr/lib/nginx/modules";
/// The gateway's checks, as few lines as they take.
const GATE: &str = include_str!("../../peers/nginx/gate.lua");

/// Which nginx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Mutual TLS ends here, requests are forwarded unchecked.
    Plain,
    /// The same without session cache and tickets, which are most of a full handshake's cost to OpenSSL 3.0, and with
    /// larger buffers for bodies.
    Tuned,
    /// With token, expiry, binding and scope verified on every request: fewer checks than the gateway's.
    Lua,
}

impl Variant {
    /// The name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "nginx, no check",
            Self::Tuned => "nginx tuned, no check",
            Self::Lua => "nginx + Lua: token, binding, scope",
        }
    }

    const fn directory(self) -> &'static str {
        match self {
            Self::Plain => "nginx",
            Self::Tuned => "nginx-tuned",
            Self::Lua => "nginx-lua",
        }
    }
}

/// A running nginx of one process.
#[derive(Debug)]
pub(crate) struct Nginx {
    /// The process.
    pub(crate) process: Process,
    /// Which nginx it is.
    pub(crate) variant: Variant,
    address: SocketAddr,
}

impl Nginx {
    /// Starts it before the upstream.
    pub(crate) fn start(
        variant: Variant,
        ground: &Ground,
        authorization_server: &AuthorizationServer,
        upstream: &Upstream,
    ) -> anyhow::Result<Self> {
        version()?;
        if variant == Variant::Lua {
            let module = Path::new(MODULES).join("ngx_http_lua_module.so");
            ensure!(
                module.exists(),
                "nginx's Lua module is not installed: apt install libnginx-mod-http-lua"
            );
        }
        let [address] = free_addresses()?;
        let directory = ground.fresh_directory(variant.directory())?;
        let file = directory.join("nginx.conf");
        fs::write(directory.join("gate.lua"), GATE)?;
        fs::write(
            &file,
            configuration(
                variant,
                ground,
                &directory,
                address,
                authorization_server,
                upstream,
            )?,
        )?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&directory).arg("-c").arg(&file);
        command.arg("-e").arg(directory.join("error.log"));
        let process = Process::start(&mut command, Role::Server, ground.core, &directory.join("log"))
            .and_then(|process| process.listening_at(&[address]))
            .context(variant.name())?;
        Ok(Self {
            process,
            variant,
            address,
        })
    }

    /// Its listener.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        Target::new(self.address, "api.example.com")
    }
}

/// What nginx says of itself and its OpenSSL.
pub(crate) fn version() -> anyhow::Result<String> {
    let output = Command::new("nginx")
        .arg("-V")
        .output()
        .context("nginx is not installed: apt install nginx")?;
    let text = String::from_utf8_lossy(&output.stderr);
    let told = |prefix: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(prefix))
            .map(str::trim)
    };
    let version = told("nginx version:").unwrap_or("nginx");
    Ok(match told("built with") {
        Some(openssl) => format!("{version}, {openssl}"),
        None => version.to_owned(),
    })
}

fn configuration(
    variant: Variant,
    ground: &Ground,
    directory: &Path,
    address: SocketAddr,
    authorization_server: &AuthorizationServer,
    upstream: &Upstream,
) -> anyhow::Result<String> {
    let mut text = String::new();
    if variant == Variant::Lua {
        writeln!(text, "load_module {MODULES}/ndk_http_module.so;")?;
        writeln!(text, "load_module {MODULES}/ngx_http_lua_module.so;")?;
    }
    let directory = directory.display();
    // One process: the worker is the child that is held, measured and ended.
    write!(
        text,
        "daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_max_body_size 0;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream http_upstream {{ server {http}; keepalive 1024; keepalive_requests 1000000000; }}
    upstream https_upstream {{ server {https}; keepalive 1024; keepalive_requests 1000000000; }}
    upstream authorization_server {{ server {introspection}; keepalive 1024; keepalive_requests 1000000000; }}
{lua}
    server {{
        listen {address} ssl;
        server_name api.example.com;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_client_certificate {root};
        ssl_verify_client on;
        ssl_protocols TLSv1.3;
{tuning}
{access}
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        # A location with a proxy_set_header of its own would inherit none of these.
        proxy_set_header Connection \"\";
        proxy_set_header Host $host;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {root};
        proxy_ssl_name localhost;
        proxy_ssl_server_name on;
        proxy_ssl_protocols TLSv1.3;
        location /http {{ proxy_pass http://http_upstream; }}
        location /https {{ proxy_pass https://https_upstream; }}
{introspect}
    }}
}}
",
        http = upstream.http,
        https = upstream.https,
        introspection = authorization_server.mutual_tls,
        certificate = ground.certificate("api.tls.pem"),
        key = ground.certificate("api.tls.key"),
        root = ground.certificate("root.pem"),
        lua = match variant {
            Variant::Plain | Variant::Tuned => String::new(),
            Variant::Lua => format!(
                "    lua_package_path \"{directory}/?.lua;;\";\n    init_by_lua_block {{ gate = require \"gate\" }}"
            ),
        },
        tuning = match variant {
            Variant::Plain | Variant::Lua => "",
            Variant::Tuned => TUNING,
        },
        access = match variant {
            Variant::Plain | Variant::Tuned => "",
            Variant::Lua => "        access_by_lua_block { gate.authorize() }",
        },
        introspect = match variant {
            Variant::Plain | Variant::Tuned => String::new(),
            Variant::Lua => introspection_location(ground),
        },
    )?;
    Ok(text)
}

const TUNING: &str = "        ssl_session_cache off;
        ssl_session_tickets off;
        ssl_conf_command NumTickets 0;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384;
        ssl_buffer_size 16k;
        proxy_buffer_size 64k;
        proxy_buffers 16 64k;
        proxy_busy_buffers_size 128k;
        client_body_buffer_size 128k;";

fn introspection_location(ground: &Ground) -> String {
    format!(
        "        location = /introspect {{
            internal;
            access_by_lua_block {{ return }}
            proxy_pass https://authorization_server{INTROSPECTION};
            proxy_pass_request_headers off;
            proxy_set_header Connection \"\";
            proxy_set_header Host login.example.com;
            proxy_set_header Accept application/jwt;
            proxy_set_header Content-Type application/x-www-form-urlencoded;
            proxy_ssl_certificate {certificate};
            proxy_ssl_certificate_key {key};
        }}",
        certificate = ground.certificate("gateway.client.pem"),
        key = ground.certificate("gateway.client.key"),
    )
}
