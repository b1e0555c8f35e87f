//! Tokens from our authorization server, outside of any measurement.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::generator::{Load, Request, Requests, Resume, Reuse, TlsMaker, WarmUp, send_all};
use crate::systems::authorization_server::AuthorizationServer;

/// Connections over which tokens are asked for.
const CONNECTIONS: usize = 16;

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
}

/// The access token in a token endpoint's answer.
pub(crate) fn access_token(answer: &[u8]) -> anyhow::Result<String> {
    let answer: TokenResponse = serde_json::from_slice(answer).context("a token endpoint's answer")?;
    Ok(answer.access_token)
}

/// The form that asks for a token.
pub(crate) fn token_form(client_id: &str) -> String {
    format!("grant_type=client_credentials&client_id={client_id}&scope=transactions")
}

/// The form with which the gateway asks what a token is worth.
pub(crate) fn introspection_form(token: &str) -> String {
    format!("client_id=gateway&token={token}")
}

/// So many tokens for one client.
pub(crate) async fn issue(
    server: &AuthorizationServer,
    tls: &TlsMaker,
    client_id: &str,
    count: usize,
) -> anyhow::Result<Vec<String>> {
    let request = AuthorizationServer::token_endpoint().with(&token_form(client_id));
    let collector = Rc::new(RefCell::new(Collector {
        request,
        left: count,
        tokens: Vec::with_capacity(count),
        not_understood: None,
    }));
    send_all(&Load {
        target: server.target()?,
        tls: tls.clone(),
        resume: Resume::Never,
        reuse: Reuse::KeepAlive,
        connections: CONNECTIONS.min(count),
        requests: collector.clone(),
        expected: 200,
        warm_up: WarmUp::UntilAnswered,
    })
    .await
    .context("issuing tokens")?;
    let mut collector = collector.borrow_mut();
    if let Some(error) = collector.not_understood.take() {
        return Err(error);
    }
    ensure!(
        collector.tokens.len() == count,
        "the authorization server issued too few tokens"
    );
    Ok(std::mem::take(&mut collector.tokens))
}

struct Collector {
    request: Request,
    left: usize,
    tokens: Vec<String>,
    not_understood: Option<anyhow::Error>,
}

impl Requests for Collector {
    fn next(&mut self, request: &mut Request) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        request.bytes.clone_from(&self.request.bytes);
        true
    }

    fn answered(&mut self, body: &[u8]) {
        match access_token(body) {
            Ok(token) => self.tokens.push(token),
            Err(error) => self.not_understood = Some(error),
        }
    }
}

/// Tokens that are sent once each, issued in time for every slice.
#[derive(Debug)]
pub(crate) struct Supply {
    tokens: RefCell<Vec<String>>,
    /// How many a second takes.
    per_second: Cell<f64>,
}

impl Supply {
    /// An empty one.
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            tokens: RefCell::default(),
            per_second: Cell::new(6000.0),
        })
    }

    /// One that nobody has sent yet.
    pub(crate) fn take(&self) -> Option<String> {
        self.tokens.borrow_mut().pop()
    }

    /// How many are missing for so many seconds.
    pub(crate) fn missing(&self, seconds: f64) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few thousand"
        )]
        let needed = (self.per_second.get() * seconds) as usize;
        needed.saturating_sub(self.tokens.borrow().len())
    }

    /// Adds tokens.
    pub(crate) fn add(&self, tokens: Vec<String>) {
        self.tokens.borrow_mut().extend(tokens);
    }

    /// Notes how many a second took, or that there were too few.
    pub(crate) fn learn(&self, per_second: Option<f64>) {
        let known = self.per_second.get();
        self.per_second
            .set(per_second.map_or(known * 2.0, |seen| (seen * 1.4).max(500.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_access_token() {
        assert_eq!(
            access_token(br#"{"access_token":"a","token_type":"Bearer"}"#).unwrap(),
            "a"
        );
        assert!(access_token(b"{}").is_err());
    }

    #[test]
    fn supplies_each_token_once_and_learns_what_is_needed() {
        let supply = Supply::new();
        supply.add(vec!["a".into(), "b".into()]);
        assert_eq!(supply.missing(1.0), 5998);
        supply.learn(Some(1000.0));
        assert_eq!(supply.missing(1.0), 1398);
        supply.learn(None);
        assert_eq!(supply.missing(1.0), 2798);
        assert!(supply.take().is_some() && supply.take().is_some());
        assert!(supply.take().is_none());
    }
}
