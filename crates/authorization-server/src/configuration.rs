//! The configuration: a TOML file as an operator writes it, and what stands after every value has been checked.
//!
//! All problems are collected and named by key; nothing is guessed, and an unknown key is an error.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mtls::{ClientCertificatesSection, TlsSection, TrustedProxies};
use oauth_core::client::{ClientMetadata, ClientRegistration, ClientRegistry};
use oauth_core::jwt::SignatureAlgorithm;
use oauth_core::token_request::LIFETIMES;
use serde::Deserialize;
use service::configuration::{ConfigurationError, ConfigurationSource, Problems, read_toml};

use crate::client_anchors::ClientTrust;
use crate::issuer::Issuer;
use crate::published_keys::ClientsPublishedKeys;
use crate::signing_keys::key_set::LONGEST_REIGN;

mod files;
mod profile;
mod store;

pub use profile::Profile;
pub(crate) use store::{Encryption, EncryptionError};
pub use store::{PostgresConfiguration, StoreConfiguration, StoreSection, UnreadablePassword};

const DEMO: &str = include_str!("demo.toml");

/// Far above the announcement of a key, and bounds how many retired keys the JWKS shows.
const SHORTEST_REIGN: Duration = Duration::from_secs(60 * 60);
/// More than any machine answers in a second: as good as no limit.
const MOST_REQUESTS: u32 = 1_000_000;
/// Bounds for how long a resource server may go on believing in a token that has been revoked.
const LONGEST_REVOCATION_WINDOW: Duration = Duration::from_secs(60 * 60);

/// The checked configuration of an authorization server.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The issuer identifier.
    pub issuer: Issuer,
    /// What the whole server is held to.
    pub profile: Profile,
    /// The listeners' addresses.
    pub listen: ListenSection,
    /// Those among the peers of `listen.proxied` that are believed.
    pub proxies: TrustedProxies,
    /// The server's own certificate.
    pub tls: TlsSection,
    /// Whose client certificates are accepted on the mutual TLS listener.
    pub client_certificates: ClientCertificatesSection,
    /// Where tokens are kept.
    pub store: StoreConfiguration,
    /// What signs JWTs.
    pub signing: SigningSection,
    /// How long tokens live.
    pub tokens: TokensSection,
    /// How much is answered.
    pub limits: LimitsSection,
    /// Whom the server trusts when it calls others.
    pub outbound_tls: OutboundTlsSection,
    /// The registered clients.
    pub clients: ClientRegistry,
    /// The trust anchors of the clients that have their own.
    pub client_trust: Vec<ClientTrust>,
    /// The file all this was read from; the clients are read from it again when it changes.
    pub file: Option<PathBuf>,
}

/// The configuration file as an operator writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationFile {
    /// The issuer identifier: an `https` URL without query and fragment. RFC 8414 §2
    pub issuer: String,
    /// `fapi2` refuses what FAPI 2.0 does not admit; without it the specifications alone count.
    #[serde(default)]
    pub profile: Profile,
    /// The listeners' addresses.
    #[serde(default)]
    pub listen: ListenSection,
    /// The server's own certificate.
    pub tls: TlsSection,
    /// Whose client certificates are accepted on the mutual TLS listener.
    pub client_certificates: ClientCertificatesSection,
    /// Where tokens are kept.
    pub store: StoreSection,
    /// What signs JWTs.
    pub signing: SigningSection,
    /// How long tokens live.
    #[serde(default)]
    pub tokens: TokensSection,
    /// How much is answered.
    #[serde(default)]
    pub limits: LimitsSection,
    /// Whom the server trusts when it calls others.
    #[serde(default)]
    pub outbound_tls: OutboundTlsSection,
    /// The registered clients, by the member names of RFC 7591 and RFC 8705.
    #[serde(default)]
    pub clients: Vec<ClientMetadata>,
}

/// The section `[listen]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenSection {
    /// TLS without client certificates: everything but the token endpoint.
    pub tls: SocketAddr,
    /// Mutual TLS: everything.
    pub mutual_tls: SocketAddr,
    /// Plain HTTP for those who operate the service.
    pub admin: SocketAddr,
    /// Mutual TLS once more, for what a gateway passes on and says where it comes from; absent: nothing. Without it all
    /// that comes through the gateway seems to come from there, and shares one limit on guesses.
    pub proxied: Option<ProxiedSection>,
}

/// `[listen.proxied]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxiedSection {
    /// The listener's address. Every connection begins with a PROXY header of version 2, or is refused.
    pub address: SocketAddr,
    /// The networks from which such a header is believed, such as `10.0.0.0/24`.
    #[serde(default)]
    pub trusted_peers: Vec<String>,
}

impl Default for ListenSection {
    fn default() -> Self {
        let on_loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            tls: on_loopback(8443),
            mutual_tls: on_loopback(8444),
            admin: on_loopback(9101),
            proxied: None,
        }
    }
}

/// The section `[signing]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningSection {
    /// What JWTs are signed with.
    #[serde(default)]
    pub algorithm: SignatureAlgorithm,
    /// Directory of the private keys; they are made on the first start. With `store.url` there is none: the servers
    /// share their keys through the database.
    pub keys: Option<PathBuf>,
    /// For how long one key signs before the next takes over.
    #[serde(default = "thirty_days", with = "humantime_serde")]
    pub rotate_every: Duration,
}

const fn thirty_days() -> Duration {
    Duration::from_secs(30 * 24 * 60 * 60)
}

/// The section `[tokens]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokensSection {
    /// From issue to expiry.
    #[serde(with = "humantime_serde")]
    pub lifetime: Duration,
    /// For how long a resource server may keep the JWT of a token without asking again.
    #[serde(with = "humantime_serde")]
    pub revocation_window: Duration,
}

impl Default for TokensSection {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(15 * 60),
            revocation_window: Duration::from_secs(60),
        }
    }
}

/// The section `[limits]`. What goes beyond is answered 429, with `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// Token requests of one client in a second; ten times as many at once.
    pub token_requests_per_client: u32,
    /// Token requests from one address in a second, or from one network of IPv6; ten times as many at once. All that
    /// comes through a gateway's passthrough comes from one address.
    pub token_requests_per_address: u32,
}

impl Default for LimitsSection {
    /// Far more than a partner needs that uses a token until it expires.
    fn default() -> Self {
        Self {
            token_requests_per_client: 100,
            token_requests_per_address: 1000,
        }
    }
}

/// The section `[outbound_tls]`; it changes with the clients, while the server runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutboundTlsSection {
    /// PEM files of the certification authorities of the servers behind the clients' `jwks_uri`.
    pub trust: Vec<PathBuf>,
}

impl Configuration {
    /// The configuration that `source` names, every file it names readable.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`] names the file and every key at fault: values and files at once.
    pub fn load(source: ConfigurationSource) -> Result<Self, ConfigurationError> {
        match source {
            ConfigurationSource::Demo => Self::check(parse(DEMO)?, Files::Read, None),
            ConfigurationSource::File(path) => Self::of_file(&path, Files::Read, None),
        }
    }

    /// Reads and checks a configuration file, and none of the files it names.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn read(path: &Path) -> Result<Self, ConfigurationError> {
        Self::of_file(path, Files::Unread, None)
    }

    /// The same for a server that runs under this profile: its clients have to satisfy that one, whatever the file says by
    /// now.
    pub(crate) fn read_under(profile: Profile, path: &Path) -> Result<Self, ConfigurationError> {
        Self::of_file(path, Files::Unread, Some(profile))
    }

    fn of_file(path: &Path, files: Files, running: Option<Profile>) -> Result<Self, ConfigurationError> {
        let configuration = Self::check(read_toml(path)?, files, running)?;
        Ok(Self {
            file: Some(path.to_path_buf()),
            ..configuration
        })
    }

    /// The configuration that `text` holds.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`] names line and column, or every key at fault.
    pub fn from_toml(text: &str) -> Result<Self, ConfigurationError> {
        Self::check(parse(text)?, Files::Unread, None)
    }

    fn check(
        file: ConfigurationFile,
        files: Files,
        running: Option<Profile>,
    ) -> Result<Self, ConfigurationError> {
        let mut problems = Problems::new();
        if files == Files::Read {
            files::verify(&file, &mut problems);
        }
        let issuer = problems.take("issuer", Issuer::parse(file.issuer));
        verify_lifetimes(file.tokens, &mut problems);
        verify_limits(file.limits, &mut problems);
        verify_signing_keys(&file.signing, &file.store, &mut problems);
        let store = StoreConfiguration::check(&file.store, &mut problems);
        let client_trust = client_trust(&file.clients);
        if !(SHORTEST_REIGN..=LONGEST_REIGN).contains(&file.signing.rotate_every) {
            problems.add(
                "signing.rotate_every",
                "must be between 1h and 366d; a key is shown before it signs",
            );
        }
        let proxies = proxies(file.listen.proxied.as_ref(), &mut problems);
        file.profile.verify_signing(file.signing.algorithm, &mut problems);
        let clients = registry(file.clients, running.unwrap_or(file.profile), &mut problems);
        if files == Files::Read {
            ClientsPublishedKeys::load(&clients, &file.outbound_tls, &mut problems);
        }
        let configuration = issuer.zip(store).map(|(issuer, store)| Self {
            issuer,
            profile: file.profile,
            listen: file.listen,
            proxies,
            tls: file.tls,
            client_certificates: file.client_certificates,
            store,
            signing: file.signing,
            tokens: file.tokens,
            limits: file.limits,
            outbound_tls: file.outbound_tls,
            clients,
            client_trust,
            file: None,
        });
        problems.conclude(configuration)
    }
}

/// Whether the files that a configuration names are read with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    Read,
    Unread,
}

fn parse(text: &str) -> Result<ConfigurationFile, ConfigurationError> {
    toml::from_str(text).map_err(|error| ConfigurationError::NotUnderstood {
        path: Path::new("the configuration").to_path_buf(),
        reason: error.to_string(),
    })
}

fn verify_signing_keys(signing: &SigningSection, store: &StoreSection, problems: &mut Problems) {
    match (&signing.keys, &store.url) {
        (None, None) => problems.add(
            "signing.keys",
            "is missing: name the directory of the private keys",
        ),
        (Some(_), Some(_)) => problems.add(
            "signing.keys",
            "is given, and with store.url the servers share their keys through the database; leave it out",
        ),
        (Some(_), None) | (None, Some(_)) => {}
    }
}

fn proxies(section: Option<&ProxiedSection>, problems: &mut Problems) -> TrustedProxies {
    let proxies = section.map(|section| TrustedProxies::parse(&section.trusted_peers));
    proxies
        .and_then(|proxies| problems.take("listen.proxied.trusted_peers", proxies))
        .unwrap_or_default()
}

fn verify_lifetimes(tokens: TokensSection, problems: &mut Problems) {
    if !LIFETIMES.contains(&tokens.lifetime) {
        problems.add("tokens.lifetime", "must be between 1s and 24h");
    }
    if tokens.revocation_window > LONGEST_REVOCATION_WINDOW {
        problems.add("tokens.revocation_window", "must be at most 1h");
    }
}

fn verify_limits(limits: LimitsSection, problems: &mut Problems) {
    for (key, limit) in [
        (
            "limits.token_requests_per_client",
            limits.token_requests_per_client,
        ),
        (
            "limits.token_requests_per_address",
            limits.token_requests_per_address,
        ),
    ] {
        if !(1..=MOST_REQUESTS).contains(&limit) {
            problems.add(key, format!("must be between 1 and {MOST_REQUESTS}, in a second"));
        }
    }
}

fn key_of(index: usize, client: &ClientMetadata) -> String {
    format!("clients[{index}] ({})", client.client_id)
}

fn client_trust(clients: &[ClientMetadata]) -> Vec<ClientTrust> {
    let with_own = clients
        .iter()
        .enumerate()
        .filter(|(_, client)| !client.trust.is_empty());
    with_own
        .map(|(index, client)| ClientTrust {
            key: format!("{}.trust", key_of(index, client)),
            client_id: client.client_id.clone(),
            files: client.trust.clone(),
        })
        .collect()
}

fn registry(clients: Vec<ClientMetadata>, profile: Profile, problems: &mut Problems) -> ClientRegistry {
    let mut registry = ClientRegistry::default();
    for (index, metadata) in clients.into_iter().enumerate() {
        let key = key_of(index, &metadata);
        let Some(registration) = problems.take(&key, ClientRegistration::try_from(metadata)) else {
            continue;
        };
        profile.verify_client(&registration, &key, problems);
        problems.take(key, registry.register(registration));
    }
    registry
}

#[cfg(test)]
mod tests;
