//! The client credentials grant: from an authenticated client's request to the record of a token, or to an error.

use std::{ops::RangeInclusive, time::Duration};

use uuid::Uuid;

use crate::{
    access_token::{AccessToken, SECRET_LENGTH, TokenRecord},
    certificate::ClientCertificate,
    client::{ClientRegistration, TokenBinding},
    confirmation::Confirmation,
    error::{ErrorCode, OAuthError},
    form::FormParameters,
    scope::Scope,
    time::Timestamp,
};

/// How long tokens may live: bounds for how long one that leaked together with its key can be used.
pub const LIFETIMES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

/// A request for a token.
///
/// [RFC 6749 §4.4.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.4.2)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// What the client asks for; `None` asks for all it may have.
    pub scope: Option<Scope>,
}

impl TokenRequest {
    /// Reads the grant's parameters.
    ///
    /// # Errors
    ///
    /// `invalid_request` without `grant_type`, `unsupported_grant_type` for another one, `invalid_scope` for a scope
    /// that breaks its grammar.
    ///
    /// RFC 6749 §4.4.2, §5.2
    pub fn parse(form: &FormParameters<'_>) -> Result<Self, OAuthError> {
        match form.required("grant_type", OAuthError::invalid_request("grant_type is missing"))? {
            "client_credentials" => {}
            _ => {
                return Err(OAuthError::new(
                    ErrorCode::UnsupportedGrantType,
                    "use grant_type client_credentials",
                ));
            }
        }
        let scope = form.value("scope").map(str::parse).transpose();
        Ok(Self {
            scope: scope.map_err(|_| OAuthError::new(ErrorCode::InvalidScope, "the scope is malformed"))?,
        })
    }
}

/// The randomness and the limits that an authorization server brings to a grant.
#[derive(Clone, Copy, Debug)]
pub struct Issuance {
    /// Id of the new record: a version 7 UUID.
    pub id: Uuid,
    /// How long tokens live, of clients that are registered with no lifetime of their own.
    pub lifetime: Duration,
    /// The moment of issue.
    pub now: Timestamp,
}

/// A token that may be issued, and the record to keep before it is.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The token, for the answer alone.
    pub token: AccessToken,
    /// What to store.
    pub record: TokenRecord,
}

/// Decides what `client` gets for `request` on a connection that presented `certificate`.
///
/// The token lives no longer than the certificate, and a bound client without certificate gets none.
///
/// # Errors
///
/// `unauthorized_client` where the client may not use the grant, `invalid_scope` where it asks for more than it may
/// have, `invalid_request` where its tokens are bound and there is nothing to bind them to.
///
/// [RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4), RFC 8705 §3
pub fn grant(
    request: TokenRequest,
    client: &ClientRegistration,
    certificate: Option<&ClientCertificate>,
    secret: [u8; SECRET_LENGTH],
    issuance: Issuance,
) -> Result<Grant, OAuthError> {
    let Some(granted) = &client.grant else {
        return Err(OAuthError::new(
            ErrorCode::UnauthorizedClient,
            "this client may not obtain tokens",
        ));
    };
    let scope = request.scope.unwrap_or_else(|| granted.scope.clone());
    if !granted.scope.contains_all(&scope) {
        return Err(OAuthError::new(
            ErrorCode::InvalidScope,
            "the scope exceeds what this client may ask for",
        ));
    }
    let confirmation = match (granted.binding, certificate) {
        (TokenBinding::CertificateBound, None) => {
            return Err(OAuthError::invalid_request(
                "certificate required for bound token",
            ));
        }
        (TokenBinding::CertificateBound, Some(certificate)) => Some(Confirmation::of(certificate)),
        (TokenBinding::Unbound, _) => None,
    };
    let token = AccessToken::new(issuance.id, secret);
    let lifetime = granted.lifetime.unwrap_or(issuance.lifetime);
    let expires_at = issuance.now.plus(lifetime);
    let record = TokenRecord {
        id: issuance.id,
        digest: token.digest(),
        client_id: client.client_id.clone(),
        scope,
        audience: granted.audience.clone(),
        confirmation,
        certificate: certificate.map(ClientCertificate::id),
        issued_at: issuance.now,
        expires_at: certificate.map_or(expires_at, |certificate| expires_at.min(certificate.not_after())),
        revoked_at: None,
    };
    Ok(Grant { token, record })
}

#[cfg(test)]
mod tests;
