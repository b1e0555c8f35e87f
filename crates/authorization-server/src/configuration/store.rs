//! The section `[store]`: a file of one server's own, or a database that several share.
//!
//! A connection to a database is encrypted and the server's name verified, except on this very machine; anything
//! else has to be asked for by a name that says what it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mtls::{Alpn, ClientError, ClientTls, TrustAnchors, TrustError};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use service::configuration::Problems;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

/// Finds out about connections that a network has forgotten while they were idle.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The section `[store]`: exactly one of `path` and `url`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSection {
    /// The file of the embedded store; made, with its directory, where there is none. Its journal lies beside it, under
    /// the same name with `.journal` appended.
    pub path: Option<PathBuf>,
    /// The database that several servers share: `postgres://user@host/database`.
    pub url: Option<SecretString>,
    /// The file that holds the password for `url`, where that does not.
    pub password_file: Option<PathBuf>,
    /// The certification authorities of the database's certificate, which must be valid for the host in `url`.
    #[serde(default)]
    pub trust: Vec<PathBuf>,
    /// Sends tokens' records, signing keys and the password over the network in clear.
    #[serde(default)]
    pub danger_plain_text: bool,
}

impl StoreSection {
    /// Notes which of its files cannot be used.
    pub(super) fn verify_files(&self, problems: &mut Problems) {
        if self.url.is_none() {
            return;
        }
        if let Some(path) = &self.password_file {
            problems.take("store.password_file", read_password(path));
        }
        problems.take("store.trust", encryption(&self.trust));
    }
}

/// Where tokens are kept.
#[derive(Clone, Debug)]
pub enum StoreConfiguration {
    /// In a file that this server alone uses.
    Embedded {
        /// The file.
        path: PathBuf,
    },
    /// In a database that several servers share.
    Postgres(Box<PostgresConfiguration>),
}

impl StoreConfiguration {
    /// Checks the section, and notes what is wrong with it.
    pub(super) fn check(section: &StoreSection, problems: &mut Problems) -> Option<Self> {
        match (&section.path, &section.url) {
            (Some(path), None) => {
                refuse_keys_of_databases(section, problems);
                Some(Self::Embedded { path: path.clone() })
            }
            (None, Some(url)) => {
                let checked = PostgresConfiguration::check(url.expose_secret(), section, problems)?;
                Some(Self::Postgres(Box::new(checked)))
            }
            (Some(_), Some(_)) => {
                problems.add("store", "has both path and url; keep the one that is meant");
                None
            }
            (None, None) => {
                problems.add(
                    "store",
                    "has neither path nor url; a store of its own or a shared one is needed",
                );
                None
            }
        }
    }
}

fn refuse_keys_of_databases(section: &StoreSection, problems: &mut Problems) {
    for (key, given) in [
        ("store.password_file", section.password_file.is_some()),
        ("store.trust", !section.trust.is_empty()),
        ("store.danger_plain_text", section.danger_plain_text),
    ] {
        if given {
            problems.add(key, "belongs to store.url, and there is none");
        }
    }
}

/// How a database is reached. `Debug` shows no password.
#[derive(Clone, Debug)]
pub struct PostgresConfiguration {
    connection: tokio_postgres::Config,
    password_file: Option<PathBuf>,
    trust: Vec<PathBuf>,
}

impl PostgresConfiguration {
    fn check(url: &str, section: &StoreSection, problems: &mut Problems) -> Option<Self> {
        let Some(connection) = parse(url) else {
            // What was not understood may be a part of the password.
            problems.add(
                "store.url",
                "is no URL such as postgres://user@host:5432/database; percent-encode special characters, and leave \
                 encryption to store.trust",
            );
            return None;
        };
        let checked = Self {
            connection,
            password_file: section.password_file.clone(),
            trust: section.trust.clone(),
        };
        checked.verify_password(problems);
        checked.verify_encryption(section.danger_plain_text, problems);
        Some(checked)
    }

    fn verify_password(&self, problems: &mut Problems) {
        if self.password_file.is_some() && self.connection.get_password().is_some() {
            problems.add(
                "store.password_file",
                "is given, and store.url has a password too; keep one",
            );
        }
    }

    fn verify_encryption(&self, danger_plain_text: bool, problems: &mut Problems) {
        let sockets = self
            .connection
            .get_hosts()
            .iter()
            .any(|host| !matches!(host, Host::Tcp(_)));
        let says = self.connection.get_ssl_mode();
        if self.trust.is_empty() {
            if says == SslMode::Require {
                problems.add("store.trust", "is missing, and store.url asks for encryption");
            } else if !danger_plain_text && !self.stays_on_this_machine() {
                problems.add(
                    "store.trust",
                    "is missing: name the certification authority of the database, which is not on this machine",
                );
            }
        } else if sockets {
            problems.add(
                "store.trust",
                "is given, and store.url names a socket, which is not encrypted",
            );
        } else if danger_plain_text || says == SslMode::Disable {
            problems.add("store.trust", "is given, and encryption is turned off; keep one");
        }
    }

    fn stays_on_this_machine(&self) -> bool {
        let addresses = self.connection.get_hostaddrs();
        if !addresses.is_empty() {
            return addresses.iter().all(|address| address.is_loopback());
        }
        self.connection.get_hosts().iter().all(|host| match host {
            Host::Tcp(name) => {
                name == "localhost"
                    || name
                        .parse()
                        .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
            }
            Host::Unix(_) => true,
        })
    }

    /// The server and the database, without the password.
    pub(crate) fn server(&self) -> String {
        let hosts: Vec<String> = self
            .connection
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        let database = self.connection.get_dbname().unwrap_or("(the user's own)");
        format!("the database {database} at {}", hosts.join(", "))
    }

    /// How to connect, and for how long to try.
    pub(crate) fn connection_config(
        &self,
        longest_wait: Duration,
    ) -> Result<tokio_postgres::Config, UnreadablePassword> {
        let mut config = self.connection.clone();
        if let Some(password) = self.password()? {
            config.password(password.as_bytes());
        }
        config
            .ssl_mode(if self.trust.is_empty() {
                SslMode::Disable
            } else {
                SslMode::Require
            })
            // Of several hosts, the one that takes changes.
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(longest_wait)
            .tcp_user_timeout(longest_wait)
            .keepalives_idle(KEEPALIVE);
        if config.get_application_name().is_none() {
            config.application_name("authorization-server");
        }
        Ok(config)
    }

    /// Whom to trust, if anybody: the certificate's name and its issuer are verified.
    pub(crate) fn encryption(&self) -> Result<Encryption, EncryptionError> {
        encryption(&self.trust)
    }

    fn password(&self) -> Result<Option<Zeroizing<String>>, UnreadablePassword> {
        self.password_file.as_deref().map(read_password).transpose()
    }
}

fn encryption(trust: &[PathBuf]) -> Result<Encryption, EncryptionError> {
    if trust.is_empty() {
        return Ok(Encryption::None);
    }
    let trust = TrustAnchors::from_pem_files(trust)?;
    let tls = ClientTls::new(trust).rustls_client_config(Alpn::Unset)?;
    Ok(Encryption::Tls(Box::new(MakeRustlsConnect::new(tls))))
}

fn parse(url: &str) -> Option<tokio_postgres::Config> {
    if !["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        return None;
    }
    let config: tokio_postgres::Config = url.parse().ok()?;
    (!config.get_hosts().is_empty()).then_some(config)
}

fn read_password(path: &Path) -> Result<Zeroizing<String>, UnreadablePassword> {
    let failed = |reason: String| UnreadablePassword {
        path: path.to_path_buf(),
        reason,
    };
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| failed(error.to_string()))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(failed("it is empty".to_owned()));
    }
    Ok(Zeroizing::new(password.to_owned()))
}

/// How a connection to the database is protected.
pub(crate) enum Encryption {
    /// The name in the URL must stand in the database's certificate.
    Tls(Box<MakeRustlsConnect>),
    /// Not at all: it stays on this machine, or the operator has said so.
    None,
}

/// Why connections to the database cannot be encrypted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncryptionError {
    #[error("{0}")]
    Trust(#[from] TrustError),
    #[error("{0}")]
    Tls(#[from] ClientError),
}

/// The file of the password cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}; it is to hold the password and nothing else", path.display())]
pub struct UnreadablePassword {
    path: PathBuf,
    reason: String,
}
