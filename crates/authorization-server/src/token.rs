//! The token endpoint: client credentials for a client certificate.
//!
//! A token is handed out only after its record is on disk.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::response::Response;
use oauth_core::access_token::{AccessToken, SECRET_LENGTH, TokenRecord};
use oauth_core::scope::Scope;
use oauth_core::token_request::{Grant, Issuance, TokenRequest, grant};
use serde::Serialize;
use uuid::{NoContext, Uuid};

use crate::authenticate::identify;
use crate::request::EndpointRequest;
use crate::response::{self, Cause, NO_STORE, Refusal};
use crate::server::AuthorizationServer;

/// A successful answer.
///
/// [RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)
#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    scope: &'a Scope,
}

/// `POST` on the token endpoint.
pub(crate) async fn handle(
    State(server): State<Arc<AuthorizationServer>>,
    request: EndpointRequest,
) -> Result<Response, Refusal> {
    let (token, record) = issue(&server, &request)
        .await
        .map_err(|cause| request.refuse(cause))?;
    server.audit.issued(&record);
    Ok(answer(&token, &record))
}

async fn issue(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Result<(AccessToken, Arc<TokenRecord>), Cause> {
    let limits = &server.token_requests;
    limits
        .count_address(request.peer_address(), Instant::now())
        .map_err(Cause::TooManyRequests)?;
    let form = request.form()?;
    let registrations = server.registrations();
    let identified = identify(server, &registrations, request, &form).await?;
    limits
        .count_client(&identified.client.client_id, Instant::now())
        .map_err(Cause::TooManyRequests)?;
    let client = identified.for_the_first_time(server).await?;
    let token_request = TokenRequest::parse(&form)?;
    let issuance = Issuance {
        id: record_id(request.received_at),
        lifetime: server.configuration.tokens.lifetime,
        now: request.now(),
    };
    let Grant { token, record } = grant(
        token_request,
        client,
        request.certificate(),
        random_secret()?,
        issuance,
    )?;
    let record = Arc::new(record);
    server.tokens.insert(Arc::clone(&record)).await?;
    Ok((token, record))
}

fn answer(token: &AccessToken, record: &TokenRecord) -> Response {
    let granted = TokenResponse {
        access_token: token.expose(),
        token_type: "Bearer",
        expires_in: record.issued_at.until(record.expires_at).as_secs(),
        scope: &record.scope,
    };
    response::json("application/json;charset=UTF-8", NO_STORE, &granted)
}

/// A version 7 UUID of the moment the request was read: the store finds the record by the hour in it.
fn record_id(received_at: SystemTime) -> Uuid {
    let since_epoch = received_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(
        NoContext,
        since_epoch.as_secs(),
        since_epoch.subsec_nanos(),
    ))
}

fn random_secret() -> Result<[u8; SECRET_LENGTH], Cause> {
    let mut secret = [0; SECRET_LENGTH];
    getrandom::fill(&mut secret).map_err(|_| Cause::NoRandomness)?;
    Ok(secret)
}
