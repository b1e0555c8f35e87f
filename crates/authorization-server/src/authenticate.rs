//! Client authentication at every endpoint: the rules of `oauth_core`, and what they leave to be proven by those who
//! have a memory or know the connection.

use std::time::Instant;

use oauth_core::client::ClientRegistration;
use oauth_core::client_authentication::{
    self, Authentication, AuthenticationError, ClientCredentials, Outstanding,
};
use oauth_core::form::FormParameters;
use oauth_core::jwt::{AssertionError, VerifiedAssertion};

use crate::registrations::Registrations;
use crate::request::EndpointRequest;
use crate::response::Cause;
use crate::server::AuthorizationServer;
use crate::token_store::{AssertionDigest, AssertionUse, StoreError};

/// The client that sent the request. A failure is [`Cause::Authentication`], until its endpoint makes another of it.
///
/// [RFC 8705 §2](https://www.rfc-editor.org/rfc/rfc8705#section-2), RFC 6749 §2.3, RFC 7523 §3
pub(crate) async fn authenticate<'r>(
    server: &AuthorizationServer,
    registrations: &'r Registrations,
    request: &EndpointRequest,
    form: &FormParameters<'_>,
) -> Result<&'r ClientRegistration, Cause> {
    identify(server, registrations, request, form)
        .await?
        .for_the_first_time(server)
        .await
}

/// The client that sent the request, but for whether it sent its assertion before: the store has not been asked yet.
pub(crate) async fn identify<'r>(
    server: &AuthorizationServer,
    registrations: &'r Registrations,
    request: &EndpointRequest,
    form: &FormParameters<'_>,
) -> Result<Identified<'r>, Cause> {
    let credentials = request.credentials(form)?;
    let Authentication { client, outstanding } =
        authenticate_by_rules(server, registrations, request, &credentials)?;
    let outstanding = match outstanding {
        Outstanding::PublishedKeys => {
            registrations
                .published_keys
                .authenticate(
                    &credentials,
                    client,
                    server.configuration.issuer.as_str(),
                    request.now(),
                )
                .await??
        }
        other => other,
    };
    let assertion = match outstanding {
        Outstanding::FirstUse(assertion) if !server.configuration.profile.admits(assertion.algorithm) => {
            return Err(AuthenticationError::from(AssertionError::Algorithm).into());
        }
        Outstanding::FirstUse(assertion) => Some(assertion),
        Outstanding::ClientsAnchor => {
            verify_anchor(registrations, client, request)?;
            None
        }
        Outstanding::Nothing => None,
        // Fails closed: published keys leave nothing to other published keys.
        Outstanding::PublishedKeys => return Err(AuthenticationError::OtherMethod.into()),
    };
    Ok(Identified { client, assertion })
}

/// A client that is who it says, unless what it sent is a copy.
pub(crate) struct Identified<'r> {
    pub(crate) client: &'r ClientRegistration,
    assertion: Option<VerifiedAssertion>,
}

impl<'r> Identified<'r> {
    /// The client, if its assertion has not been used before.
    ///
    /// RFC 7523 §3
    pub(crate) async fn for_the_first_time(
        self,
        server: &AuthorizationServer,
    ) -> Result<&'r ClientRegistration, Cause> {
        if let Some(assertion) = &self.assertion {
            match remember(server, self.client, assertion).await? {
                AssertionUse::First => {}
                AssertionUse::Replay => {
                    return Err(AuthenticationError::from(AssertionError::Replayed).into());
                }
            }
        }
        Ok(self.client)
    }
}

/// Guesses of secrets are counted, and their number is bounded.
fn authenticate_by_rules<'r>(
    server: &AuthorizationServer,
    registrations: &'r Registrations,
    request: &EndpointRequest,
    credentials: &ClientCredentials<'_>,
) -> Result<Authentication<'r>, Cause> {
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
    let (issuer, now) = (server.configuration.issuer.as_str(), request.now());
    let authentication =
        client_authentication::authenticate(credentials, &registrations.clients, issuer, now);
    if let Some(guess) = &guess {
        match &authentication {
            Ok(_) => server.guesses.note_right(guess),
            Err(_) => server.guesses.note_wrong(guess, Instant::now()),
        }
    }
    Ok(authentication?)
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
