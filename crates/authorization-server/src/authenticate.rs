//! Client authentication at every endpoint: the rules of `oauth_core`, and what they leave to be proven by those who
//! have a memory or know the connection.

use std::time::Instant;

use oauth_core::client::ClientRegistration;
use oauth_core::client_authentication::{self, AuthenticationError, Outstanding};
use oauth_core::form::FormParameters;
use oauth_core::jwt::{AssertionError, VerifiedAssertion};

use crate::registrations::Registrations;
use crate::request::EndpointRequest;
use crate::response::Cause;
use crate::server::AuthorizationServer;
use crate::token_store::{AssertionDigest, AssertionUse, StoreError};

/// The client that sent the request; `refused` says what its endpoint makes of a failure.
///
/// [RFC 8705 §2](https://www.rfc-editor.org/rfc/rfc8705#section-2), RFC 6749 §2.3, RFC 7523 §3
pub(crate) async fn authenticate<'r>(
    server: &AuthorizationServer,
    registrations: &'r Registrations,
    request: &EndpointRequest,
    form: &FormParameters<'_>,
    refused: fn(AuthenticationError) -> Cause,
) -> Result<&'r ClientRegistration, Cause> {
    let credentials = request.credentials(form).map_err(refused)?;
    let guess = credentials.try_a_secret().then(|| {
        server
            .guesses
            .guess(credentials.unverified_client_id(), request.peer_address())
    });
    if let Some(guess) = &guess {
        server
            .guesses
            .verify_allowed(guess, Instant::now())
            .map_err(Cause::TooManyGuesses)?;
    }
    let (issuer, now) = (server.issuer.as_str(), request.now());
    let authentication =
        client_authentication::authenticate(&credentials, &registrations.clients, issuer, now);
    if let Some(guess) = &guess {
        match &authentication {
            Ok(_) => server.guesses.note_right(guess),
            Err(_) => server.guesses.note_wrong(guess, Instant::now()),
        }
    }
    let authentication = authentication.map_err(refused)?;
    match authentication.outstanding {
        Outstanding::Nothing => {}
        Outstanding::ClientsAnchor => {
            verify_anchor(registrations, authentication.client, request).map_err(refused)?;
        }
        Outstanding::FirstUse(assertion) => {
            match remember(server, authentication.client, &assertion).await? {
                AssertionUse::First => {}
                AssertionUse::Replay => return Err(refused(AssertionError::Replayed.into())),
            }
        }
    }
    Ok(authentication.client)
}

/// RFC 8705 §7.4
fn verify_anchor(
    registrations: &Registrations,
    client: &ClientRegistration,
    request: &EndpointRequest,
) -> Result<(), AuthenticationError> {
    let chain = request.chain().ok_or(AuthenticationError::NoCertificate)?;
    registrations
        .client_anchors
        .verify(&client.client_id, chain, request.now())
        .map_err(|_| AuthenticationError::OtherAnchor)
}

/// RFC 7523 §3
async fn remember(
    server: &AuthorizationServer,
    client: &ClientRegistration,
    assertion: &VerifiedAssertion,
) -> Result<AssertionUse, StoreError> {
    let digest = AssertionDigest::of(&client.client_id, &assertion.jti);
    server
        .tokens
        .remember_assertion(digest, assertion.expires_at)
        .await
}
