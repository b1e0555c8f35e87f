//! Where tokens come from: the introspection endpoint, the issuers, and whether both fit what the routes take.

use std::collections::HashSet;
use std::time::Duration;

use oauth_core::metadata::split_issuer;
use service::Problems;
use tokio::sync::Semaphore;

use super::check::https_url;
use super::file::{
    EndpointAuthMethod, IntrospectionRepresentation, IntrospectionSection, IssuerSection, RouteSection,
};
use super::{EndpointAuthentication, ExpectedAnswer, Introspection, Issuer};
use crate::issuers::JwtProfile;
use crate::token_kind::TokenKind;

/// Bounds for how long a stuck authorization server can hold a request.
const LONGEST_INTROSPECTION: Duration = Duration::from_secs(60);

pub(super) fn issuers(sections: Vec<IssuerSection>, problems: &mut Problems) -> Vec<Issuer> {
    let mut seen = HashSet::new();
    let mut issuers = Vec::new();
    for (index, section) in sections.into_iter().enumerate() {
        let key = |name: &str| format!("issuers[{index}].{name}");
        let jwks_uri = section
            .jwks_uri
            .map(|uri| problems.take(key("jwks_uri"), https_url(&uri)));
        problems.take(key("issuer"), split_issuer(&section.issuer));
        if !seen.insert(section.issuer.clone()) {
            problems.add(key("issuer"), "is there already");
        }
        // The text, not the parsed URL: issuers are compared letter by letter. RFC 8414 §2
        issuers.push(Issuer {
            issuer: section.issuer,
            jwks_uri: jwks_uri.flatten(),
            profile: match section.accept_plain_jwt {
                true => JwtProfile::Plain,
                false => JwtProfile::AccessToken,
            },
        });
    }
    issuers
}

/// Every kind of token that a route takes has a source.
pub(super) fn check_sources(
    routes: &[RouteSection],
    introspection: Option<&IntrospectionSection>,
    issuers: &[Issuer],
    problems: &mut Problems,
) {
    let taking = |kind| routes.iter().position(|route| route.tokens.contains(&kind));
    if let (Some(index), None) = (taking(TokenKind::Opaque), introspection) {
        let problem = format!("is missing, and routes[{index}].tokens takes \"opaque\" tokens");
        problems.add("introspection", problem);
    }
    if let (Some(index), []) = (taking(TokenKind::Jwt), issuers) {
        let problem = format!("there is none, and routes[{index}].tokens takes \"jwt\"s");
        problems.add("issuers", problem);
    }
}

/// A route's issuers are some of those that are trusted.
pub(super) fn check_issuers_of_routes(routes: &[RouteSection], issuers: &[Issuer], problems: &mut Problems) {
    for (index, route) in routes.iter().enumerate() {
        let named = route.issuers.iter().flatten();
        if route.issuers.as_ref().is_some_and(Vec::is_empty) {
            let problem = "names nobody; leave it away to take tokens of every one of issuers";
            problems.add(format!("routes[{index}].issuers"), problem);
        }
        for (position, name) in named.enumerate() {
            if !issuers.iter().any(|issuer| issuer.issuer == *name) {
                let problem = "is none of [[issuers]]; add it there, letter by letter";
                problems.add(format!("routes[{index}].issuers[{position}]"), problem);
            }
        }
    }
}

pub(super) fn introspection(
    section: IntrospectionSection,
    issuers: &[Issuer],
    problems: &mut Problems,
) -> Option<Introspection> {
    check_limits(&section, problems);
    let endpoint = problems.take("introspection.endpoint", https_url(&section.endpoint));
    let issuer = issuer_of(&section, issuers, problems);
    let authentication = authentication(&section, problems);
    let expected = expected_answer(&section, problems);
    Some(Introspection {
        endpoint: endpoint?,
        issuer: issuer?,
        authentication: authentication?,
        expected,
        client_id: section.client_id,
        cache_control: section.cache_control,
        timeout: section.timeout,
        max_response: section.max_response,
        concurrency: section.concurrency,
    })
}

fn check_limits(section: &IntrospectionSection, problems: &mut Problems) {
    if section.client_id.is_empty() {
        problems.add("introspection.client_id", "must not be empty");
    }
    if section.timeout.is_zero() || section.timeout > LONGEST_INTROSPECTION {
        problems.add("introspection.timeout", "must be more than 0s and at most 60s");
    }
    if section.max_response == 0 {
        problems.add(
            "introspection.max_response",
            "must be at least 1; an answer has about 1000 bytes",
        );
    }
    if !(1..=Semaphore::MAX_PERMITS).contains(&section.concurrency) {
        problems.add("introspection.concurrency", "must be at least 1");
    }
}

/// Whoever signs answers must be one whose keys are known.
fn issuer_of(section: &IntrospectionSection, issuers: &[Issuer], problems: &mut Problems) -> Option<String> {
    let key = "introspection.issuer";
    let is_signed = section.representation != IntrospectionRepresentation::Json;
    match (&section.issuer, issuers) {
        (Some(issuer), _) if is_signed && !issuers.iter().any(|known| known.issuer == *issuer) => {
            problems.add(
                key,
                "is none of issuers, so the signature of its answers cannot be verified",
            );
            None
        }
        (Some(issuer), _) => problems.take(key, split_issuer(issuer)).map(|_| issuer.clone()),
        (None, [only]) => Some(only.issuer.clone()),
        (None, _) => {
            let problem = format!(
                "must name who answers, since there are {} issuers and not exactly one",
                issuers.len()
            );
            problems.add(key, problem);
            None
        }
    }
}

fn authentication(section: &IntrospectionSection, problems: &mut Problems) -> Option<EndpointAuthentication> {
    let IntrospectionSection {
        endpoint_auth_method: method,
        client_secret_file: secret,
        client_assertion_key: key,
        endpoint_auth_signing_alg: algorithm,
        ..
    } = section;
    for (name, is_set, owner, owner_name) in [
        (
            "client_secret_file",
            secret.is_some(),
            EndpointAuthMethod::ClientSecretBasic,
            "client_secret_basic",
        ),
        (
            "client_assertion_key",
            key.is_some(),
            EndpointAuthMethod::PrivateKeyJwt,
            "private_key_jwt",
        ),
        (
            "endpoint_auth_signing_alg",
            algorithm.is_some(),
            EndpointAuthMethod::PrivateKeyJwt,
            "private_key_jwt",
        ),
    ] {
        if is_set && *method != owner {
            let problem = format!("has a meaning with endpoint_auth_method = \"{owner_name}\" alone");
            problems.add(format!("introspection.{name}"), problem);
        }
    }
    match method {
        EndpointAuthMethod::TlsClientAuth => Some(EndpointAuthentication::Certificate),
        EndpointAuthMethod::ClientSecretBasic => {
            let missing =
                "is missing: endpoint_auth_method = \"client_secret_basic\" needs the file of a secret";
            let file = problems.take("introspection.client_secret_file", secret.clone().ok_or(missing))?;
            Some(EndpointAuthentication::Secret { file })
        }
        EndpointAuthMethod::PrivateKeyJwt => {
            let missing = "is missing: endpoint_auth_method = \"private_key_jwt\" needs the file of a key";
            let key = problems.take("introspection.client_assertion_key", key.clone().ok_or(missing))?;
            let algorithm = algorithm.unwrap_or_default();
            Some(EndpointAuthentication::Assertion { key, algorithm })
        }
    }
}

fn expected_answer(section: &IntrospectionSection, problems: &mut Problems) -> ExpectedAnswer {
    let IntrospectionSection {
        representation,
        client_id,
        response_audience,
        audience_if_absent,
        ..
    } = section;
    if response_audience.is_some() && *representation != IntrospectionRepresentation::IntrospectionJwt {
        problems.add(
            "introspection.response_audience",
            "has a meaning with representation = \"introspection-jwt\" alone",
        );
    }
    if audience_if_absent.is_some() && *representation == IntrospectionRepresentation::AccessTokenJwt {
        problems.add(
            "introspection.audience_if_absent",
            "has no meaning with representation = \"access-token-jwt\": a JWT names its audience",
        );
    }
    for (name, value) in [
        ("response_audience", response_audience),
        ("audience_if_absent", audience_if_absent),
    ] {
        if value.as_deref() == Some("") {
            problems.add(format!("introspection.{name}"), "must not be empty");
        }
    }
    let audience_if_absent = audience_if_absent.clone();
    match representation {
        IntrospectionRepresentation::AccessTokenJwt => ExpectedAnswer::AccessTokenJwt,
        IntrospectionRepresentation::IntrospectionJwt => ExpectedAnswer::IntrospectionJwt {
            audience: response_audience.clone().unwrap_or_else(|| client_id.clone()),
            audience_if_absent,
        },
        IntrospectionRepresentation::Json => ExpectedAnswer::Json { audience_if_absent },
    }
}
