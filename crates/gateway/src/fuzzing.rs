//! The parsers of what strangers send, opened to the fuzz targets; no other build has this module.

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, ReadBuf};

use crate::Configuration;
use crate::accept;
use crate::cache_control;
use crate::headers;
use crate::host::{self, HostName};
use crate::path;
pub use crate::upstream::fuzzing::{Answer, upstream_answer};
use crate::well_formed::WellFormedRequest;

/// The server name of the `ClientHello` that comes in these segments, and every byte taken for it.
///
/// # Errors
///
/// Why there is none, in the words of the log.
pub fn client_hello(segments: &[&[u8]]) -> Result<(Option<String>, Vec<u8>), String> {
    let mut stream = Segments(segments.iter().map(|segment| segment.to_vec()).collect());
    let read = pin!(accept::server_name(&mut stream));
    match read.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => read,
        Poll::Pending => unreachable!("segments are there at once"),
    }
}

struct Segments(VecDeque<Vec<u8>>);

impl AsyncRead for Segments {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut segment) = self.0.pop_front() {
            let rest = segment.split_off(segment.len().min(buffer.remaining()));
            buffer.put_slice(&segment);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// As [`HostName::parse`].
pub fn host_name(text: &str) -> Option<String> {
    HostName::parse(text).ok().map(|name| name.to_string())
}

/// As `host_of_authority`.
pub fn host_of_authority(authority: &[u8]) -> Option<&str> {
    host::host_of_authority(authority)
}

/// Whether a path can be read in one way only.
pub fn is_unambiguous(path: &str) -> bool {
    path::verify(path).is_ok()
}

/// The request, where its form is sound for a connection to `server_name`.
///
/// # Errors
///
/// The reason code.
pub fn well_formed<B>(request: Request<B>, server_name: &str) -> Result<Request<B>, &'static str> {
    let server_name = HostName::parse(server_name).map_err(|_| "server_name")?;
    WellFormedRequest::verify(Box::new(request), &server_name)
        .map(|request| *request.into_request())
        .map_err(|rejection| rejection.reason())
}

/// The prefix of the route that a path leads to.
pub fn route(configuration: &Configuration, host: &str, path: &str) -> Option<String> {
    let host = HostName::parse(host).ok()?;
    let route = configuration.routes.find(&host, path).ok()?;
    Some(route.prefix.to_string())
}

/// For how long an introspection answer may be kept.
pub fn max_age(headers: &HeaderMap) -> Option<Duration> {
    cache_control::max_age(headers)
}

/// Cleans the fields of a request, as they go to the API.
pub fn clean_request(fields: &mut HeaderMap) {
    headers::clean_request(fields);
}

/// Cleans the trailers of a request, as they go to the API.
pub fn clean_request_trailers(trailers: &mut HeaderMap) {
    headers::clean_request_trailers(trailers, None);
}

/// Cleans the fields of a response, as they go to the client.
pub fn clean_response(fields: &mut HeaderMap) {
    headers::clean_response(fields);
}

/// Cleans the trailers of a response, as they go to the client.
pub fn clean_response_trailers(trailers: &mut HeaderMap) {
    headers::clean_response_trailers(trailers);
}
