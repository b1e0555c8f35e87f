//! What happened to which token, for the log; and how often and how fast, for the metrics.
//!
//! | metric | labels |
//! |---|---|
//! | `certbound_authorization_server_tokens_issued_total` | |
//! | `certbound_authorization_server_tokens_revoked_total` | |
//! | `certbound_authorization_server_operator_revocations_total` | all of a client's, or of a certificate's, at once |
//! | `certbound_authorization_server_introspections_total` | `outcome`: `active`, or why not |
//! | `certbound_authorization_server_refusals_total` | `endpoint`, `reason` |
//! | `certbound_authorization_server_request_duration_seconds` | `endpoint` |
//! | `certbound_authorization_server_store_commits_total`, `…_store_changes_total` | |
//! | `certbound_authorization_server_key_rotation_failures_total` | |
//! | `certbound_authorization_server_store_commit_duration_seconds` | |
//! | `certbound_authorization_server_store_reachable`, `…_store_failures_total` | of a database: 1 or 0, and how often not |
//!
//! Tokens appear by their `jti`, never themselves.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use metrics::{Counter, Histogram, counter, histogram};
use mtls::Connection;
use oauth_core::access_token::{InactiveToken, TokenRecord};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::response::{Refused, inactive_reason};
use crate::token_store::TokensOf;

/// What happens with nearly every request, with the counters for it: they are looked up once.
#[derive(Debug)]
pub(crate) struct Audit {
    issued: Counter,
    active: Counter,
}

impl Default for Audit {
    fn default() -> Self {
        let active = counter!("certbound_authorization_server_introspections_total", "outcome" => "active");
        Self {
            issued: counter!("certbound_authorization_server_tokens_issued_total"),
            active,
        }
    }
}

impl Audit {
    /// A token was issued.
    pub(crate) fn issued(&self, record: &TokenRecord) {
        self.issued.increment(1);
        let (client, mut buffer) = (&record.client_id, [0; Hyphenated::LENGTH]);
        let jti = &*record.id.hyphenated().encode_lower(&mut buffer);
        tracing::info!(
            client.id = %client,
            token.jti = %jti,
            token.scope = %record.scope,
            token.audience = %record.audience,
            certificate.thumbprint = %Thumbprint(record),
            "token {jti} issued to {client}"
        );
    }

    /// A resource server was told that a token is active.
    pub(crate) fn introspected(&self, record: &TokenRecord, caller: &str) {
        self.active.increment(1);
        let mut buffer = [0; Hyphenated::LENGTH];
        let jti = &*record.id.hyphenated().encode_lower(&mut buffer);
        tracing::info!(
            client.id = %caller,
            token.jti = %jti,
            token.client_id = %record.client_id,
            certificate.thumbprint = %Thumbprint(record),
            "token {jti} is active for {caller}"
        );
    }
}

/// A resource server was told that a token is inactive; the log alone knows why.
pub(crate) fn inactive(jti: Option<Uuid>, reason: InactiveToken, caller: &str) {
    let name = inactive_reason(reason);
    counter!("certbound_authorization_server_introspections_total", "outcome" => name).increment(1);
    let jti = jti.map_or_else(|| "-".to_owned(), |jti| jti.to_string());
    tracing::info!(
        client.id = %caller,
        token.jti = %jti,
        reason = name,
        "token {jti} is inactive for {caller}: {reason}"
    );
}

/// A token was revoked by its client.
pub(crate) fn revoked(record: &TokenRecord) {
    counter!("certbound_authorization_server_tokens_revoked_total").increment(1);
    let (client, jti) = (&record.client_id, record.id);
    tracing::info!(
        client.id = %client,
        token.jti = %jti,
        certificate.thumbprint = %Thumbprint(record),
        "token {jti} revoked by {client}"
    );
}

/// All tokens of a client or a certificate were revoked by an operator.
pub(crate) fn all_revoked(of: &TokensOf) {
    counter!("certbound_authorization_server_operator_revocations_total").increment(1);
    match of {
        TokensOf::Client(client) => {
            tracing::info!(client.id = %client, "all tokens of {client} revoked by an operator");
        }
        TokensOf::Certificate(thumbprint) => tracing::info!(
            certificate.thumbprint = %thumbprint,
            "all tokens of certificate {thumbprint} revoked by an operator"
        ),
    }
}

/// The label of requests to no endpoint.
const NO_ENDPOINT: &str = "none";

/// How long requests take, by endpoint: made once, not with every request.
#[derive(Clone)]
pub(crate) struct Durations(Arc<HashMap<String, Endpoint>>);

/// What a request is logged and measured as.
#[derive(Clone)]
pub(crate) struct Endpoint {
    name: Arc<str>,
    duration: Histogram,
}

impl Durations {
    pub(crate) fn of(endpoints: &[String]) -> Self {
        let endpoints = endpoints.iter().map(String::as_str).chain([NO_ENDPOINT]);
        Self(Arc::new(
            endpoints
                .map(|endpoint| (endpoint.to_owned(), Endpoint::named(endpoint)))
                .collect(),
        ))
    }

    /// The endpoint at this path; one for all requests to none.
    pub(crate) fn endpoint(&self, path: Option<&str>) -> Endpoint {
        let endpoint = self.0.get(path.unwrap_or(NO_ENDPOINT));
        endpoint.cloned().unwrap_or_else(|| Endpoint::named(NO_ENDPOINT))
    }
}

impl Endpoint {
    fn named(endpoint: &str) -> Self {
        let name = "certbound_authorization_server_request_duration_seconds";
        Self {
            name: endpoint.into(),
            duration: histogram!(name, "endpoint" => endpoint.to_owned()),
        }
    }
}

/// A request under observation.
pub(crate) struct Observation {
    endpoint: Endpoint,
    connection: Option<Arc<Connection>>,
    started: Instant,
}

impl Observation {
    pub(crate) fn of(request: &Request, endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            connection: request.extensions().get().cloned(),
            started: Instant::now(),
        }
    }

    /// Logs the request's refusal, if it is one: the only place that does.
    pub(crate) fn log(&self, response: &Response) {
        if let Some(refused) = response.extensions().get::<Refused>() {
            log_refusal(&self.endpoint.name, refused, self.connection.as_deref());
        }
    }

    /// Measures the request, its log lines included.
    pub(crate) fn end(self) {
        self.endpoint.duration.record(self.started.elapsed());
    }
}

fn log_refusal(endpoint: &str, refused: &Refused, connection: Option<&Connection>) {
    let Refused {
        reason,
        explanation,
        sender,
    } = refused;
    counter!(
        "certbound_authorization_server_refusals_total",
        "endpoint" => endpoint.to_owned(), "reason" => *reason
    )
    .increment(1);
    let certificate = connection.and_then(|connection| connection.client_certificate.as_ref());
    tracing::info!(
        endpoint,
        reason,
        client.id = sender.claimed_client_id,
        certificate.thumbprint =
            certificate.map(|certificate| tracing::field::display(certificate.thumbprint())),
        peer.address = connection.map(|connection| tracing::field::display(connection.peer_address)),
        "request to {endpoint} refused: {explanation}"
    );
}

/// Of the certificate that a token is bound to, as the log has it.
struct Thumbprint<'a>(&'a TokenRecord);

impl fmt::Display for Thumbprint<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.confirmation {
            Some(confirmation) => confirmation.x5t_s256.fmt(formatter),
            None => formatter.write_str("-"),
        }
    }
}
