//! Registered clients: who they are, how they prove it, and what they may do.
//!
//! A registration is written with the member names of RFC 7591 and RFC 8705 and checked when it is read; a checked
//! [`ClientRegistration`] cannot be half right.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use serde::Deserialize;

use crate::{
    certificate::ClientCertificate,
    distinguished_name::DistinguishedName,
    jwt::{AssertionKeys, SignatureAlgorithm},
    scope::Scope,
    secret::SecretDigest,
    thumbprint::CertificateThumbprint,
};

mod jwks;
mod published;
mod registered_certificates;
mod registration;

pub use jwks::{ClientJwks, ClientJwksError};
pub use published::{JwksUri, MalformedJwksUri, PublishedKeys};
pub use registered_certificates::{RegisteredCertificateError, RegisteredCertificates};
pub use registration::RegistrationError;

/// A client's metadata as an operator writes it.
///
/// [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2), RFC 8705 §2.1.2 and §3.4
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientMetadata {
    /// The client's name in every request.
    pub client_id: String,
    /// `tls_client_auth`, `self_signed_tls_client_auth`, `private_key_jwt` or `client_secret_basic`.
    pub token_endpoint_auth_method: String,
    /// Subject of the client's certificate, as RFC 4514 text.
    pub tls_client_auth_subject_dn: Option<String>,
    /// A dNSName of the client's certificate.
    pub tls_client_auth_san_dns: Option<String>,
    /// A URI of the client's certificate.
    pub tls_client_auth_san_uri: Option<String>,
    /// An IP address of the client's certificate.
    pub tls_client_auth_san_ip: Option<String>,
    /// An e-mail address of the client's certificate.
    pub tls_client_auth_san_email: Option<String>,
    /// PEM files of the authorities that alone vouch for this client's certificate; none: all that the server trusts.
    pub trust: Vec<PathBuf>,
    /// The client's public keys: with their certificates for `self_signed_tls_client_auth`, and what verifies its
    /// assertions for `private_key_jwt`.
    pub jwks: Option<ClientJwks>,
    /// Where the client publishes the same and changes it as it likes: an `https` URL, instead of `jwks`.
    pub jwks_uri: Option<String>,
    /// `sha256:` and the unpadded base64url of the secret's SHA-256.
    pub client_secret_hash: Option<String>,
    /// What the client may ask for, and gets when it asks for nothing.
    pub scope: String,
    /// `client_credentials`, or empty for a client that only introspects.
    pub grant_types: Vec<String>,
    /// How long its tokens live, where not as long as everybody's: from one second to 24 hours.
    #[serde(with = "humantime_serde")]
    pub lifetime: Option<Duration>,
    /// Whether its tokens are bound to its certificate: `true` unless said otherwise.
    pub tls_client_certificate_bound_access_tokens: Option<bool>,
    /// The resource server its tokens are for.
    pub audience: Option<String>,
    /// The resource server that this client *is*, and may introspect for.
    pub resource_server: Option<String>,
    /// The scope that this resource server is told of, whatever else a token has; all of it unless said otherwise.
    pub resource_server_scope: Option<String>,
    /// What its signed introspection answers are signed with, where not as all others. RFC 9701 §6
    pub introspection_signed_response_alg: Option<SignatureAlgorithm>,
    /// Not offered: answers are not encrypted beyond TLS. RFC 9701 §6
    pub introspection_encrypted_response_alg: Option<String>,
    /// Not offered either. RFC 9701 §6
    pub introspection_encrypted_response_enc: Option<String>,
    /// `true` shuts the client out without forgetting it.
    pub disabled: bool,
}

/// A checked registration.
#[derive(Clone, Debug)]
pub struct ClientRegistration {
    /// The client's name.
    pub client_id: String,
    /// How it proves who it is.
    pub authentication: ClientAuthenticationMethod,
    /// What it may be granted.
    pub grant: Option<ClientCredentialsGrant>,
    /// The resource server it introspects for.
    pub resource_server: Option<ResourceServer>,
    /// Whether it is let in at all.
    pub status: ClientStatus,
}

impl ClientRegistration {
    fn is_enabled(&self) -> bool {
        self.status == ClientStatus::Enabled
    }
}

/// What a client may obtain by the client credentials grant.
#[derive(Clone, Debug)]
pub struct ClientCredentialsGrant {
    /// The most it may ask for.
    pub scope: Scope,
    /// The resource server of its tokens.
    pub audience: String,
    /// Whether its tokens are bound to its certificate.
    pub binding: TokenBinding,
    /// How long its tokens live, where it has its own lifetime.
    pub lifetime: Option<Duration>,
}

/// The resource server that a client is, and what it is told.
///
/// RFC 9701 §6
#[derive(Clone, Debug)]
pub struct ResourceServer {
    /// Its name: the audience of the tokens that are for it.
    pub identifier: String,
    /// The most it is told of a token's scope; `None` for all of it.
    pub scope: Option<Scope>,
    /// What its signed introspection answers are signed with, where not as all others.
    pub signed_response_algorithm: Option<SignatureAlgorithm>,
}

/// Whether tokens are bound to the client's certificate.
///
/// RFC 8705 §3.4
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenBinding {
    /// Bound; without a certificate no token is issued.
    CertificateBound,
    /// Bearer tokens.
    Unbound,
}

/// Whether a client is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientStatus {
    /// It is.
    Enabled,
    /// It is not, and its tokens are inactive.
    Disabled,
}

/// How a client proves who it is.
#[derive(Clone)]
pub enum ClientAuthenticationMethod {
    /// By a certificate of a trusted CA that carries this name. RFC 8705 §2.1
    TlsClientAuth(CertificateSubject, CertificateAnchors),
    /// By one of these certificates. RFC 8705 §2.2
    SelfSignedTlsClientAuth(ClientKeys<RegisteredCertificates>),
    /// By an assertion signed with one of these keys. RFC 7523 §2.2
    PrivateKeyJwt(ClientKeys<AssertionKeys>),
    /// By a shared secret in HTTP Basic. RFC 6749 §2.3.1
    ClientSecretBasic(ClientSecretDigest),
}

impl ClientAuthenticationMethod {
    /// Where the client publishes the keys it is known by, if it does.
    ///
    /// RFC 7591 §2
    pub const fn jwks_uri(&self) -> Option<&JwksUri> {
        match self {
            Self::SelfSignedTlsClientAuth(ClientKeys::Published(uri))
            | Self::PrivateKeyJwt(ClientKeys::Published(uri)) => Some(uri),
            _ => None,
        }
    }

    /// The method's registered name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::TlsClientAuth(..) => "tls_client_auth",
            Self::SelfSignedTlsClientAuth(_) => "self_signed_tls_client_auth",
            Self::PrivateKeyJwt(_) => "private_key_jwt",
            Self::ClientSecretBasic(_) => "client_secret_basic",
        }
    }
}

impl fmt::Debug for ClientAuthenticationMethod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Where the public keys of a client are.
///
/// [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2)
#[derive(Clone, Debug)]
pub enum ClientKeys<K> {
    /// In its registration.
    Registered(K),
    /// Where the client publishes them.
    Published(JwksUri),
}

/// Which authorities may have vouched for a client's certificate.
///
/// [RFC 8705 §7.4](https://www.rfc-editor.org/rfc/rfc8705#section-7.4)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateAnchors {
    /// All that the server trusts.
    Servers,
    /// The client's own alone, known by their keys and not by their names.
    Clients,
}

/// The one name of its certificate that a `tls_client_auth` client is registered under.
///
/// [RFC 8705 §2.1.2](https://www.rfc-editor.org/rfc/rfc8705#section-2.1.2)
#[derive(Clone, Debug)]
pub enum CertificateSubject {
    /// The whole subject.
    DistinguishedName(DistinguishedName),
    /// One dNSName; ASCII case does not matter, `*` is a letter like any other.
    DnsName(String),
    /// One URI, letter by letter.
    Uri(String),
    /// One IP address, compared as an address.
    IpAddress(IpAddr),
    /// One e-mail address: case matters before the `@` and not behind it.
    EmailAddress(String),
}

impl CertificateSubject {
    /// Whether `certificate` carries this name, in the place where names of this type stand.
    ///
    /// RFC 8705 §2.1.2, RFC 5280 §7
    pub fn matches(&self, certificate: &ClientCertificate) -> bool {
        let names = certificate.subject_alternative_names();
        match self {
            Self::DistinguishedName(name) => name.matches(certificate.subject()),
            Self::DnsName(name) => names
                .dns_names()
                .iter()
                .any(|presented| presented.eq_ignore_ascii_case(name)),
            Self::Uri(uri) => names.uris().contains(uri),
            Self::IpAddress(address) => names.ip_addresses().contains(address),
            Self::EmailAddress(address) => names
                .email_addresses()
                .iter()
                .any(|presented| same_mailbox(presented, address)),
        }
    }
}

/// RFC 5280 §7.5
fn same_mailbox(one: &str, other: &str) -> bool {
    match (one.rsplit_once('@'), other.rsplit_once('@')) {
        (Some((local, host)), Some((other_local, other_host))) => {
            local == other_local && host.eq_ignore_ascii_case(other_host)
        }
        _ => false,
    }
}

/// SHA-256 of a client secret: enough for a secret of high entropy, and cheap enough not to be a lever for floods.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecretDigest(SecretDigest);

impl ClientSecretDigest {
    /// The digest of `secret`.
    pub fn of(secret: &str) -> Self {
        Self(SecretDigest::of(secret.as_bytes()))
    }

    fn parse(text: &str) -> Option<Self> {
        text.strip_prefix("sha256:")
            .and_then(SecretDigest::parse)
            .map(Self)
    }
}

impl fmt::Display for ClientSecretDigest {
    /// The form that `client_secret_hash` takes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.0)
    }
}

impl fmt::Debug for ClientSecretDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientSecretDigest([redacted])")
    }
}

/// All registered clients by `client_id`.
#[derive(Clone, Debug, Default)]
pub struct ClientRegistry(HashMap<String, ClientRegistration>);

impl ClientRegistry {
    /// Adds a registration.
    ///
    /// # Errors
    ///
    /// [`RegistrationError::Duplicate`] where the `client_id` is taken.
    pub fn register(&mut self, registration: ClientRegistration) -> Result<(), RegistrationError> {
        if self.0.contains_key(&registration.client_id) {
            return Err(RegistrationError::Duplicate(registration.client_id));
        }
        self.0.insert(registration.client_id.clone(), registration);
        Ok(())
    }

    /// The enabled client of that name; a disabled one is as good as none.
    pub fn find(&self, client_id: &str) -> Option<&ClientRegistration> {
        self.0.get(client_id).filter(|client| client.is_enabled())
    }

    /// The certificates that need no authority to vouch for them: those of enabled clients registered with them.
    /// `None` where nobody can list them, because a client publishes its own elsewhere.
    ///
    /// RFC 8705 §2.2
    pub fn self_signed_certificates(&self) -> Option<Vec<CertificateThumbprint>> {
        let mut listed = Vec::new();
        for client in self.enabled() {
            match &client.authentication {
                ClientAuthenticationMethod::SelfSignedTlsClientAuth(ClientKeys::Registered(certificates)) => {
                    listed.extend(certificates.thumbprints());
                }
                ClientAuthenticationMethod::SelfSignedTlsClientAuth(ClientKeys::Published(_)) => return None,
                _ => {}
            }
        }
        Some(listed)
    }

    /// What the enabled clients want their introspection answers signed with, where they say so.
    ///
    /// RFC 9701 §6
    pub fn introspection_algorithms(&self) -> BTreeSet<SignatureAlgorithm> {
        let resource_servers = self
            .enabled()
            .filter_map(|client| client.resource_server.as_ref());
        resource_servers
            .filter_map(|server| server.signed_response_algorithm)
            .collect()
    }

    /// The clients that are let in, in no order.
    pub fn enabled(&self) -> impl Iterator<Item = &ClientRegistration> {
        self.iter().filter(|client| client.is_enabled())
    }

    /// Every registration, enabled or not, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &ClientRegistration> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests;
