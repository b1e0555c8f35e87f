//! *introspect*: what a token is worth, asked by mutual TLS on connections that stay.

use std::cell::Cell;
use std::iter;
use std::rc::Rc;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::contender::{Contender, Refusal};
use super::issue::{PEER, comparison, name_of_ours};
use super::runner::{Prepared, measure};
use super::stage::{GATEWAY_CERTIFICATE, OTHER, PARTNER, Stage};
use super::tokens::{Supply, access_token, introspection_form, token_form};
use crate::bench::Bench;
use crate::generator::{Connection, Each, InTurn, Load, Request, Requests, Resume, Same, Target};
use crate::report::JobReport;
use crate::systems::authorization_server::AuthorizationServer;
use crate::systems::oidc_provider::OidcProvider;

const JSON: &str = "application/json";
const ACCESS_TOKEN_JWT: &str = "application/jwt";
const INTROSPECTION_JWT: &str = "application/token-introspection+jwt";

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<JobReport>> {
    let stage = Stage::set(bench)?.with_oidc_provider();
    let token = stage.token().await?;
    let peer_token = match &stage.oidc_provider {
        Some(provider) => Some(token_of(&stage, provider).await?),
        None => None,
    };
    let again = async |accept| same(&stage, &token, accept).await;
    let peer = async |accept| peer(&stage, peer_token.as_deref(), accept).await;
    let parts = [
        ("introspect, JSON", 0.06, again(JSON).await?, peer(JSON).await?),
        (
            "introspect, JWT for the first time",
            0.12,
            first(&stage)?,
            peer(INTROSPECTION_JWT).await?,
        ),
        (
            "introspect, JWT again",
            0.06,
            again(ACCESS_TOKEN_JWT).await?,
            peer(INTROSPECTION_JWT).await?,
        ),
    ];
    let mut reports = Vec::new();
    for (name, bar, ours, peer) in parts {
        reports.push(
            measure(Prepared {
                name: name.into(),
                description: format!(
                    "{} kept-alive mutual TLS connections; JWTs are signed ES256",
                    bench.plan.connections
                ),
                contenders: [Some(ours), peer].into_iter().flatten().collect(),
                comparisons: vec![comparison(bench, bar)],
                stage: &stage,
            })
            .await?,
        );
    }
    Ok(reports)
}

/// The same token, again and again.
async fn same(stage: &Stage<'_>, token: &str, accept: &'static str) -> anyhow::Result<Contender> {
    let request = AuthorizationServer::introspection_endpoint(accept).with(&introspection_form(token));
    verify_active(stage, &stage.authorization_server.target()?, &request).await?;
    ours(stage, Same(request.clone()), request)
}

/// Many tokens in turn, answered with JSON.
pub(crate) async fn of_tokens<'a>(
    stage: &Stage<'_>,
    tokens: impl Iterator<Item = &'a str>,
) -> anyhow::Result<Contender> {
    let endpoint = AuthorizationServer::introspection_endpoint(JSON);
    let requests: Vec<_> = tokens
        .map(|token| endpoint.with(&introspection_form(token)))
        .collect();
    for request in requests.first().into_iter().chain(requests.last()) {
        verify_active(stage, &stage.authorization_server.target()?, request).await?;
    }
    let refused = endpoint.with(&introspection_form("unknown"));
    ours(stage, InTurn::of(requests), refused)
}

/// A token each time whose JWT nobody has asked for.
fn first(stage: &Stage<'_>) -> anyhow::Result<Contender> {
    let (supply, endpoint) = (
        Supply::new(),
        AuthorizationServer::introspection_endpoint(ACCESS_TOKEN_JWT),
    );
    let refused = endpoint.with(&introspection_form("unknown"));
    let tokens = Rc::clone(&supply);
    let requests = iter::from_fn(move || Some(endpoint.with(&introspection_form(&tokens.take()?))));
    let mut contender = ours(stage, Each(requests), refused)?;
    contender.supply = Some(supply);
    Ok(contender)
}

fn ours(stage: &Stage<'_>, requests: impl Requests + 'static, refused: Request) -> anyhow::Result<Contender> {
    let server = &stage.authorization_server;
    contender(
        stage,
        name_of_ours(stage.bench),
        server.process.id(),
        server.target()?,
        requests,
        refused,
    )
}

async fn peer(
    stage: &Stage<'_>,
    token: Option<&str>,
    accept: &'static str,
) -> anyhow::Result<Option<Contender>> {
    let Some((provider, token)) = stage.oidc_provider.as_ref().zip(token) else {
        return Ok(None);
    };
    let request = OidcProvider::introspection_endpoint(accept).with(&introspection_form(token));
    let requests = Same(request.clone());
    let target = provider.target()?;
    verify_active(stage, &target, &request).await?;
    contender(stage, PEER, provider.process.id(), target, requests, request).map(Some)
}

fn contender(
    stage: &Stage<'_>,
    name: &str,
    process: u32,
    target: Target,
    requests: impl Requests + 'static,
    refused: Request,
) -> anyhow::Result<Contender> {
    let connections = stage.bench.plan.connections;
    let load = Load::kept_alive(
        target.clone(),
        stage.tls(GATEWAY_CERTIFICATE)?,
        connections,
        requests,
    );
    let refusal = Refusal {
        target,
        tls: stage.tls(OTHER)?,
        request: refused,
        expected: 401,
    };
    Ok(Contender::new(name, process, load, Some(refusal)))
}

/// Verifies that the answer says of the token that it is active: one that is not is answered 200 too, and sooner.
async fn verify_active(stage: &Stage<'_>, target: &Target, request: &Request) -> anyhow::Result<()> {
    let tls = stage.tls(GATEWAY_CERTIFICATE)?.make(Resume::Never);
    let mut connection = Connection::open(target, tls).await?;
    let answer = connection.exchange(request, &Cell::new(0)).await?;
    let body = connection.body();
    ensure!(
        answer.status == 200 && says_active(body),
        "introspection finds a token that was just issued inactive: {} {}",
        answer.status,
        String::from_utf8_lossy(body)
    );
    connection.close().await;
    Ok(())
}

/// Whether an answer to an introspection, whichever of the three it is, says that the token is active.
fn says_active(body: &[u8]) -> bool {
    let says = |answer: &Value| answer["active"] == true;
    if let Ok(answer) = serde_json::from_slice(body) {
        return says(&answer);
    }
    let Some(payload) = body.split(|&byte| byte == b'.').nth(1) else {
        return false;
    };
    let decoded = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    // RFC 9701 §5: the answer is a claim. RFC 9068: the token itself, which there is for an active one alone.
    serde_json::from_slice::<Value>(&decoded)
        .is_ok_and(|claims| says(&claims["token_introspection"]) || claims["cnf"].is_object())
}

/// A token of the peer's.
async fn token_of(stage: &Stage<'_>, provider: &OidcProvider) -> anyhow::Result<String> {
    let tls = stage.tls(PARTNER)?.make(Resume::Never);
    let mut connection = Connection::open(&provider.target()?, tls).await?;
    let request = OidcProvider::token_endpoint().with(&token_form("partner-client"));
    let answer = connection.exchange(&request, &Cell::new(0)).await?;
    ensure!(
        answer.status == 200,
        "node-oidc-provider issues no token: {}",
        String::from_utf8_lossy(connection.body())
    );
    access_token(connection.body()).context("node-oidc-provider")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> Vec<u8> {
        format!("e30.{}.signature", URL_SAFE_NO_PAD.encode(claims)).into_bytes()
    }

    #[test]
    fn knows_an_active_token_in_every_representation() {
        assert!(says_active(br#"{"active":true}"#));
        assert!(says_active(&jwt(r#"{"token_introspection":{"active":true}}"#)));
        assert!(says_active(&jwt(r#"{"cnf":{"x5t#S256":"x"}}"#)));
    }

    #[test]
    fn knows_an_inactive_token_in_every_representation() {
        assert!(!says_active(br#"{"active":false}"#));
        assert!(!says_active(&jwt(r#"{"token_introspection":{"active":false}}"#)));
        assert!(!says_active(&jwt("{}")));
        assert!(!says_active(b""));
    }
}
