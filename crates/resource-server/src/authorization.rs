//! From a request's head to its [`Caller`]: one straight line of checks, each of which can only refuse.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Uri, header};
use oauth_core::bearer::parse_authorization;
use oauth_core::confirmation::{BindingPolicy, verify_binding};
use oauth_core::jwt::AccessTokenVerifier;
use oauth_core::metadata::ResourceIdentifier;
use oauth_core::scope::Scope;
use oauth_core::time::Timestamp;

use crate::caller::Caller;
use crate::certificate_source::{CertificateSource, peer_of};
use crate::claims::VerifiedPayload;
use crate::keys::Keys;
use crate::layer::Protect;
use crate::rejection::{Rejection, Resource};
use crate::token_verifier::TokenVerifier;

/// What a resource server demands of every token; makes the layers that demand it.
///
/// By default tokens must be bound to a certificate, and the certificate is the connection's own.
#[derive(Clone, Debug)]
pub struct ResourceServer {
    tokens: Arc<TokenVerifier>,
    certificates: CertificateSource,
    binding: BindingPolicy,
    resource: Arc<Resource>,
}

impl ResourceServer {
    /// Accepts tokens that satisfy `verifier` and are signed with one of `keys`. The first audience is the realm that
    /// challenges name.
    pub fn new(keys: impl Into<Keys>, verifier: AccessTokenVerifier) -> Self {
        let resource = Resource {
            realm: verifier.audiences.first().cloned().unwrap_or_default(),
            metadata_url: None,
        };
        Self {
            tokens: Arc::new(TokenVerifier::new(keys.into(), verifier)),
            certificates: CertificateSource::default(),
            binding: BindingPolicy::default(),
            resource: Arc::new(resource),
        }
    }

    /// Reads the caller's certificate there.
    #[must_use]
    pub fn certificates(self, certificates: CertificateSource) -> Self {
        Self { certificates, ..self }
    }

    /// Demands this of the tokens' binding: that there is one, that it holds where there is one, or nothing.
    #[must_use]
    pub fn binding(self, binding: BindingPolicy) -> Self {
        Self { binding, ..self }
    }

    /// Names, in every challenge, where the metadata of this resource is. Serving it there is the work of the
    /// resource's host: of the gateway, where there is one; else of the API, for everybody and without token.
    ///
    /// [RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)
    #[must_use]
    pub fn resource(self, identifier: &ResourceIdentifier) -> Self {
        let resource = Resource {
            realm: self.resource.realm.clone(),
            metadata_url: Some(identifier.metadata_url()),
        };
        Self {
            resource: Arc::new(resource),
            ..self
        }
    }

    /// The layer for what needs a valid token and no scope; [`RequireScope`](crate::RequireScope) asks for more where
    /// more is needed.
    pub fn protect(&self) -> Protect {
        self.require_scope(Scope::default())
    }

    /// The layer for routes that need every token of `scope`.
    pub fn require_scope(&self, scope: Scope) -> Protect {
        Protect::new(self.clone(), scope)
    }

    pub(crate) const fn described(&self) -> &Arc<Resource> {
        &self.resource
    }

    /// Decides who calls, and whether they may.
    pub(crate) async fn authorize(
        &self,
        request: &Parts,
        required: &Scope,
        now: Timestamp,
    ) -> Result<(Caller, VerifiedPayload), Rejection> {
        refuse_token_in_query(&request.uri)?;
        let token = bearer_token(&request.headers)?;
        let peer = peer_of(&request.extensions, now)?;
        let thumbprint = self.certificates.thumbprint(peer, &request.headers)?;
        let verified = self.tokens.verify(token, now).await?;
        let caller = Caller::from(&*verified);
        verify_binding(verified.claims().cnf.as_ref(), thumbprint.as_ref(), self.binding)
            .map_err(|reason| Rejection::binding(&caller, reason))?;
        caller.verify_scope(required)?;
        Ok((caller, VerifiedPayload::of(token)))
    }
}

/// RFC 6750 §2.3 lets a token stand in the URI; there it ends up in logs and histories.
fn refuse_token_in_query(uri: &Uri) -> Result<(), Rejection> {
    let query = uri.query().unwrap_or_default();
    match form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token") {
        true => Err(Rejection::TokenInQuery),
        false => Ok(()),
    }
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, Rejection> {
    let values = headers.get_all(header::AUTHORIZATION).iter();
    Ok(parse_authorization(values.map(AsRef::as_ref))?)
}
