//! A connection lent to one request.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::pool::Sender;
use super::{Upstream, UpstreamPlace};
use crate::body::Upload;

/// The body of a request on its way to an API.
pub(crate) type Outbound = Upload<Incoming>;

/// A connection, or a stream of one, that belongs to one request until it is dropped; it goes back then, if the
/// exchange is over.
#[derive(Debug)]
pub(crate) struct Lease {
    sender: Option<Sender>,
    server: Arc<Upstream>,
    worker: usize,
    generation: u64,
}

impl Lease {
    pub(super) fn new(sender: Sender, server: &Arc<Upstream>, worker: usize, generation: u64) -> Self {
        Self {
            sender: Some(sender),
            server: Arc::clone(server),
            worker,
            generation,
        }
    }

    /// The form in which requests go over this connection.
    pub(crate) const fn version(&self) -> http::Version {
        match self.sender {
            Some(Sender::Http2(_)) => http::Version::HTTP_2,
            _ => http::Version::HTTP_11,
        }
    }

    /// Sends the request.
    ///
    /// # Errors
    ///
    /// With the request in it where nothing of it was sent.
    pub(crate) async fn send(
        &mut self,
        request: Request<Outbound>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Outbound>>> {
        match self.sender.as_mut().expect("taken by drop alone") {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(stream) => stream.sender().try_send_request(request).await,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // One in the middle of an exchange is not ready, and closes with its sender.
        if let Some(Sender::Http1(sender)) = self.sender.take()
            && sender.is_ready()
        {
            let pool = self.server.pool(self.worker);
            pool.keep(sender, self.generation, &self.server);
        }
    }
}

/// What an answer holds of its server until it has gone out: a connection, and a place.
#[derive(Debug)]
pub(crate) struct Exchange {
    _lease: Option<Lease>,
    _place: UpstreamPlace,
}

impl Exchange {
    pub(crate) const fn new(lease: Lease, place: UpstreamPlace) -> Self {
        Self {
            _lease: Some(lease),
            _place: place,
        }
    }

    /// An exchange over a connection that nobody lent.
    #[cfg(test)]
    pub(crate) const fn of_test(place: UpstreamPlace) -> Self {
        Self {
            _lease: None,
            _place: place,
        }
    }
}
