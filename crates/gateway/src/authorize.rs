//! The straight line from a request and its connection to an [`AuthorizedRequest`]: bearer token, certificate, token
//! looked up, time, binding, route, method, audience, scope.
//!
//! Every request walks the whole line, whether its token was remembered or not. Fails closed: whatever is absent,
//! be it certificate, confirmation, scope or answer, means no.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Request};
use oauth_core::bearer::{self, BearerError};
use oauth_core::confirmation::{BindingError, BindingPolicy, Confirmation, verify_binding};
use oauth_core::jwt::AccessTokenClaims;
use oauth_core::time::Timestamp;

use crate::accepted_token::AcceptedToken;
use crate::connection::{Connection, PresentedCertificate};
use crate::introspection_client::IntrospectionError;
use crate::rejection::Rejection;
use crate::route::{NoRoute, Route, Routes};
use crate::token_cache::TokenCache;
use crate::well_formed::WellFormedRequest;

/// The longest token that is looked up, in bytes; ours have a tenth of it. Bounds what each made-up token costs the
/// authorization server, which takes no larger form.
const LONGEST_TOKEN: usize = 4 * 1024;

/// A request that may be forwarded; only [`Authorizer::authorize`] makes one.
#[derive(Debug)]
pub(crate) struct AuthorizedRequest<B> {
    request: Request<B>,
    route: Arc<Route>,
    token: Arc<AcceptedToken>,
    certificate: Option<Arc<PresentedCertificate>>,
    connection: Arc<Connection>,
}

impl<B> AuthorizedRequest<B> {
    /// The API the request goes to.
    pub(crate) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The connection it came over.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Its client's certificate.
    pub(crate) const fn certificate(&self) -> Option<&Arc<PresentedCertificate>> {
        self.certificate.as_ref()
    }

    /// The value of `Authorization` for the API.
    pub(crate) fn authorization(&self) -> HeaderValue {
        self.token.authorization()
    }

    /// When its token ends, and with it whatever the token began.
    pub(crate) fn expires_at(&self) -> Timestamp {
        self.token.verified().claims().exp
    }

    /// The request as it came: with the caller's own fields still in it.
    pub(crate) fn into_request(self) -> Request<B> {
        self.request
    }
}

/// What requests are measured against.
#[derive(Debug)]
pub(crate) struct Authorizer {
    pub(crate) routes: Routes,
    pub(crate) tokens: TokenCache,
    pub(crate) hex_thumbprints: HexThumbprints,
}

/// Whether a token may name its certificate in hexadecimal digits, against RFC 8705 §3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HexThumbprints {
    Accepted,
    Refused,
}

impl Authorizer {
    /// Decides whether a request over `connection`, of the client with `certificate`, may be forwarded at `now`.
    ///
    /// A path without a route, or between two, is told from one with a route to authenticated callers alone.
    ///
    /// # Errors
    ///
    /// [`Rejection`], one for each check.
    ///
    /// [RFC 8705 §3](https://www.rfc-editor.org/rfc/rfc8705#section-3), RFC 6750 §3.1
    pub(crate) async fn authorize<B>(
        &self,
        request: WellFormedRequest<B>,
        certificate: Option<Arc<PresentedCertificate>>,
        connection: &Arc<Connection>,
        now: Timestamp,
    ) -> Result<AuthorizedRequest<B>, Rejection> {
        let token = bearer_token(request.headers())?;
        let route = self.routes.find(&connection.server_name, request.path());
        let binding = route.map_or(BindingPolicy::Required, |route| route.binding);
        verify_certificate(certificate.as_deref(), binding, now)?;
        let token = self
            .tokens
            .find(token, now)
            .await
            .map_err(|error| rejection_of(&error))?;
        token
            .verified()
            .verify_time(now)
            .map_err(|_| Rejection::TokenExpired)?;
        let claims = token.verified().claims();
        let confirmation = self.confirmation(claims);
        verify_holder(confirmation.as_ref(), certificate.as_deref(), binding)?;
        let route = Arc::clone(route.map_err(rejection_of_path)?);
        verify_method(request.method(), &route)?;
        verify_audience(claims, &route)?;
        verify_scope(claims, &route)?;
        Ok(AuthorizedRequest {
            request: request.into_request(),
            route,
            token,
            certificate,
            connection: Arc::clone(connection),
        })
    }

    fn confirmation(&self, claims: &AccessTokenClaims) -> Option<Confirmation> {
        match self.hex_thumbprints {
            HexThumbprints::Accepted => claims.cnf.map(Confirmation::accepting_hex),
            HexThumbprints::Refused => claims.cnf,
        }
    }
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, Rejection> {
    let values = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    let token = bearer::parse_authorization(values).map_err(|error| match error {
        BearerError::Missing => Rejection::TokenMissing,
        _ => Rejection::TokenMalformed,
    })?;
    if token.len() > LONGEST_TOKEN {
        return Err(Rejection::TokenTooLong);
    }
    Ok(token)
}

/// A certificate counts as long as it is valid and trusted. Where no token could pass without one, none is looked up.
fn verify_certificate(
    certificate: Option<&PresentedCertificate>,
    binding: BindingPolicy,
    now: Timestamp,
) -> Result<(), Rejection> {
    match certificate {
        Some(certificate) => certificate.verify(now),
        None if binding == BindingPolicy::Required => Err(Rejection::CertificateMissing),
        None => Ok(()),
    }
}

/// The check on which everything rests; never remembered, always against this request's certificate.
fn verify_holder(
    confirmation: Option<&Confirmation>,
    certificate: Option<&PresentedCertificate>,
    binding: BindingPolicy,
) -> Result<(), Rejection> {
    let thumbprint = certificate.map(|presented| presented.certificate.thumbprint());
    verify_binding(confirmation, thumbprint, binding).map_err(|error| match error {
        BindingError::NotBound => Rejection::TokenNotBound,
        BindingError::CertificateMissing => Rejection::CertificateMissing,
        BindingError::HexThumbprint => Rejection::ThumbprintInHex,
        _ => Rejection::CertificateMismatch,
    })
}

const fn rejection_of_path(error: NoRoute) -> Rejection {
    match error {
        NoRoute::Unknown => Rejection::RouteUnknown,
        NoRoute::Ambiguous => Rejection::PathAmbiguous,
    }
}

fn verify_method(method: &Method, route: &Arc<Route>) -> Result<(), Rejection> {
    if route.methods.allow(method) {
        Ok(())
    } else {
        Err(Rejection::MethodNotAllowed(Arc::clone(route)))
    }
}

fn verify_audience(claims: &AccessTokenClaims, route: &Route) -> Result<(), Rejection> {
    if claims.aud.contains(&route.audience) {
        Ok(())
    } else {
        Err(Rejection::AudienceMismatch)
    }
}

fn verify_scope(claims: &AccessTokenClaims, route: &Arc<Route>) -> Result<(), Rejection> {
    if claims.scope.contains_all(&route.scope) {
        Ok(())
    } else {
        Err(Rejection::ScopeInsufficient(Arc::clone(route)))
    }
}

/// Whose fault it is that a token was not accepted: the caller's in one case, in all others never.
fn rejection_of(error: &IntrospectionError) -> Rejection {
    match error {
        IntrospectionError::Inactive => Rejection::TokenInactive,
        IntrospectionError::Unreachable(_) | IntrospectionError::Interrupted => {
            Rejection::IntrospectionUnavailable
        }
        IntrospectionError::Timeout => Rejection::IntrospectionTimeout,
        IntrospectionError::KeysUnavailable(_) => Rejection::KeysUnavailable,
        IntrospectionError::Status(_)
        | IntrospectionError::ContentType
        | IntrospectionError::TooLarge { .. }
        | IntrospectionError::NotText
        | IntrospectionError::Verification(_) => Rejection::IntrospectionFailed,
    }
}

#[cfg(test)]
mod tests;
