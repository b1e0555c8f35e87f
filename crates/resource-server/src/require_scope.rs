//! A guard for what needs more scope than the layer around it has asked for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use oauth_core::scope::Scope;
use tower_layer::Layer;
use tower_service::Service;

use crate::caller::{Caller, NotProtected};
use crate::rejection::Resource;

/// The layer for a route, or a handler, that needs every token of a scope, inside of
/// [`ResourceServer::protect`](crate::ResourceServer::protect).
///
/// ```
/// use axum::{Router, handler::Handler, routing::get};
/// use resource_server::{RequireScope, ResourceServer, Scope};
///
/// # async fn list() {}
/// # async fn create() {}
/// fn router(resource_server: &ResourceServer, read: Scope, write: Scope) -> Router {
///     let orders = get(list.layer(RequireScope::new(read))).post(create.layer(RequireScope::new(write)));
///     Router::new().route("/orders", orders).route_layer(resource_server.protect())
/// }
/// ```
///
/// Fails closed: where nothing around it has verified a token, nobody passes.
///
/// RFC 6750 §3.1
#[derive(Clone, Debug)]
pub struct RequireScope(Arc<Scope>);

impl RequireScope {
    /// Asks for every token of `scope`.
    pub fn new(scope: Scope) -> Self {
        Self(Arc::new(scope))
    }
}

impl<S> Layer<S> for RequireScope {
    type Service = ScopeGuarded<S>;

    fn layer(&self, inner: S) -> ScopeGuarded<S> {
        ScopeGuarded {
            required: Arc::clone(&self.0),
            inner,
        }
    }
}

/// A service that is reached by callers of a scope alone.
#[derive(Clone, Debug)]
pub struct ScopeGuarded<S> {
    required: Arc<Scope>,
    inner: S,
}

impl<S, Q, B> Service<Request<Q>> for ScopeGuarded<S>
where
    S: Service<Request<Q>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: From<String> + Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        match self.refuse(&request) {
            None => Box::pin(self.inner.call(request)),
            Some(answer) => Box::pin(std::future::ready(Ok(answer))),
        }
    }
}

impl<S> ScopeGuarded<S> {
    fn refuse<Q, B: From<String>>(&self, request: &Request<Q>) -> Option<Response<B>> {
        let extensions = request.extensions();
        let (caller, resource) = (extensions.get::<Caller>(), extensions.get::<Arc<Resource>>());
        let Some((caller, resource)) = caller.zip(resource) else {
            return Some(NotProtected.into_answer());
        };
        let rejection = caller.verify_scope(&self.required).err()?;
        Some(rejection.into_answer(request.headers(), &self.required, resource))
    }
}
