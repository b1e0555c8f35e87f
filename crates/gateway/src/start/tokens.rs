//! Bringing up what tells of tokens: the introspection endpoint's client, and the issuers' keys.

use anyhow::Context;
use jwks::RemoteJwks;
use mtls::{ClientTls, Timeouts};
use oauth_core::jwt::{IntrospectionVerifier, SignatureAlgorithm};

use crate::audiences::{Audiences, LiveVerifier};
use crate::configuration::{ExpectedAnswer, Introspection, Issuer};
use crate::introspection_client::{AnswerReader, Authentication, IntrospectionClient, MemberRules};
use crate::issuers::{Issuers, TrustedIssuer};
use crate::token_source::TokenSource;

/// Whom the gateway asks, and whose signatures it believes, about tokens.
pub(super) fn source(
    introspection: Option<&Introspection>,
    issuers: Vec<Issuer>,
    audiences: &Audiences,
    tls: &ClientTls,
) -> anyhow::Result<TokenSource> {
    let issuers = trusted_issuers(issuers, audiences, tls)?;
    let introspection = introspection
        .map(|configuration| introspection_client(configuration, &issuers, audiences, tls))
        .transpose()?;
    Ok(TokenSource {
        introspection,
        issuers,
    })
}

fn trusted_issuers(issuers: Vec<Issuer>, audiences: &Audiences, tls: &ClientTls) -> anyhow::Result<Issuers> {
    let http_client = tls
        .http_client(Timeouts::default(), &[])
        .context("outbound_tls")?;
    Ok(Issuers::new(issuers.into_iter().map(|issuer| TrustedIssuer {
        keys: match issuer.jwks_uri {
            Some(uri) => RemoteJwks::new(http_client.clone(), uri),
            None => RemoteJwks::of_issuer(http_client.clone(), &issuer.issuer),
        },
        verifier: LiveVerifier::new(issuer.issuer.as_str(), audiences),
        issuer: issuer.issuer,
        profile: issuer.profile,
    })))
}

fn introspection_client(
    configuration: &Introspection,
    issuers: &Issuers,
    audiences: &Audiences,
    tls: &ClientTls,
) -> anyhow::Result<IntrospectionClient> {
    // Shorter than the whole, so that no connection is told from no answer.
    let timeouts = Timeouts {
        connect: configuration.timeout / 2,
        total: configuration.timeout,
    };
    let http_client = tls.http_client(timeouts, &[]).context("outbound_tls")?;
    let authentication = Authentication::load(configuration).context(configuration.authentication.key())?;
    if let Some(key_id) = authentication.key_id() {
        tracing::info!(
            key.id = key_id,
            "client assertions for introspection are signed with the key {key_id}"
        );
    }
    let reader = answer_reader(configuration, issuers, audiences)?;
    Ok(IntrospectionClient::new(
        http_client,
        configuration,
        authentication,
        reader,
    ))
}

fn answer_reader(
    configuration: &Introspection,
    issuers: &Issuers,
    audiences: &Audiences,
) -> anyhow::Result<AnswerReader> {
    let issuer = configuration.issuer.clone();
    let keys = || {
        let keys = issuers.keys_of(&configuration.issuer).cloned();
        keys.context("introspection.issuer is none of issuers")
    };
    let members = |audience_if_absent: &Option<String>| MemberRules {
        issuer: configuration.issuer.clone(),
        audience_if_absent: audience_if_absent.clone(),
    };
    Ok(match &configuration.expected {
        ExpectedAnswer::AccessTokenJwt => AnswerReader::AccessTokenJwt {
            keys: keys()?,
            verifier: LiveVerifier::new(issuer, audiences),
        },
        ExpectedAnswer::IntrospectionJwt {
            audience,
            audience_if_absent,
        } => AnswerReader::IntrospectionJwt {
            keys: keys()?,
            verifier: IntrospectionVerifier {
                issuer,
                audience: audience.clone(),
                algorithms: SignatureAlgorithm::ALL.to_vec(),
            },
            members: members(audience_if_absent),
        },
        ExpectedAnswer::Json { audience_if_absent } => AnswerReader::Json(members(audience_if_absent)),
    })
}
