//! Forwarding to the API: accepts nothing but an [`AuthorizedRequest`], and tries the route's servers until one has it.
//!
//! Bodies stream both ways. Every wait is bounded: for a connection, for the answer's head, between two pieces of the
//! request's body; for those of the answer's, by the connection on which it goes out.

mod outgoing;

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use service::request_id::RequestId;

use self::outgoing::{Outgoing, Switching, WEBSOCKET, address, is_websocket};
use crate::authorize::AuthorizedRequest;
use crate::headers::clean_response;
use crate::rejection::Rejection;
use crate::response_body::Content;
use crate::route::{Forwarding, Route};
use crate::token_error::words_of;
use crate::tunnel::Tunnel;
use crate::upstream::{AnswerBody, Connector, Lease, Protocols, Server, Unanswered, UpstreamPlace};

/// The way to the APIs, of one worker.
#[derive(Debug)]
pub(crate) struct Forwarder {
    connector: Arc<Connector>,
    worker: usize,
}

impl Forwarder {
    /// Over connections of this worker's own, which `connector` opens.
    pub(crate) const fn new(connector: Arc<Connector>, worker: usize) -> Self {
        Self { connector, worker }
    }

    /// Forwards an authorized request, and answers what the API answers.
    ///
    /// The request stays where it is until it is sent: an asynchronous function would hold a copy of it for each that
    /// it is handed to.
    ///
    /// # Errors
    ///
    /// [`Rejection`] where no server of the API can be reached or takes more, or none answers in time.
    pub(crate) fn forward<'a>(
        &'a self,
        authorized: AuthorizedRequest<'a, Incoming>,
        request_id: &'a RequestId,
    ) -> impl Future<Output = Result<Response<Content>, Rejection>> + Send + use<'a> {
        let route = authorized.route();
        let mut outgoing = Outgoing::new(authorized, request_id);
        async move {
            let (response, place) = self.send(&mut outgoing, route).await?;
            match response.status() {
                StatusCode::SWITCHING_PROTOCOLS => switch(response, place, outgoing),
                _ => Ok(incoming(response, place)),
            }
        }
    }

    /// Tries the route's servers in turn, the next one only where nothing of the request has been sent.
    async fn send(
        &self,
        outgoing: &mut Outgoing<'_>,
        route: &Route,
    ) -> Result<(Response<AnswerBody>, UpstreamPlace), Rejection> {
        let mut outcome = Rejection::UpstreamUnreachable;
        for upstream in route.upstreams.in_turn() {
            let Some(place) = upstream.place() else {
                outcome = Rejection::UpstreamBusy;
                continue;
            };
            if let Some(request) = &mut outgoing.request {
                request.body_mut().take_place(&place);
            }
            match self.send_to(upstream.server(), outgoing, &route.forwarding).await {
                Ok(response) => return Ok((response, place)),
                Err(Failure::Final(rejection)) => return Err(rejection),
                // The next server has as long for its answer.
                Err(Failure::NotSent) => outgoing.progress.touch(),
            }
        }
        Err(outcome)
    }

    /// Sends over a connection that is open, or else over a new one.
    async fn send_to(
        &self,
        server: &Arc<Server>,
        outgoing: &mut Outgoing<'_>,
        forwarding: &Forwarding,
    ) -> Result<Response<AnswerBody>, Failure> {
        let over = outgoing.over();
        let mut open = match over {
            Over::AnyConnection => server.open_connection(self.worker, self.connector.generation()),
            Over::ConnectionOfItsOwn => None,
        };
        loop {
            let is_new = open.is_none();
            let lease = match open.take() {
                Some(lease) => lease,
                None => {
                    let lease = self.connect(server, over, forwarding).await;
                    let lease = lease.ok_or(Failure::NotSent)?;
                    // Connecting has a limit of its own.
                    outgoing.progress.touch();
                    lease
                }
            };
            match send_over(lease, server, outgoing, forwarding).await {
                Err(Failure::NotSent) if is_new => {
                    server.health().out_of_reach();
                    tracing::warn!(upstream = %server, "{server} failed: it closed a new connection before any request");
                    return Err(Failure::NotSent);
                }
                // The server closed it in this very moment.
                Err(Failure::NotSent) => {}
                sent => return sent,
            }
        }
    }

    /// A new connection; `None` where the server is out of reach, which is logged.
    async fn connect(&self, server: &Arc<Server>, over: Over, forwarding: &Forwarding) -> Option<Lease> {
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
    lease: Lease,
    server: &Server,
    outgoing: &mut Outgoing<'_>,
    forwarding: &Forwarding,
) -> Result<Response<AnswerBody>, Failure> {
    let Outgoing {
        request,
        own_word,
        progress,
        ..
    } = outgoing;
    let unsent = request.as_mut().ok_or(Rejection::UpstreamFailed)?;
    address(unsent, server, lease.version())?;
    let (limit, slot) = (forwarding.answer_timeout, &own_word.connection.answer_timer);
    let mut timer = slot.take(limit);
    let sent = tokio::select! {
        biased;
        sent = lease.send(request, own_word.fields()) => sent,
        () = progress.stalled_by(timer.as_mut(), limit) => {
            // It was reached, whatever became of the request.
            server.health().reached();
            return Err(Failure::Final(match progress.waits_for_caller() {
                true => Rejection::RequestBodyTimeout,
                false => Rejection::UpstreamTimeout,
            }));
        }
    };
    slot.leave(timer);
    match sent {
        Ok(response) => {
            server.health().reached();
            Ok(response)
        }
        Err(Unanswered::NotSent) => Err(Failure::NotSent),
        Err(Unanswered::Failed(_)) if progress.is_broken_off() => {
            server.health().reached();
            Err(Failure::Final(Rejection::RequestBodyIncomplete))
        }
        Err(Unanswered::Failed(error)) => {
            log_failure(server, &error);
            Err(Failure::Final(Rejection::UpstreamFailed))
        }
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
    /// The request is as it was.
    NotSent,
    Final(Rejection),
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Final(rejection)
    }
}

fn log_failure(server: &Server, error: &(dyn Error + 'static)) {
    let words = words_of(error);
    tracing::warn!(upstream = %server, reason = words, "{server} failed: {words}");
}

fn incoming(mut response: Response<AnswerBody>, place: UpstreamPlace) -> Response<Content> {
    clean_response(response.headers_mut());
    response.map(|body| Content::upstream(body, place))
}

/// An API that switches to what nobody asked for has not answered.
fn switch(
    response: Response<AnswerBody>,
    place: UpstreamPlace,
    outgoing: Outgoing<'_>,
) -> Result<Response<Content>, Rejection> {
    let (mut head, body) = response.into_parts();
    let asked = outgoing.switching.filter(|_| is_websocket(&head.headers));
    let (Some(asked), Some(api)) = (asked, body.into_switched()) else {
        return Err(Rejection::UpstreamFailed);
    };
    let Switching { caller, right } = *asked;
    let tunnel = Tunnel::new(caller, api, place, right);
    outgoing.own_word.connection.tunnel.put(tunnel);
    clean_response(&mut head.headers);
    head.headers
        .insert(CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers.insert(UPGRADE, WEBSOCKET);
    Ok(Response::from_parts(head, Content::own(Bytes::new())))
}
