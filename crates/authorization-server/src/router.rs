//! Which endpoint is where, and what every request passes on its way: one page.

use std::convert::Infallible;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{BoxError, Router};
use futures_util::FutureExt as _;
use service::request_id::RequestId;
use tower::Service;

use crate::audit::{Durations, Endpoint, Observation};
use crate::request::EndpointRequest;
use crate::response::{Cause, Refusal};
use crate::server::AuthorizationServer;
use crate::{introspect, metadata, revoke, token};

/// Path of the token endpoint; on the mutual TLS listener alone.
pub(crate) const TOKEN: &str = "/oauth/v2/oauth-token-mutual-tls";
/// Path of the introspection endpoint.
pub(crate) const INTROSPECTION: &str = "/oauth/v2/oauth-introspect";
/// Path of the revocation endpoint.
pub(crate) const REVOCATION: &str = "/oauth/v2/oauth-revoke";

/// Bounds how long a slow sender, or a slow disk, keeps a request in hand.
const LONGEST_REQUEST: Duration = Duration::from_secs(15);

/// What the listener serves that asks for no client certificate.
pub(crate) fn tls(server: Arc<AuthorizationServer>) -> Endpoints {
    Endpoints::new(shared(&server), &[Direct::Introspection], server)
}

/// What the mutual TLS listener serves: the same, and the token endpoint.
pub(crate) fn mutual_tls(server: Arc<AuthorizationServer>) -> Endpoints {
    let router = shared(&server).route(TOKEN, post(token::handle));
    Endpoints::new(router, &[Direct::Introspection, Direct::Token], server)
}

fn shared(server: &AuthorizationServer) -> Router<Arc<AuthorizationServer>> {
    Router::new()
        .route(INTROSPECTION, post(introspect::handle))
        .route(REVOCATION, post(revoke::handle))
        .route(
            &server.configuration.issuer.jwks_path(),
            get(metadata::handle_jwks),
        )
        .route(
            &server.configuration.issuer.metadata_path(),
            get(metadata::handle),
        )
        .route(
            &server.configuration.issuer.openid_configuration_path(),
            get(metadata::handle),
        )
}

/// All that is served anywhere, for the metrics.
fn paths(server: &AuthorizationServer) -> [String; 6] {
    let issuer = &server.configuration.issuer;
    [
        TOKEN.to_owned(),
        INTROSPECTION.to_owned(),
        REVOCATION.to_owned(),
        issuer.jwks_path(),
        issuer.metadata_path(),
        issuer.openid_configuration_path(),
    ]
}

/// The endpoints of a listener: a router, and the way past it for what is nearly all that comes. In a router each layer
/// boxes and copies all that is inside it, with every request.
#[derive(Clone)]
pub(crate) struct Endpoints {
    router: Router,
    direct: Arc<[(Direct, Endpoint)]>,
    server: Arc<AuthorizationServer>,
}

/// An answer to come.
type Pending<T = Response> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A request that needs no router; whoever sends another method to the same path meets it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direct {
    Introspection,
    Token,
}

impl Direct {
    const fn path(self) -> &'static str {
        match self {
            Self::Introspection => INTROSPECTION,
            Self::Token => TOKEN,
        }
    }

    fn answer(self, server: Arc<AuthorizationServer>, request: Request) -> Pending {
        let (server, request) = (State(server), EndpointRequest::read(request));
        match self {
            Self::Introspection => Box::pin(async move { introspect::handle(server, request.await).await }),
            Self::Token => {
                Box::pin(async move { token::handle(server, request.await).await.into_response() })
            }
        }
    }
}

impl Endpoints {
    fn new(
        router: Router<Arc<AuthorizationServer>>,
        direct: &[Direct],
        server: Arc<AuthorizationServer>,
    ) -> Self {
        let durations = Durations::of(&paths(&server));
        let direct = direct
            .iter()
            .map(|direct| (*direct, durations.endpoint(Some(direct.path()))));
        let direct = direct.collect();
        let router = router
            .fallback(async || Refusal::from(Cause::NotFound))
            .method_not_allowed_fallback(async || Refusal::from(Cause::MethodNotAllowed))
            .layer(from_fn(move |request: Request, next: Next| {
                let path = request.extensions().get::<MatchedPath>().cloned();
                let endpoint = durations.endpoint(path.as_ref().map(MatchedPath::as_str));
                let passed = Passed::of(&request, endpoint);
                passed.answer(Box::pin(next.run(request)))
            }))
            .with_state(Arc::clone(&server));
        Self {
            router,
            direct,
            server,
        }
    }

    fn direct<B>(&self, request: &Request<B>) -> Option<&(Direct, Endpoint)> {
        let path = request.uri().path();
        let mut direct = self.direct.iter().filter(|_| request.method() == Method::POST);
        direct.find(|(direct, _)| direct.path() == path)
    }
}

impl<B> Service<Request<B>> for Endpoints
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pending<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some((direct, endpoint)) = self.direct(&request) else {
            return Box::pin(self.router.call(request));
        };
        let (server, request) = (Arc::clone(&self.server), request.map(Body::new));
        let passed = Passed::of(&request, endpoint.clone());
        Box::pin(passed.answer(direct.answer(server, request)))
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Endpoints").finish_non_exhaustive()
    }
}

/// What every request passes.
struct Passed {
    id: RequestId,
    observation: Observation,
}

impl Passed {
    fn of(request: &Request, endpoint: Endpoint) -> Self {
        Self {
            id: RequestId::of(request.headers()),
            observation: Observation::of(request, endpoint),
        }
    }

    /// The answer is boxed where it is made: each of those around it would hold it twice, before and while it runs.
    async fn answer(self, answer: Pending) -> Result<Response, Infallible> {
        let Self { id, observation } = self;
        let observed = async {
            let response = within_bounds(answer).await;
            observation.log(&response);
            response
        };
        let response = service::logging::logged(id.name(observed)).await;
        observation.end();
        Ok(response)
    }
}

/// The answer, in time and whatever becomes of its handler. What a handler has half changed is its own. The panic's own
/// message has gone to standard error; it may hold anything, and goes nowhere else.
async fn within_bounds(answer: Pending) -> Response {
    let answer = AssertUnwindSafe(answer).catch_unwind();
    match tokio::time::timeout(LONGEST_REQUEST, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            tracing::error!("a handler panicked");
            Refusal::from(Cause::Panicked).into_response()
        }
        Err(_elapsed) => Refusal::from(Cause::TooSlow).into_response(),
    }
}
