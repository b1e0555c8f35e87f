//! The layer and its service: authorize, then pass on; or answer, and pass nothing on.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use http::{HeaderValue, Request, Response, header};
use oauth_core::client_cert_header::{CLIENT_CERT, CLIENT_CERT_CHAIN};
use oauth_core::scope::Scope;
use oauth_core::time::Timestamp;
use tower_layer::Layer;
use tower_service::Service;

use crate::authorization::ResourceServer;

/// The layer made by [`ResourceServer::require_scope`] and [`ResourceServer::protect`].
#[derive(Clone, Debug)]
pub struct Protect(Arc<Requirements>);

#[derive(Debug)]
struct Requirements {
    resource_server: ResourceServer,
    scope: Scope,
}

impl Protect {
    pub(crate) fn new(resource_server: ResourceServer, scope: Scope) -> Self {
        Self(Arc::new(Requirements {
            resource_server,
            scope,
        }))
    }
}

impl<S> Layer<S> for Protect {
    type Service = Protected<S>;

    fn layer(&self, inner: S) -> Protected<S> {
        Protected {
            requirements: Arc::clone(&self.0),
            inner,
        }
    }
}

/// A service that is reached by authorized requests alone, each with its [`Caller`](crate::Caller) as an extension
/// and without `Client-Cert` headers: what they said has been decided upon, and nobody else is to believe them.
///
/// Answers are not stored by caches unless the service says otherwise. RFC 9440 §2.4
#[derive(Clone, Debug)]
pub struct Protected<S> {
    requirements: Arc<Requirements>,
    inner: S,
}

impl<S, Q, B> Service<Request<Q>> for Protected<S>
where
    S: Service<Request<Q>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    Q: Send + 'static,
    B: From<String>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let requirements = Arc::clone(&self.requirements);
        // The clone may not be ready; the one that was asked is the one to be called.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move { requirements.pass_on(request, inner).await })
    }
}

impl Requirements {
    async fn pass_on<S, Q, B>(&self, request: Request<Q>, mut inner: S) -> Result<Response<B>, S::Error>
    where
        S: Service<Request<Q>, Response = Response<B>>,
        B: From<String>,
    {
        let now = Timestamp::from(SystemTime::now());
        let (mut head, body) = request.into_parts();
        let resource = self.resource_server.described();
        let (caller, payload) = match self.resource_server.authorize(&head, &self.scope, now).await {
            Ok(authorized) => authorized,
            Err(rejection) => return Ok(rejection.into_answer(&head.headers, &self.scope, resource)),
        };
        head.extensions.insert(caller);
        head.extensions.insert(payload);
        head.extensions.insert(Arc::clone(resource));
        head.headers.remove(CLIENT_CERT);
        head.headers.remove(CLIENT_CERT_CHAIN);
        let mut answer = inner.call(Request::from_parts(head, body)).await?;
        let cache_control = answer.headers_mut().entry(header::CACHE_CONTROL);
        cache_control.or_insert(HeaderValue::from_static("no-store"));
        Ok(answer)
    }
}
