//! From a client's metadata, as an operator writes it, to a checked registration.
//!
//! What a method does not read is refused with it: a member that does nothing is a misunderstanding.

use super::{
    CertificateAnchors, CertificateSubject, ClientAuthenticationMethod, ClientCredentialsGrant, ClientJwks,
    ClientJwksError, ClientKeys, ClientMetadata, ClientRegistration, ClientSecretDigest, ClientStatus,
    JwksUri, MalformedJwksUri, ResourceServer, TokenBinding,
};
use crate::{
    distinguished_name::{DistinguishedName, DistinguishedNameError},
    scope::MalformedScope,
    token_request::LIFETIMES,
};

impl TryFrom<ClientMetadata> for ClientRegistration {
    type Error = RegistrationError;

    fn try_from(metadata: ClientMetadata) -> Result<Self, RegistrationError> {
        if metadata.client_id.is_empty()
            || !metadata
                .client_id
                .bytes()
                .all(|byte| (0x20..=0x7e).contains(&byte))
        {
            return Err(RegistrationError::ClientId);
        }
        Ok(Self {
            authentication: authentication(&metadata)?,
            grant: grant(&metadata)?,
            status: if metadata.disabled {
                ClientStatus::Disabled
            } else {
                ClientStatus::Enabled
            },
            resource_server: resource_server(&metadata)?,
            client_id: metadata.client_id,
        })
    }
}

fn authentication(metadata: &ClientMetadata) -> Result<ClientAuthenticationMethod, RegistrationError> {
    let method = Method::parse(&metadata.token_endpoint_auth_method)?;
    let subjects = certificate_subjects(metadata)?;
    verify_all_members_are_read(method, metadata, &subjects)?;
    match method {
        Method::TlsClientAuth => match <[_; 1]>::try_from(subjects) {
            Ok([subject]) => Ok(ClientAuthenticationMethod::TlsClientAuth(
                subject,
                anchors(metadata),
            )),
            Err(_) => Err(RegistrationError::ExactlyOneSubject),
        },
        Method::SelfSignedTlsClientAuth => keys(metadata, ClientJwks::registered_certificates)
            .map(ClientAuthenticationMethod::SelfSignedTlsClientAuth),
        Method::PrivateKeyJwt => {
            keys(metadata, ClientJwks::assertion_keys).map(ClientAuthenticationMethod::PrivateKeyJwt)
        }
        Method::ClientSecretBasic => metadata
            .client_secret_hash
            .as_deref()
            .and_then(ClientSecretDigest::parse)
            .map(ClientAuthenticationMethod::ClientSecretBasic)
            .ok_or(RegistrationError::SecretHash),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    TlsClientAuth,
    SelfSignedTlsClientAuth,
    PrivateKeyJwt,
    ClientSecretBasic,
}

impl Method {
    fn parse(name: &str) -> Result<Self, RegistrationError> {
        match name {
            "tls_client_auth" => Ok(Self::TlsClientAuth),
            "self_signed_tls_client_auth" => Ok(Self::SelfSignedTlsClientAuth),
            "private_key_jwt" => Ok(Self::PrivateKeyJwt),
            "client_secret_basic" => Ok(Self::ClientSecretBasic),
            _ => Err(RegistrationError::AuthenticationMethod),
        }
    }
}

fn verify_all_members_are_read(
    method: Method,
    metadata: &ClientMetadata,
    subjects: &[CertificateSubject],
) -> Result<(), RegistrationError> {
    if method != Method::TlsClientAuth && !subjects.is_empty() {
        return Err(RegistrationError::SubjectNotUsed);
    }
    if method != Method::TlsClientAuth && !metadata.trust.is_empty() {
        return Err(RegistrationError::TrustNotUsed);
    }
    let reads_jwks = matches!(method, Method::SelfSignedTlsClientAuth | Method::PrivateKeyJwt);
    if !reads_jwks && (metadata.jwks.is_some() || metadata.jwks_uri.is_some()) {
        return Err(RegistrationError::JwksNotUsed);
    }
    if method != Method::ClientSecretBasic && metadata.client_secret_hash.is_some() {
        return Err(RegistrationError::SecretNotUsed);
    }
    Ok(())
}

/// RFC 7591 §2
fn keys<K>(
    metadata: &ClientMetadata,
    read: impl FnOnce(&ClientJwks) -> Result<K, ClientJwksError>,
) -> Result<ClientKeys<K>, RegistrationError> {
    match (&metadata.jwks, &metadata.jwks_uri) {
        (Some(jwks), None) => read(jwks)
            .map(ClientKeys::Registered)
            .map_err(RegistrationError::Jwks),
        (None, Some(uri)) => Ok(ClientKeys::Published(JwksUri::parse(uri)?)),
        (Some(_), Some(_)) => Err(RegistrationError::JwksAndJwksUri),
        (None, None) => Err(RegistrationError::NoJwks),
    }
}

const fn anchors(metadata: &ClientMetadata) -> CertificateAnchors {
    if metadata.trust.is_empty() {
        CertificateAnchors::Servers
    } else {
        CertificateAnchors::Clients
    }
}

fn certificate_subjects(metadata: &ClientMetadata) -> Result<Vec<CertificateSubject>, RegistrationError> {
    let distinguished_name = metadata
        .tls_client_auth_subject_dn
        .as_deref()
        .map(DistinguishedName::parse)
        .transpose()?;
    let ip_address = metadata
        .tls_client_auth_san_ip
        .as_deref()
        .map(|text| text.parse().map_err(|_| RegistrationError::IpAddress))
        .transpose()?;
    Ok([
        distinguished_name.map(CertificateSubject::DistinguishedName),
        metadata
            .tls_client_auth_san_dns
            .clone()
            .map(CertificateSubject::DnsName),
        metadata
            .tls_client_auth_san_uri
            .clone()
            .map(CertificateSubject::Uri),
        ip_address.map(CertificateSubject::IpAddress),
        metadata
            .tls_client_auth_san_email
            .clone()
            .map(CertificateSubject::EmailAddress),
    ]
    .into_iter()
    .flatten()
    .collect())
}

fn grant(metadata: &ClientMetadata) -> Result<Option<ClientCredentialsGrant>, RegistrationError> {
    match metadata.grant_types.as_slice() {
        [] => match member_of_no_grant(metadata) {
            Some(member) => Err(RegistrationError::NoGrant(member)),
            None => Ok(None),
        },
        [grant_type] if grant_type == "client_credentials" => Ok(Some(ClientCredentialsGrant {
            scope: metadata.scope.parse()?,
            audience: metadata.audience.clone().ok_or(RegistrationError::Audience)?,
            binding: match metadata.tls_client_certificate_bound_access_tokens {
                Some(false) => TokenBinding::Unbound,
                Some(true) | None => TokenBinding::CertificateBound,
            },
            lifetime: match metadata.lifetime {
                Some(lifetime) if !LIFETIMES.contains(&lifetime) => return Err(RegistrationError::Lifetime),
                lifetime => lifetime,
            },
        })),
        _ => Err(RegistrationError::GrantTypes),
    }
}

/// A member that says something of tokens, of a client that obtains none.
fn member_of_no_grant(metadata: &ClientMetadata) -> Option<&'static str> {
    let bound = metadata.tls_client_certificate_bound_access_tokens;
    let members = [
        ("scope", !metadata.scope.is_empty()),
        ("audience", metadata.audience.is_some()),
        ("lifetime", metadata.lifetime.is_some()),
        ("tls_client_certificate_bound_access_tokens", bound.is_some()),
    ];
    let (member, _) = members.into_iter().find(|(_, is_given)| *is_given)?;
    Some(member)
}

/// RFC 9701 §6
fn resource_server(metadata: &ClientMetadata) -> Result<Option<ResourceServer>, RegistrationError> {
    match (
        &metadata.introspection_encrypted_response_alg,
        &metadata.introspection_encrypted_response_enc,
    ) {
        (Some(_), _) => return Err(RegistrationError::EncryptedIntrospection),
        (None, Some(_)) => return Err(RegistrationError::EncryptionWithoutAlgorithm),
        (None, None) => {}
    }
    let Some(identifier) = metadata.resource_server.clone() else {
        if metadata.resource_server_scope.is_some() {
            return Err(RegistrationError::ResourceServerScopeNotUsed);
        }
        if metadata.introspection_signed_response_alg.is_some() {
            return Err(RegistrationError::IntrospectionAlgorithmNotUsed);
        }
        return Ok(None);
    };
    let scope = metadata.resource_server_scope.as_deref().map(str::parse);
    Ok(Some(ResourceServer {
        identifier,
        scope: scope
            .transpose()
            .map_err(RegistrationError::ResourceServerScope)?,
        signed_response_algorithm: metadata.introspection_signed_response_alg,
    }))
}

/// What is wrong with a registration; each message names the member and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// `client_id` is empty or not printable ASCII.
    #[error("client_id: give the client a name of printable ASCII characters")]
    ClientId,
    /// Two registrations share a `client_id`.
    #[error("client_id: `{0}` is registered twice")]
    Duplicate(String),
    /// The method is none that this server offers.
    #[error(
        "token_endpoint_auth_method: use `tls_client_auth`, `self_signed_tls_client_auth`, `private_key_jwt` or \
         `client_secret_basic`"
    )]
    AuthenticationMethod,
    /// Not exactly one subject member. RFC 8705 §2.1.2
    #[error(
        "tls_client_auth: give exactly one of tls_client_auth_subject_dn, tls_client_auth_san_dns, \
         tls_client_auth_san_uri, tls_client_auth_san_ip and tls_client_auth_san_email"
    )]
    ExactlyOneSubject,
    /// A subject member with a method that does not read it.
    #[error(
        "tls_client_auth_*: only tls_client_auth reads these members; remove them, or use tls_client_auth"
    )]
    SubjectNotUsed,
    /// A secret with a method that does not read it.
    #[error("client_secret_hash: only client_secret_basic reads it; remove it, or use client_secret_basic")]
    SecretNotUsed,
    /// Trust anchors with a method that verifies no chain.
    #[error("trust: only tls_client_auth reads it; remove it, or use tls_client_auth")]
    TrustNotUsed,
    /// Keys with a method that does not read them.
    #[error(
        "jwks, jwks_uri: only self_signed_tls_client_auth and private_key_jwt read them; remove them, or use one of \
         these"
    )]
    JwksNotUsed,
    /// No keys with a method that needs them.
    #[error("jwks: give the client's public keys, or with jwks_uri the URL where it publishes them")]
    NoJwks,
    /// Keys, and a place for other ones. RFC 7591 §2
    #[error("jwks, jwks_uri: both are given; keep the one that is meant")]
    JwksAndJwksUri,
    /// The URL of the keys is none that keys are fetched from.
    #[error("jwks_uri: {0}")]
    JwksUri(#[from] MalformedJwksUri),
    /// Keys that cannot be used.
    #[error("jwks: {0}")]
    Jwks(ClientJwksError),
    /// No or an unreadable hash.
    #[error("client_secret_hash: give `sha256:` and the unpadded base64url of the secret's SHA-256")]
    SecretHash,
    /// The subject is no distinguished name.
    #[error("tls_client_auth_subject_dn: {0}")]
    SubjectDistinguishedName(#[from] DistinguishedNameError),
    /// The address is none.
    #[error("tls_client_auth_san_ip: write an IPv4 or IPv6 address")]
    IpAddress,
    /// The scope breaks its grammar.
    #[error("scope: {0}")]
    Scope(#[from] MalformedScope),
    /// A client that obtains tokens needs to say for whom.
    #[error("audience: name the resource server that the client's tokens are for")]
    Audience,
    /// A lifetime out of bounds.
    #[error("lifetime: must be between 1s and 24h")]
    Lifetime,
    /// A member about tokens that are never issued.
    #[error("{0}: the client obtains no tokens; remove it, or give grant_types")]
    NoGrant(&'static str),
    /// The scope breaks its grammar.
    #[error("resource_server_scope: {0}")]
    ResourceServerScope(MalformedScope),
    /// A scope to be told of, and nobody is told.
    #[error("resource_server_scope: the client introspects nothing; remove it, or give resource_server")]
    ResourceServerScopeNotUsed,
    /// An algorithm for answers that are never given.
    #[error(
        "introspection_signed_response_alg: the client introspects nothing; remove it, or give resource_server"
    )]
    IntrospectionAlgorithmNotUsed,
    /// Encryption, which is not offered. RFC 9701 §6
    #[error(
        "introspection_encrypted_response_alg: introspection answers are not encrypted beyond TLS; remove it, and \
         introspection_encrypted_response_enc"
    )]
    EncryptedIntrospection,
    /// How to encrypt the content, and not how its key. RFC 9701 §6
    #[error(
        "introspection_encrypted_response_enc: means nothing without introspection_encrypted_response_alg, and \
         answers are not encrypted beyond TLS; remove it"
    )]
    EncryptionWithoutAlgorithm,
    /// Another grant than client credentials.
    #[error(
        "grant_types: only `client_credentials` is offered; leave it out for a client that only introspects"
    )]
    GrantTypes,
}
