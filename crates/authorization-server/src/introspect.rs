//! The introspection endpoint: what a token is worth to the resource server that asks, in one of three
//! representations.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use oauth_core::access_token::{AccessToken, InactiveToken, TokenRecord};
use oauth_core::client::{ClientRegistration, ClientRegistry, ResourceServer};
use oauth_core::error::OAuthError;
use oauth_core::introspection::{
    IntrospectionResponse, Representation, narrow_for, resource_server_of, verify_for,
};
use oauth_core::jwt::{AccessTokenClaims, IntrospectionClaims, SigningError};
use oauth_core::time::Timestamp;

use crate::audit;
use crate::authenticate::authenticate;
use crate::request::EndpointRequest;
use crate::response::{self, Cause, JSON, NO_STORE, answer, written};
use crate::server::AuthorizationServer;
use crate::token_store::StoreError;

/// `POST` on the introspection endpoint. Every answer, a refusal too, depends on `Accept`.
pub(crate) async fn handle(
    State(server): State<Arc<AuthorizationServer>>,
    request: EndpointRequest,
) -> Response {
    let introspected = introspect(&server, &request)
        .await
        .map_err(|cause| request.refuse(cause));
    let mut response = introspected.into_response();
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

async fn introspect(server: &AuthorizationServer, request: &EndpointRequest) -> Result<Response, Cause> {
    let representation = request.representation()?;
    let form = request.form()?;
    let registrations = server.registrations();
    let caller = authenticate(server, &registrations, request, &form)
        .await
        .map_err(|cause| refusal_for(representation, cause))?;
    let resource_server = resource_server_of(caller)?;
    let token = form.required("token", OAuthError::invalid_request("token is missing"))?;
    let record = find(server, token).await?;
    let clients = &registrations.clients;
    let record = active(record, server, clients, caller, resource_server, request.now());
    match representation {
        Representation::Json => json(record.as_ref(), server),
        Representation::AccessTokenJwt => access_token_jwt(record.as_ref(), server, request.now()),
        Representation::IntrospectionJwt => introspection_jwt(
            &response_for(record.as_deref(), server),
            caller,
            resource_server,
            server,
            request.now(),
        ),
    }
}

/// Whoever asks for a signed answer and does not say who they are gets 400 where others get 401.
///
/// [RFC 9701 §5](https://www.rfc-editor.org/rfc/rfc9701#section-5)
fn refusal_for(representation: Representation, cause: Cause) -> Cause {
    match (representation, cause) {
        (Representation::IntrospectionJwt, Cause::Authentication(error)) => {
            Cause::SignedIntrospectionCaller(error)
        }
        (_, cause) => cause.of_caller(),
    }
}

/// The record of a token that is active for the resource server; for all others `None`, and a line in the log.
fn active(
    record: Option<Arc<TokenRecord>>,
    server: &AuthorizationServer,
    clients: &ClientRegistry,
    caller: &ClientRegistration,
    resource_server: &ResourceServer,
    now: Timestamp,
) -> Option<Arc<TokenRecord>> {
    let Some(record) = record else {
        audit::inactive(None, InactiveToken::Unknown, &caller.client_id);
        return None;
    };
    let verdict = verify_for(&record, &resource_server.identifier, clients, now);
    match verdict.and_then(|()| server.revocations.now().verify(&record)) {
        Ok(()) => {
            server.audit.introspected(&record, &caller.client_id);
            Some(match narrow_for(&record, resource_server) {
                Cow::Borrowed(_) => record,
                Cow::Owned(narrowed) => Arc::new(narrowed),
            })
        }
        Err(reason) => {
            audit::inactive(Some(record.id), reason, &caller.client_id);
            None
        }
    }
}

async fn find(server: &AuthorizationServer, token: &str) -> Result<Option<Arc<TokenRecord>>, StoreError> {
    match AccessToken::parse(token) {
        Ok(token) => server.tokens.find(&token).await,
        Err(_) => Ok(None),
    }
}

fn response_for(record: Option<&TokenRecord>, server: &AuthorizationServer) -> IntrospectionResponse {
    record.map_or(IntrospectionResponse::INACTIVE, |record| {
        IntrospectionResponse::active(record, server.configuration.issuer.as_str())
    })
}

/// RFC 7662 §2.2
fn json(record: Option<&Arc<TokenRecord>>, server: &AuthorizationServer) -> Result<Response, Cause> {
    let Some(record) = record else {
        return Ok(response::json(JSON, NO_STORE, &IntrospectionResponse::INACTIVE));
    };
    let make = || written(&response_for(Some(record), server)).map_err(|_| SigningError::Encoding);
    let body = server.answers.get_or_make(record, "", make)?;
    Ok(answer(JSON, NO_STORE, body))
}

/// The access token as a JWT; nothing at all where it is not active.
///
/// [RFC 9068 §2](https://www.rfc-editor.org/rfc/rfc9068#section-2)
fn access_token_jwt(
    record: Option<&Arc<TokenRecord>>,
    server: &AuthorizationServer,
    now: Timestamp,
) -> Result<Response, Cause> {
    let Some(record) = record else {
        return Ok((StatusCode::NO_CONTENT, NO_STORE).into_response());
    };
    let key = server.signing_keys.current(now).ok_or(Cause::NoKeys)?;
    let signed = || AccessTokenClaims::of(record, server.configuration.issuer.as_str()).sign(&key);
    let jwt = server
        .answers
        .get_or_make(record, key.key_id(), || signed().map(String::into_bytes))?;
    let max_age = max_age(record, server.configuration.tokens.revocation_window, now);
    let cache_control = HeaderValue::try_from(format!("private, max-age={}", max_age.as_secs()))
        .expect("words and digits are fit for a header field");
    let fields = [(header::CACHE_CONTROL, cache_control)];
    Ok(answer(Representation::AccessTokenJwt.media_type(), fields, jwt))
}

/// For how long the answer holds: never past the token's expiry, and never so long that a revocation is missed for
/// longer than the operator allows.
///
/// RFC 7662 §4
fn max_age(record: &TokenRecord, revocation_window: Duration, now: Timestamp) -> Duration {
    now.until(record.expires_at).min(revocation_window)
}

/// [RFC 9701 §5](https://www.rfc-editor.org/rfc/rfc9701#section-5), §6
fn introspection_jwt(
    response: &IntrospectionResponse,
    caller: &ClientRegistration,
    resource_server: &ResourceServer,
    server: &AuthorizationServer,
    now: Timestamp,
) -> Result<Response, Cause> {
    let mut aud = vec![resource_server.identifier.as_str()];
    if caller.client_id != resource_server.identifier {
        aud.push(&caller.client_id);
    }
    let key = match resource_server.signed_response_algorithm {
        Some(algorithm) => server
            .signing_keys
            .current_with(algorithm, now)
            .ok_or(Cause::KeyNotYetShown)?,
        None => server.signing_keys.current(now).ok_or(Cause::NoKeys)?,
    };
    let claims = IntrospectionClaims {
        iss: server.configuration.issuer.as_str(),
        aud,
        iat: now,
        token_introspection: response,
    };
    let jwt = claims.sign(&key)?;
    let media_type = Representation::IntrospectionJwt.media_type();
    Ok(answer(media_type, NO_STORE, jwt))
}
