//! From a request's head to its [`Caller`]: one straight line of checks, each of which can only refuse.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Uri, header};
use jwks::RemoteJwks;
use mtls::Connection;
use oauth_core::bearer::parse_authorization;
use oauth_core::certificate::ClientCertificate;
use oauth_core::confirmation::{BindingPolicy, verify_binding};
use oauth_core::jwt::AccessTokenVerifier;
use oauth_core::scope::Scope;
use oauth_core::time::Timestamp;

use crate::caller::Caller;
use crate::certificate_source::{CertificateSource, peer_of};
use crate::layer::Protect;
use crate::rejection::Rejection;

/// What a resource server demands of every token; makes the layers that demand it.
///
/// By default tokens must be bound to a certificate, and the certificate is the connection's own.
#[derive(Clone, Debug)]
pub struct ResourceServer {
    keys: RemoteJwks,
    verifier: Arc<AccessTokenVerifier>,
    certificates: CertificateSource,
    binding: BindingPolicy,
}

impl ResourceServer {
    /// Accepts tokens that satisfy `verifier` and are signed with one of `keys`. The first audience is the realm that
    /// challenges name.
    pub fn new(keys: RemoteJwks, verifier: AccessTokenVerifier) -> Self {
        let (certificates, binding) = (CertificateSource::default(), BindingPolicy::default());
        Self {
            keys,
            verifier: Arc::new(verifier),
            certificates,
            binding,
        }
    }

    /// Reads the caller's certificate there.
    #[must_use]
    pub fn certificates(self, certificates: CertificateSource) -> Self {
        Self { certificates, ..self }
    }

    /// Demands this of the tokens' binding.
    #[must_use]
    pub fn binding(self, binding: BindingPolicy) -> Self {
        Self { binding, ..self }
    }

    /// The layer for routes that need every token of `scope`; an empty scope asks for a valid token alone.
    pub fn require_scope(&self, scope: Scope) -> Protect {
        Protect::new(self.clone(), scope)
    }

    pub(crate) fn realm(&self) -> &str {
        self.verifier.audiences.first().map_or("", String::as_str)
    }

    /// Decides who calls, and whether they may.
    pub(crate) async fn authorize(
        &self,
        request: &Parts,
        required: &Scope,
        now: Timestamp,
    ) -> Result<Caller, Rejection> {
        refuse_token_in_query(&request.uri)?;
        let token = bearer_token(&request.headers)?;
        let connection = request.extensions.get::<Arc<Connection>>().map(AsRef::as_ref);
        let peer = peer_of(connection);
        verify_peer_time(peer, now)?;
        verify_peer_trust(connection, now)?;
        let thumbprint = self.certificates.thumbprint(peer, &request.headers)?;
        let token = self.keys.verify(&self.verifier, token, now).await?;
        let caller = Caller::from(&token);
        verify_binding(token.claims().cnf.as_ref(), thumbprint.as_ref(), self.binding)
            .map_err(|reason| Rejection::binding(&caller, reason))?;
        if !caller.scope.contains_all(required) {
            return Err(Rejection::insufficient_scope(caller));
        }
        Ok(caller)
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

/// A connection can outlive the certificate it was opened with. RFC 5280 §4.1.2.5
fn verify_peer_time(peer: Option<&ClientCertificate>, now: Timestamp) -> Result<(), Rejection> {
    match peer {
        Some(peer) if !peer.is_valid_at(now) => Err(Rejection::PeerCertificateExpired),
        _ => Ok(()),
    }
}

/// A connection can outlive the trust in its peer's certificate, too. RFC 5280 §6.3
fn verify_peer_trust(connection: Option<&Connection>, now: Timestamp) -> Result<(), Rejection> {
    match connection {
        Some(connection) => Ok(connection.standing.verify(now)?),
        None => Ok(()),
    }
}
