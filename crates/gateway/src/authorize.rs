//! The straight line from a request and its connection to an [`AuthorizedRequest`]: bearer token, its kind, certificate,
//! token looked up or verified, time, binding, route, method, issuer, audience, scope.
//!
//! Every request walks the whole line, whether its token was remembered or not. Fails closed: whatever is absent,
//! be it certificate, confirmation, scope or answer, means no.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Request};
use oauth_core::bearer::{self, BearerError};
use oauth_core::confirmation::{BindingError, BindingPolicy, Confirmation, verify_binding};
use oauth_core::jwt::VerificationError;
use oauth_core::time::Timestamp;
use oauth_core::token_facts::Grant;

use crate::accepted_token::AcceptedToken;
use crate::connection::{Connection, PresentedCertificate};
use crate::rejection::Rejection;
use crate::route::{NoRoute, Route, Routes};
use crate::token_cache::TokenCache;
use crate::token_error::{TokenError, TokenRefusal};
use crate::token_kind::TokenKind;
use crate::well_formed::WellFormedRequest;

/// A request that may be forwarded; only [`Authorizer::authorize`] makes one.
#[derive(Debug)]
pub(crate) struct AuthorizedRequest<'a, B> {
    request: Box<Request<B>>,
    route: &'a Route,
    token: AcceptedToken,
    certificate: Option<&'a Arc<PresentedCertificate>>,
    connection: &'a Connection,
}

impl<'a, B> AuthorizedRequest<'a, B> {
    /// The API the request goes to.
    pub(crate) const fn route(&self) -> &'a Route {
        self.route
    }

    /// The connection it came over.
    pub(crate) const fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// Its client's certificate.
    pub(crate) const fn certificate(&self) -> Option<&'a Arc<PresentedCertificate>> {
        self.certificate
    }

    /// When its token ends, and with it whatever the token began.
    pub(crate) fn expires_at(&self) -> Timestamp {
        self.token.expires_at()
    }

    /// The request as it came, with the caller's own fields still in it, and the token, which alone tells the API of
    /// itself: the caller's own fields never do.
    pub(crate) fn into_parts(self) -> (Request<B>, AcceptedToken) {
        (*self.request, self.token)
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
    pub(crate) async fn authorize<'a, B>(
        &'a self,
        request: WellFormedRequest<B>,
        certificate: Option<&'a Arc<PresentedCertificate>>,
        connection: &'a Connection,
        now: Timestamp,
    ) -> Result<AuthorizedRequest<'a, B>, Rejection> {
        let token = bearer_token(request.headers())?;
        let route = self.routes.find(&connection.server_name, request.path());
        let kind = self.verify_kind(token, route, connection)?;
        let binding = route.map_or(BindingPolicy::Required, |route| route.binding);
        verify_certificate(certificate.map(AsRef::as_ref), binding, now)?;
        let token = self
            .tokens
            .find(kind, token, now)
            .await
            .map_err(|error| rejection_of(&error))?;
        token.verify_time(now).map_err(Rejection::TokenRefused)?;
        let grant = token.grant();
        let confirmation = self.confirmation(grant);
        verify_holder(confirmation.as_ref(), certificate.map(AsRef::as_ref), binding)?;
        let route = route.map_err(rejection_of_path)?;
        verify_method(request.method(), route)?;
        verify_issuer(grant, route)?;
        verify_audience(grant, route)?;
        verify_scope(grant, route)?;
        Ok(AuthorizedRequest {
            request: request.into_request(),
            route,
            token,
            certificate,
            connection,
        })
    }

    fn confirmation(&self, grant: &Grant) -> Option<Confirmation> {
        match self.hex_thumbprints {
            HexThumbprints::Accepted => grant.cnf.map(Confirmation::accepting_hex),
            HexThumbprints::Refused => grant.cnf,
        }
    }

    /// The kind of `token`, if the route takes it (where there is no route: if any of the host's does) and it is no longer
    /// than one of that kind may be. Nobody is asked about any other.
    fn verify_kind(
        &self,
        token: &str,
        route: Result<&Arc<Route>, NoRoute>,
        connection: &Connection,
    ) -> Result<TokenKind, Rejection> {
        let kind = TokenKind::of(token);
        let is_taken = match route {
            Ok(route) => route.tokens.contains(&kind),
            Err(_) => self.routes.take(&connection.server_name, kind),
        };
        if !is_taken {
            return Err(Rejection::TokenKindRefused);
        }
        if token.len() > kind.longest() {
            return Err(Rejection::TokenTooLong);
        }
        Ok(kind)
    }
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, Rejection> {
    let values = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    bearer::parse_authorization(values).map_err(|error| match error {
        BearerError::Missing => Rejection::TokenMissing,
        _ => Rejection::TokenMalformed,
    })
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

/// Fails closed: where the route names its issuers, a token of which nobody says who issued it is none of theirs.
fn verify_issuer(grant: &Grant, route: &Route) -> Result<(), Rejection> {
    let is_taken = match &grant.iss {
        Some(issuer) => route.takes_from(issuer),
        None => route.issuers.is_none(),
    };
    if is_taken {
        Ok(())
    } else {
        Err(Rejection::IssuerMismatch)
    }
}

fn verify_audience(grant: &Grant, route: &Route) -> Result<(), Rejection> {
    if grant.aud.contains(&route.audience) {
        Ok(())
    } else {
        Err(Rejection::TokenRefused(VerificationError::OtherAudience))
    }
}

fn verify_scope(grant: &Grant, route: &Arc<Route>) -> Result<(), Rejection> {
    if grant.scope.contains_all(&route.scope) {
        Ok(())
    } else {
        Err(Rejection::ScopeInsufficient(Arc::clone(route)))
    }
}

/// Whose fault it is that a token was not accepted: the caller's if the token was refused, and never otherwise.
fn rejection_of(error: &TokenError) -> Rejection {
    match error {
        TokenError::Refused(refusal) => match refusal {
            TokenRefusal::Inactive => Rejection::TokenInactive,
            TokenRefusal::BoundOtherwise => Rejection::TokenBoundOtherwise,
            TokenRefusal::Kind => Rejection::TokenKindRefused,
            TokenRefusal::Jwt(error) => Rejection::TokenRefused(*error),
        },
        TokenError::IntrospectionBusy => Rejection::IntrospectionBusy,
        TokenError::VerificationBusy => Rejection::JwtVerificationBusy,
        TokenError::Unreachable(_) | TokenError::Untrusted(_) | TokenError::Interrupted => {
            Rejection::IntrospectionUnavailable
        }
        TokenError::Timeout => Rejection::IntrospectionTimeout,
        TokenError::KeysUnavailable(_) => Rejection::KeysUnavailable,
        TokenError::Status(_)
        | TokenError::ContentType(_)
        | TokenError::TooLarge { .. }
        | TokenError::NotText
        | TokenError::Verification(_)
        | TokenError::Malformed(_)
        | TokenError::OtherIssuer
        | TokenError::NoAudience
        | TokenError::Assertion(_) => Rejection::IntrospectionFailed,
    }
}

#[cfg(test)]
mod tests;
