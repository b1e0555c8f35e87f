//! Forwarding to the API: accepts nothing but an [`AuthorizedRequest`], and tries the route's servers until one has it.
//!
//! Bodies stream both ways. Every wait is bounded: for a connection, for the answer's head, between two pieces of the
//! request's body; for those of the answer's, by the connection on which it goes out.

mod outgoing;

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use mtls::ClientTls;

use self::outgoing::{Outgoing, WEBSOCKET, address, is_websocket};
use crate::authorize::AuthorizedRequest;
use crate::body::UploadProgress;
use crate::headers::clean_response;
use crate::rejection::Rejection;
use crate::request_id::RequestId;
use crate::response_body::Content;
use crate::route::{Forwarding, Route};
use crate::token_error::words_of;
use crate::tunnel::{Right, Tunnel};
use crate::upstream::{Connector, Exchange, Lease, Outbound, Protocols, Upstream};

/// The way to the APIs, of one worker.
#[derive(Clone, Debug)]
pub(crate) struct Forwarder {
    connector: Arc<Connector>,
    worker: usize,
}

impl Forwarder {
    /// Connects as `tls` says.
    ///
    /// # Errors
    ///
    /// When the TLS configuration cannot be made.
    pub(crate) fn new(tls: &ClientTls) -> Result<Self, mtls::client::ClientError> {
        Ok(Self {
            connector: Arc::new(Connector::new(tls)?),
            worker: 0,
        })
    }

    /// The same way, for the worker of this number, over connections of its own.
    pub(crate) fn of_worker(&self, worker: usize) -> Self {
        Self {
            connector: Arc::clone(&self.connector),
            worker,
        }
    }

    /// Forwards an authorized request, and answers what the API answers.
    ///
    /// # Errors
    ///
    /// [`Rejection`] where no server of the API can be reached or takes more, or none answers in time.
    pub(crate) async fn forward(
        &self,
        authorized: AuthorizedRequest<Incoming>,
        request_id: &RequestId,
    ) -> Result<Response<Content>, Rejection> {
        let route = Arc::clone(authorized.route());
        let connection = Arc::clone(authorized.connection());
        let right = Right {
            expires_at: authorized.expires_at(),
            certificate: authorized.certificate().cloned(),
        };
        let outgoing = Outgoing::new(authorized, request_id);
        let over = match outgoing.upgrade {
            Some(_) => Over::ConnectionOfItsOwn,
            None => Over::AnyConnection,
        };
        let (mut response, exchange) = self
            .send(outgoing.request, over, &outgoing.progress, &route)
            .await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(incoming(response, exchange));
        }
        let caller = outgoing.upgrade.filter(|_| is_websocket(response.headers()));
        // An API that switches to what nobody asked for has not answered.
        let caller = caller.ok_or(Rejection::UpstreamFailed)?;
        let api = hyper::upgrade::on(&mut response);
        connection.tunnel.put(Tunnel::new(caller, api, exchange, right));
        Ok(switching(response))
    }

    /// Tries the route's servers in turn, the next one only where nothing of the request has been sent.
    async fn send(
        &self,
        mut request: Request<Outbound>,
        over: Over,
        progress: &UploadProgress,
        route: &Route,
    ) -> Result<(Response<Incoming>, Exchange), Rejection> {
        let mut outcome = Rejection::UpstreamUnreachable;
        for server in route.upstreams.in_turn() {
            let Some(place) = server.place() else {
                outcome = Rejection::UpstreamBusy;
                continue;
            };
            match self
                .send_to(server, request, over, progress, &route.forwarding)
                .await
            {
                Ok((response, lease)) => return Ok((response, Exchange::new(lease, place))),
                Err(Failure::Final(rejection)) => return Err(rejection),
                Err(Failure::NotSent(untouched)) => request = *untouched,
            }
        }
        Err(outcome)
    }

    /// Sends over a connection that is open, or else over a new one.
    async fn send_to(
        &self,
        server: &Arc<Upstream>,
        mut request: Request<Outbound>,
        over: Over,
        progress: &UploadProgress,
        forwarding: &Forwarding,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        let mut open = match over {
            Over::AnyConnection => server.open_connection(self.worker, self.connector.generation()),
            Over::ConnectionOfItsOwn => None,
        };
        loop {
            let is_new = open.is_none();
            let lease = match open.take() {
                Some(lease) => lease,
                None => match self.connect(server, over, forwarding).await {
                    Some(lease) => lease,
                    None => return Err(Failure::NotSent(Box::new(request))),
                },
            };
            request = match send_over(lease, server, request, progress, forwarding).await {
                Err(Failure::NotSent(untouched)) if is_new => {
                    server.health().out_of_reach();
                    tracing::warn!(upstream = %server, "{server} failed: it closed a new connection before any request");
                    return Err(Failure::NotSent(untouched));
                }
                // The server closed it in this very moment.
                Err(Failure::NotSent(untouched)) => *untouched,
                sent => return sent,
            };
        }
    }

    /// A new connection; `None` where the server is out of reach, which is logged.
    async fn connect(&self, server: &Arc<Upstream>, over: Over, forwarding: &Forwarding) -> Option<Lease> {
        let limit = forwarding.connect_timeout;
        let offers = match over {
            Over::AnyConnection => server.offers(),
            Over::ConnectionOfItsOwn => Protocols::Http1,
        };
        // Boxed, since most requests need none, and all would carry the room for it.
        let connecting = Box::pin(self.connector.connect(server, offers, self.worker, limit));
        match connecting.await {
            Ok(lease) => Some(lease),
            Err(error) => {
                server.health().out_of_reach();
                log_failure(server, &error);
                None
            }
        }
    }
}

async fn send_over(
    mut lease: Lease,
    server: &Upstream,
    mut request: Request<Outbound>,
    progress: &UploadProgress,
    forwarding: &Forwarding,
) -> Result<(Response<Incoming>, Lease), Failure> {
    address(&mut request, server, lease.version())?;
    progress.touch();
    let sent = tokio::select! {
        biased;
        sent = lease.send(request) => sent,
        () = progress.stalled_for(forwarding.answer_timeout) => {
            return Err(Failure::Final(match progress.waits_for_caller() {
                true => Rejection::RequestBodyTimeout,
                false => Rejection::UpstreamTimeout,
            }));
        }
    };
    match sent {
        Ok(response) => {
            server.health().reached();
            Ok((response, lease))
        }
        Err(mut error) => Err(match error.take_message() {
            Some(untouched) => Failure::NotSent(Box::new(untouched)),
            None => {
                log_failure(server, error.error());
                Failure::Final(Rejection::UpstreamFailed)
            }
        }),
    }
}

/// Which connection a request goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    AnyConnection,
    /// One that may be switched to another protocol.
    ConnectionOfItsOwn,
}

/// Why an exchange with a server came to nothing.
enum Failure {
    /// The request as it was.
    NotSent(Box<Request<Outbound>>),
    Final(Rejection),
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Final(rejection)
    }
}

fn log_failure(server: &Upstream, error: &(dyn Error + 'static)) {
    let words = words_of(error);
    tracing::warn!(upstream = %server, reason = words, "{server} failed: {words}");
}

fn incoming(mut response: Response<Incoming>, exchange: Exchange) -> Response<Content> {
    clean_response(response.headers_mut());
    response.map(|body| Content::upstream(body, exchange))
}

fn switching(mut response: Response<Incoming>) -> Response<Content> {
    let fields = response.headers_mut();
    clean_response(fields);
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, WEBSOCKET);
    response.map(|_none| Content::own(Bytes::new()))
}
