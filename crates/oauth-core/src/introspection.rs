//! Introspection: what a resource server is told of a token, and in which representation.
//!
//! Everything that is not an active token for the asking resource server is `{"active":false}`, for whatever reason.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    access_token::{InactiveToken, TokenRecord},
    client::{ClientRegistration, ClientRegistry, ResourceServer},
    confirmation::{Confirmation, present},
    error::{ErrorCode, OAuthError},
    scope::Scope,
    time::Timestamp,
};

mod negotiation;

pub use negotiation::{NotAcceptable, Representation};

/// The JSON answer.
///
/// [RFC 7662 §2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2), RFC 8705 §3.2
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntrospectionResponse {
    /// Whether the token can be used at the resource server that asked.
    pub active: bool,
    /// What an active token is; nothing for any other.
    #[serde(flatten)]
    pub token: Option<ActiveToken>,
}

/// The members that describe an active token.
///
/// RFC 7662 §2.2
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveToken {
    /// The scope granted.
    pub scope: Scope,
    /// The client it was issued to.
    pub client_id: String,
    /// `Bearer`: certificate-bound tokens are sent so too. RFC 8705 §3
    pub token_type: String,
    /// From when on it is worth nothing.
    pub exp: Timestamp,
    /// When it was issued.
    pub iat: Timestamp,
    /// The client again: nobody else stands behind a client credentials grant. RFC 9068 §2.2
    pub sub: String,
    /// The resource server it is for.
    pub aud: String,
    /// Who issued it.
    pub iss: String,
    /// The token's id.
    pub jti: String,
    /// The certificate it is bound to.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub cnf: Option<Confirmation>,
}

impl IntrospectionResponse {
    /// The answer for every token that is not active, whatever the reason.
    ///
    /// RFC 7662 §2.2
    pub const INACTIVE: Self = Self {
        active: false,
        token: None,
    };

    /// The answer for a token that [`verify_for`] let pass.
    pub fn active(record: &TokenRecord, issuer: &str) -> Self {
        let token = ActiveToken {
            scope: record.scope.clone(),
            client_id: record.client_id.clone(),
            token_type: "Bearer".to_owned(),
            exp: record.expires_at,
            iat: record.issued_at,
            sub: record.client_id.clone(),
            aud: record.audience.clone(),
            iss: issuer.to_owned(),
            jti: record.id.to_string(),
            cnf: record.confirmation,
        };
        Self {
            active: true,
            token: Some(token),
        }
    }
}

/// The resource server that an authenticated client may introspect for.
///
/// # Errors
///
/// `unauthorized_client` where the client is none.
///
/// RFC 7662 §2.1
pub fn resource_server_of(caller: &ClientRegistration) -> Result<&ResourceServer, OAuthError> {
    caller.resource_server.as_ref().ok_or(OAuthError::new(
        ErrorCode::UnauthorizedClient,
        "this client may not introspect tokens",
    ))
}

/// Decides whether `record` is an active token for `resource_server` at `now`.
///
/// # Errors
///
/// [`InactiveToken`], for the log alone; the answer is [`IntrospectionResponse::INACTIVE`].
///
/// RFC 7662 §2.2, §4
pub fn verify_for(
    record: &TokenRecord,
    resource_server: &str,
    registry: &ClientRegistry,
    now: Timestamp,
) -> Result<(), InactiveToken> {
    record.verify_active(now)?;
    if registry.find(&record.client_id).is_none() {
        return Err(InactiveToken::ClientRemoved);
    }
    if record.audience == resource_server {
        Ok(())
    } else {
        Err(InactiveToken::OtherAudience)
    }
}

/// What `resource_server` is told of a token: of its scope as much as it is registered for.
///
/// [RFC 9701 §5](https://www.rfc-editor.org/rfc/rfc9701#section-5), RFC 7662 §2.2
#[must_use]
pub fn narrow_for<'r>(record: &'r TokenRecord, resource_server: &ResourceServer) -> Cow<'r, TokenRecord> {
    match &resource_server.scope {
        Some(told) if !told.contains_all(&record.scope) => Cow::Owned(TokenRecord {
            scope: record.scope.intersection(told),
            ..record.clone()
        }),
        Some(_) | None => Cow::Borrowed(record),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        access_token::TokenDigest,
        client::{ClientMetadata, ClientRegistration},
        thumbprint::CertificateThumbprint,
    };

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

    fn record() -> TokenRecord {
        TokenRecord {
            id: Uuid::from_u128(1),
            digest: TokenDigest::of("token"),
            client_id: "partner-client".to_owned(),
            scope: "transactions".parse().unwrap(),
            audience: "api.example.com".to_owned(),
            confirmation: Some(Confirmation::new(CertificateThumbprint::of_der(b"certificate"))),
            certificate: None,
            issued_at: NOW,
            expires_at: Timestamp::from_unix_seconds(1_900),
            revoked_at: None,
        }
    }

    fn registry(disabled: bool) -> ClientRegistry {
        let metadata = ClientMetadata {
            client_id: "partner-client".to_owned(),
            token_endpoint_auth_method: "tls_client_auth".to_owned(),
            tls_client_auth_subject_dn: Some("CN=demo-partner".to_owned()),
            disabled,
            ..ClientMetadata::default()
        };
        let mut registry = ClientRegistry::default();
        registry
            .register(ClientRegistration::try_from(metadata).unwrap())
            .unwrap();
        registry
    }

    /// I10, I11, M33.
    #[test]
    fn describes_an_active_token_with_its_confirmation() {
        assert_eq!(
            verify_for(&record(), "api.example.com", &registry(false), NOW),
            Ok(())
        );
        let answer = IntrospectionResponse::active(&record(), "https://issuer.example.com");
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!(json["active"], true);
        assert_eq!(json["token_type"], "Bearer");
        assert_eq!(json["exp"], 1_900);
        assert_eq!(json["scope"], "transactions");
        assert_eq!(
            json["cnf"]["x5t#S256"],
            CertificateThumbprint::of_der(b"certificate").to_string()
        );
        assert_eq!(
            serde_json::from_value::<IntrospectionResponse>(json).unwrap(),
            answer
        );
    }

    /// M34.
    #[test]
    fn leaves_cnf_out_where_the_token_is_not_bound() {
        let unbound = TokenRecord {
            confirmation: None,
            ..record()
        };
        let json = serde_json::to_value(IntrospectionResponse::active(&unbound, "https://issuer")).unwrap();
        assert!(json.get("cnf").is_none());
    }

    /// I5, I6.
    #[test]
    fn refuses_expired_revoked_foreign_and_orphaned_tokens() {
        let revoked = TokenRecord {
            revoked_at: Some(NOW),
            ..record()
        };
        let late = Timestamp::from_unix_seconds(1_900);
        let api = "api.example.com";
        assert_eq!(
            verify_for(&record(), api, &registry(false), late),
            Err(InactiveToken::Expired)
        );
        assert_eq!(
            verify_for(&revoked, api, &registry(false), NOW),
            Err(InactiveToken::Revoked)
        );
        assert_eq!(
            verify_for(&record(), "other", &registry(false), NOW),
            Err(InactiveToken::OtherAudience)
        );
        assert_eq!(
            verify_for(&record(), api, &registry(true), NOW),
            Err(InactiveToken::ClientRemoved)
        );
        assert_eq!(
            serde_json::to_string(&IntrospectionResponse::INACTIVE).unwrap(),
            r#"{"active":false}"#
        );
    }
}
