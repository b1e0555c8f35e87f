//! The configuration as the file has it: every key known, no value checked yet.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use mtls::TlsSection;
use oauth_core::confirmation::BindingPolicy;
use oauth_core::jwt::SignatureAlgorithm;
use serde::Deserialize;

use super::client_certificates::ClientCertificatesSection;
pub use crate::token_kind::TokenKind;

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
    /// `[introspection]`: where opaque tokens are looked up; needed where a route takes them.
    pub introspection: Option<IntrospectionSection>,
    /// `[[issuers]]`: whose signatures are believed; needed where a route takes JWTs, or introspection answers in one.
    #[serde(default)]
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
    /// What the endpoint is asked to answer with; nothing else is accepted.
    #[serde(default)]
    pub representation: IntrospectionRepresentation,
    /// Who answers: one of `[[issuers]]`, unless the answer is plain JSON. May be left away where there is exactly one.
    /// An answer that names another `iss` is refused.
    pub issuer: Option<String>,
    /// As whom the gateway authenticates there.
    #[serde(default = "gateway")]
    pub client_id: String,
    /// How it authenticates there.
    #[serde(default)]
    pub endpoint_auth_method: EndpointAuthMethod,
    /// With `client_secret_basic`: the file that holds the secret, and nothing else but a newline at its end.
    pub client_secret_file: Option<PathBuf>,
    /// With `private_key_jwt`: PEM file of the private key (PKCS#8) that signs client assertions. The authorization
    /// server must know its public half, by the `kid` that is its RFC 7638 thumbprint and that is logged at start.
    pub client_assertion_key: Option<PathBuf>,
    /// With `private_key_jwt`: the algorithm that signs them; ES256 where it is left away.
    pub endpoint_auth_signing_alg: Option<SignatureAlgorithm>,
    /// With `introspection-jwt`: the `aud` of answers for us; the `client_id` where it is left away.
    pub response_audience: Option<String>,
    /// With `json` and `introspection-jwt`: the audience of tokens whose answer names none. Only for an endpoint that
    /// itself answers `active` for none but this audience's access tokens, refresh tokens not among them; otherwise
    /// such tokens are refused.
    pub audience_if_absent: Option<String>,
    /// Whether the answer's `Cache-Control` says for how long it may be kept.
    #[serde(default)]
    pub cache_control: CacheControlPolicy,
    /// Tokens looked up at once; further ones are answered 503. Bounds what a burst of made-up tokens is to the
    /// authorization server.
    #[serde(default = "one_hundred")]
    pub concurrency: usize,
    /// For one introspection, from connecting to the last byte of the answer.
    #[serde(default = "five_seconds", with = "humantime_serde")]
    pub timeout: Duration,
    /// The largest answer that is accepted, in bytes.
    #[serde(default = "thirty_two_kibibytes")]
    pub max_response: usize,
}

/// What an introspection endpoint answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntrospectionRepresentation {
    /// `application/jwt`: the access token itself as a JWT. It is what the API gets in `Authorization`.
    #[default]
    AccessTokenJwt,
    /// `application/token-introspection+jwt`: what is known of the token, signed. The API gets no `Authorization`, and
    /// the answer in `Token-Introspection`. RFC 9701
    IntrospectionJwt,
    /// `application/json`: what is known of the token. The API gets no `Authorization`, and what is known in
    /// `Token-Introspection-Client-Id`, `-Subject` and `-Scope`. RFC 7662
    Json,
}

/// How the gateway authenticates at the introspection endpoint: names of RFC 7591's `token_endpoint_auth_method`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointAuthMethod {
    /// By the certificate of `[outbound_tls]`, be it known by its subject or itself. RFC 8705 §2
    #[default]
    #[serde(alias = "self_signed_tls_client_auth")]
    TlsClientAuth,
    /// By a secret in `Authorization: Basic`. RFC 6749 §2.3.1
    ClientSecretBasic,
    /// By a short-lived JWT that the gateway signs for each request. RFC 7523 §2.2
    PrivateKeyJwt,
}

/// What an answer's own words about keeping it are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheControlPolicy {
    /// It is kept no longer than it says, and not at all where it says `no-store`.
    #[default]
    Follow,
    /// `[cache] max_age` alone decides: for authorization servers that send `no-store` with every answer.
    Ignore,
}

/// One of `[[issuers]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSection {
    /// The `iss` of its tokens, letter by letter.
    pub issuer: String,
    /// Where its keys are, https; left away, its metadata says so. RFC 8414 §3
    pub jwks_uri: Option<String>,
    /// Whether JWTs that callers present are also accepted with `typ` `JWT` or none, and with no more claims than `iss`,
    /// `aud` and `exp`: for issuers that do not follow RFC 9068. What tells an access token of such an issuer from an ID
    /// token is its audience alone.
    #[serde(default)]
    pub accept_plain_jwt: bool,
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
    /// For how much longer than `max_age` a token is let in while the authorization server cannot be reached, answers 503
    /// or is too slow; never past the token's `exp`. A token revoked in that time is let in too.
    #[serde(with = "humantime_serde")]
    pub stale_while_unavailable: Duration,
}

impl Default for CacheSection {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(60),
            capacity: 10_000,
            stale_while_unavailable: Duration::ZERO,
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
    /// `http://` or `https://` host and port of each of its servers; routes that name the same one share its
    /// connections, unless it is offered HTTP/2 (`upstream_http2`).
    pub upstream: Vec<String>,
    /// What a token's `aud` must hold.
    pub audience: String,
    /// Which of `[[issuers]]` its tokens may come from; absent: all of them. With several, every one of them could
    /// otherwise issue tokens for this API.
    pub issuers: Option<Vec<String>>,
    /// The identifier of the resource the route belongs to, an https URL of its host; absent: `https://HOST`. All
    /// routes of a resource are described together, at the place that RFC 9728 §3.1 derives from the identifier.
    pub resource: Option<String>,
    /// What a token's `scope` must hold; `""` where none is needed.
    pub scope: String,
    /// What is demanded of a token's binding.
    #[serde(default)]
    pub binding: BindingPolicy,
    /// The kinds of token it takes: `"opaque"`, looked up by introspection, and `"jwt"`, verified with the keys of
    /// `[[issuers]]`. A token of the other kind is refused, and nobody is asked about it.
    #[serde(default = "opaque_alone")]
    pub tokens: Vec<TokenKind>,
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
    /// spoken to in HTTP/1.1. Servers that several routes name, and are offered no HTTP/2, are connected to once for all.
    #[serde(default = "yes")]
    pub upstream_http2: bool,
    /// For a connection to one of its servers. One that does not come about in time lets the server rest for a while, for
    /// every route that shares it.
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

const fn one_hundred() -> usize {
    100
}

fn opaque_alone() -> Vec<TokenKind> {
    vec![TokenKind::Opaque]
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
