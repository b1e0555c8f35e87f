//! One request from its arrival to its answer: its form, then its authorization, then the API.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use oauth_core::time::Timestamp;
use service::request_id::{RequestId, X_REQUEST_ID};
use tokio::time::Instant;

use crate::connection::{Connection, PresentedCertificate};
use crate::forward::Forwarder;
use crate::hosts::{Hosts, LiveHosts};
use crate::metrics;
use crate::rejection::Rejection;
use crate::response_body::{Content, ResponseBody};
use crate::well_formed::WellFormedRequest;

/// Bounds the log that a caller can cause, in bytes of the method and of the path each.
const LONGEST_LOGGED: usize = 256;

/// Answers the requests of every terminated connection.
#[derive(Debug)]
pub(crate) struct RequestHandler {
    pub(crate) hosts: LiveHosts,
    pub(crate) forwarder: Forwarder,
}

impl RequestHandler {
    /// Answers one request; a request that is not forwarded is logged here, once.
    pub(crate) async fn answer(
        &self,
        mut request: Box<Request<Incoming>>,
        connection: &Arc<Connection>,
    ) -> Response<ResponseBody> {
        let (started, under_way) = (Instant::now(), connection.activity.begin());
        let time = SystemTime::now();
        // Always made here: what a stranger sends does not reach the log.
        let (id, now) = (RequestId::new(time), Timestamp::from(time));
        let taken = connection.take_certificate(request.headers_mut(), now);
        let (asked, hosts) = (Asked::of(&request), self.hosts.now());
        let passed = match &taken {
            Ok(certificate) => {
                let certificate = certificate.as_ref();
                self.pass(request, certificate, connection, &hosts, &id, now)
                    .await
            }
            Err(rejection) => Err(rejection.clone()),
        };
        let mut response = match passed {
            Ok(response) => response,
            Err(rejection) => {
                let host = &connection.server_name;
                let routes = &hosts.authorizer.routes;
                let metadata_url = hosts.resources.metadata_url(host, asked.target.path(), routes);
                let response = rejection.respond(host, metadata_url, &id);
                let certificate = taken.as_ref().ok().and_then(Option::as_deref);
                asked.log(&rejection, response.status(), certificate, connection, &id);
                metrics::rejection(&rejection);
                response.map(Content::own)
            }
        };
        response.headers_mut().insert(X_REQUEST_ID, id.into_header());
        let answered = Instant::now();
        metrics::answered(response.status(), answered - started);
        response.map(|content| connection.response_bodies.begin(content, under_way, answered))
    }

    async fn pass(
        &self,
        request: Box<Request<Incoming>>,
        certificate: Option<&Arc<PresentedCertificate>>,
        connection: &Connection,
        hosts: &Hosts,
        id: &RequestId,
        now: Timestamp,
    ) -> Result<Response<Content>, Rejection> {
        let request = WellFormedRequest::verify(request, &connection.server_name)?;
        if request.is_cors_preflight() {
            return Ok(no_cross_origin_access());
        }
        let resources = &hosts.resources;
        if let Some(resource) = resources.described_at(&connection.server_name, request.path()) {
            return Ok(resource.answer(request.method())?.map(Content::own));
        }
        let authorized = hosts
            .authorizer
            .authorize(request, certificate, connection, now)
            .await?;
        self.forwarder.forward(authorized, id).await
    }
}

/// Preflights carry no token, so none is forwarded; without a word that allows it, a browser sends nothing more.
fn no_cross_origin_access() -> Response<Content> {
    let mut response = Response::new(Content::own(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// What the log is told of a request: neither its query nor its fields, where tokens could be, and of its method and path
/// the beginnings. Written out only where there is something to log.
#[derive(Debug)]
struct Asked {
    method: Method,
    target: Uri,
}

impl Asked {
    fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            target: request.uri().clone(),
        }
    }

    fn method(&self) -> &str {
        beginning(self.method.as_str())
    }

    fn path(&self) -> &str {
        beginning(self.target.path())
    }

    fn log(
        &self,
        rejection: &Rejection,
        status: StatusCode,
        certificate: Option<&PresentedCertificate>,
        connection: &Connection,
        id: &RequestId,
    ) {
        let (reason, status, peer) = (rejection.reason(), status.as_u16(), connection.peer_address);
        let certificate = certificate.map(|presented| presented.certificate.thumbprint());
        tracing::info!(
            reason,
            reason.detail = rejection.detail(),
            request.id = %id,
            request.method = self.method(),
            request.path = ?self.path(),
            response.status = status,
            peer.address = %peer,
            client_certificate.thumbprint = certificate.map(tracing::field::display),
            "request {id} from {peer} answered {status}: {reason}"
        );
    }
}

/// At most so many bytes of what a caller wrote.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_LOGGED)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A future is moved several times before it is first polled, and hyper keeps one for each request.
    #[test]
    fn the_future_of_a_request_stays_small() {
        fn size<'a, F>(
            _: impl Fn(&'a RequestHandler, Box<Request<Incoming>>, &'a Arc<Connection>) -> F,
        ) -> usize {
            size_of::<F>()
        }
        let size = size(RequestHandler::answer);
        assert!(size < 2 * 1024, "{size} bytes");
    }

    #[test]
    fn the_log_is_told_the_beginning_of_a_long_method_and_path() {
        let request = |method: &str, path: &str| {
            Asked::of(&Request::builder().method(method).uri(path).body(()).unwrap())
        };
        let asked = request(&"M".repeat(1000), &format!("/{}ä", "a".repeat(254)));
        assert_eq!(asked.method(), "M".repeat(256));
        assert_eq!(asked.path(), format!("/{}", "a".repeat(254)));
        let asked = request("GET", "/api/transactions?access_token=secret");
        assert_eq!((asked.method(), asked.path()), ("GET", "/api/transactions"));
    }
}
