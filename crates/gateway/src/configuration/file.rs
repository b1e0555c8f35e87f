//! The configuration as the file has it: every key known, no value checked yet.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use mtls::TlsSection;
use oauth_core::confirmation::BindingPolicy;
use serde::Deserialize;

use super::client_certificates::ClientCertificatesSection;

/// The whole file; unknown keys are errors.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationFile {
    /// Whether a token may name its certificate in hexadecimal digits instead of base64url, as some issuers write it
    /// against RFC 8705 §3.1.
    #[serde(default)]
    pub accept_hex_thumbprint: bool,
    /// `[listen]`.
    #[serde(default)]
    pub listen: ListenSection,
    /// `[[passthrough]]`: hosts whose connections are passed on unopened.
    #[serde(default)]
    pub passthrough: Vec<PassthroughSection>,
    /// `[tls]`: the certificate of the hosts whose connections end here.
    pub tls: TlsSection,
    /// `[client_certificates]`: whose certificates those hosts accept.
    pub client_certificates: ClientCertificatesSection,
    /// `[introspection]`: where opaque tokens are looked up.
    pub introspection: IntrospectionSection,
    /// `[[issuers]]`: who signs access tokens; exactly one.
    pub issuers: Vec<IssuerSection>,
    /// `[cache]`: for how long an answer about a token is believed.
    #[serde(default)]
    pub cache: CacheSection,
    /// `[[routes]]`: the APIs behind the gateway.
    pub routes: Vec<RouteSection>,
    /// `[outbound_tls]`: whom the gateway trusts, and the certificate it shows.
    pub outbound_tls: OutboundTlsSection,
}

/// `[listen]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenSection {
    /// The public port: TLS, pass-through and termination alike.
    pub public: SocketAddr,
    /// Plain HTTP for those who operate the gateway.
    pub admin: SocketAddr,
    /// Public connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// Those among them from one IPv4 address or one IPv6 network of 64 bits; further ones are closed.
    pub connections_per_address: usize,
    /// Threads that accept, serve and forward, each on its own; by default one for each core.
    pub workers: usize,
    /// Who tells where connections come from; absent: nobody.
    pub proxy_protocol: Option<ProxyProtocolSection>,
}

impl Default for ListenSection {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            public: loopback(3000),
            admin: loopback(9102),
            connections: 10_000,
            connections_per_address: 1_000,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            proxy_protocol: None,
        }
    }
}

/// `listen.proxy_protocol`: proxies that pass TCP on, and begin each connection with a PROXY header of version 2.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocolSection {
    /// The networks they connect from, such as `10.0.0.0/24`. From there a connection without header is refused; from
    /// elsewhere, one with it.
    #[serde(default)]
    pub trusted_peers: Vec<String>,
}

/// One of `[[passthrough]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassthroughSection {
    /// The server name that clients send.
    pub host: String,
    /// `host:port` of the listener that gets the bytes.
    pub upstream: String,
    /// Whether it is told first where they come from, by a PROXY header of version 2. For a listener that expects one,
    /// such as `listen.proxied` of the authorization server: any other takes it for a broken handshake.
    #[serde(default)]
    pub proxy_protocol: bool,
}

/// `[introspection]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionSection {
    /// The authorization server's introspection endpoint, https.
    pub endpoint: String,
    /// As whom the gateway authenticates there, with its certificate.
    #[serde(default = "gateway")]
    pub client_id: String,
    /// For one introspection, from connecting to the last byte of the answer.
    #[serde(default = "five_seconds", with = "humantime_serde")]
    pub timeout: Duration,
    /// The largest answer that is accepted, in bytes.
    #[serde(default = "thirty_two_kibibytes")]
    pub max_response: usize,
}

/// One of `[[issuers]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSection {
    /// The `iss` of its tokens, letter by letter.
    pub issuer: String,
    /// Where its keys are, https.
    pub jwks_uri: String,
}

/// `[cache]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSection {
    /// An active token is looked up again after this; bounds for how long a revoked one is let in.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// Active tokens remembered at once.
    pub capacity: u64,
}

impl Default for CacheSection {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(60),
            capacity: 10_000,
        }
    }
}

/// One of `[[routes]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSection {
    /// The server name and host of its requests.
    pub host: String,
    /// The prefix of its paths, in whole segments.
    #[serde(default = "root_path")]
    pub path: String,
    /// The methods let through; absent: all.
    pub methods: Option<Vec<String>>,
    /// `http://` or `https://` host and port of each of its servers.
    pub upstream: Vec<String>,
    /// What a token's `aud` must hold.
    pub audience: String,
    /// The identifier of the resource the route belongs to, an https URL of its host; absent: `https://HOST`. All
    /// routes of a resource are described together, at the place that RFC 9728 §3.1 derives from the identifier.
    pub resource: Option<String>,
    /// What a token's `scope` must hold; `""` where none is needed.
    pub scope: String,
    /// What is demanded of a token's binding.
    #[serde(default)]
    pub binding: BindingPolicy,
    /// Whether the API is told the client certificate in `Client-Cert`. RFC 9440 §2.2
    #[serde(default)]
    pub client_cert_header: bool,
    /// Whether it is also told the certificates above it that the client sent, in `Client-Cert-Chain`. RFC 9440 §2.3
    #[serde(default)]
    pub client_cert_chain_header: bool,
    /// The protocols to which a connection may be switched, over HTTP/1.1; `"websocket"` is the one there is.
    #[serde(default)]
    pub upgrade: Vec<String>,
    /// Whether its https servers are offered HTTP/2, over one connection for many requests; those in the clear are
    /// spoken to in HTTP/1.1.
    #[serde(default = "yes")]
    pub upstream_http2: bool,
    /// For a connection to one of its servers.
    #[serde(default = "five_seconds", with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// From the last piece of the request to the head of the API's answer.
    #[serde(default = "thirty_seconds", with = "humantime_serde")]
    pub answer_timeout: Duration,
}

/// `[outbound_tls]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundTlsSection {
    /// PEM files of the certification authorities of the authorization server and the APIs.
    pub trust: Vec<PathBuf>,
    /// PEM file: the certificate chain the gateway shows them, leaf first.
    pub certificate: PathBuf,
    /// PEM file: the leaf's private key.
    pub key: PathBuf,
}

fn gateway() -> String {
    "gateway".to_owned()
}

const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

const fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

const fn thirty_two_kibibytes() -> usize {
    32 * 1024
}

const fn yes() -> bool {
    true
}

fn root_path() -> String {
    "/".to_owned()
}
