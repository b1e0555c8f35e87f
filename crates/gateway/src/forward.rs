//! Forwarding to the API: accepts nothing but an [`AuthorizedRequest`], and sends nothing that only this hop or only
//! the gateway itself may say.
//!
//! Bodies stream both ways. Every wait is bounded: for a connection, for the answer's head, between two pieces of the
//! request's body; for those of the answer's, by the connection on which it goes out.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use mtls::{Alpn, ClientTls};
use oauth_core::client_cert_header::CLIENT_CERT;

use crate::authorize::AuthorizedRequest;
use crate::body::{Upload, UploadProgress};
use crate::connection::Connection;
use crate::headers::{clean_request, clean_response};
use crate::rejection::Rejection;
use crate::request_id::{RequestId, X_REQUEST_ID};
use crate::response_body::Content;
use crate::route::{ClientCertHeader, Route, Upstream, UpstreamPlace};
use crate::token_error::words_of;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const CLIENT_CERTIFICATE: HeaderName = HeaderName::from_static(CLIENT_CERT);

/// For a TCP connection to one server.
const CONNECT: Duration = Duration::from_secs(5);
/// From the last piece of the request to the answer's head.
const ANSWER: Duration = Duration::from_secs(30);
/// Below the time after which our servers close an idle connection, so that no request meets a closed one.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// Bounds the descriptors idle connections take; above the connections one server usually needs.
const MOST_IDLE_PER_SERVER: usize = 256;
/// Bounds the memory an API's header fields can take.
const LARGEST_HEADERS: usize = 64 * 1024;

/// The way to the APIs.
#[derive(Debug)]
pub(crate) struct Forwarder {
    client: Client<HttpsConnector<HttpConnector>, Upload<Incoming>>,
}

impl Forwarder {
    /// Connects as `tls` says; over HTTP/1.1 alone.
    ///
    /// # Errors
    ///
    /// When the TLS configuration cannot be made.
    pub(crate) fn new(tls: &ClientTls) -> Result<Self, mtls::client::ClientError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.rustls_client_config(Alpn::Unset)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(MOST_IDLE_PER_SERVER)
            .http1_max_buf_size(LARGEST_HEADERS)
            .set_host(false)
            .build(connector);
        Ok(Self { client })
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
        let outgoing = Outgoing::new(authorized, request_id)?;
        let (response, place) = self.send(outgoing, &route).await?;
        incoming(response, place)
    }

    /// Tries the route's servers in turn, the next one only where nothing of the request has been sent.
    async fn send(
        &self,
        outgoing: Outgoing,
        route: &Route,
    ) -> Result<(Response<Incoming>, UpstreamPlace), Rejection> {
        let Outgoing {
            mut template,
            path_and_query,
            mut body,
        } = outgoing;
        let mut outcome = Rejection::UpstreamUnreachable;
        let mut servers = route.upstreams.in_turn().peekable();
        while let Some(upstream) = servers.next() {
            let Some(place) = upstream.place() else {
                outcome = Rejection::UpstreamBusy;
                continue;
            };
            let (upload, progress) = Upload::new(body);
            let head = if servers.peek().is_some() {
                template.clone()
            } else {
                std::mem::take(&mut template)
            };
            let request = addressed(head, upload, &path_and_query, upstream)?;
            match self.send_to(request, &progress, upstream).await {
                Ok(response) => return Ok((response, place)),
                Err(Failure::Final(rejection)) => return Err(rejection),
                Err(Failure::NotConnected) => {}
            }
            let Some(untouched) = progress.take_back() else {
                break;
            };
            body = untouched;
        }
        Err(outcome)
    }

    async fn send_to(
        &self,
        request: Request<Upload<Incoming>>,
        progress: &UploadProgress<Incoming>,
        upstream: &Upstream,
    ) -> Result<Response<Incoming>, Failure> {
        let sent = tokio::select! {
            sent = self.client.request(request) => sent,
            () = progress.stalled_for(ANSWER) => {
                return Err(Failure::Final(match progress.waits_for_caller() {
                    true => Rejection::RequestBodyTimeout,
                    false => Rejection::UpstreamTimeout,
                }));
            }
        };
        sent.map_err(|error| {
            let words = words_of(&error);
            tracing::warn!(upstream = %upstream, reason = words, "{upstream} failed: {words}");
            match error.is_connect() {
                true => Failure::NotConnected,
                false => Failure::Final(Rejection::UpstreamFailed),
            }
        })
    }
}

enum Failure {
    NotConnected,
    Final(Rejection),
}

/// A request in the form in which it goes to any of the route's servers.
struct Outgoing {
    template: Request<()>,
    path_and_query: PathAndQuery,
    body: Incoming,
}

impl Outgoing {
    fn new(authorized: AuthorizedRequest<Incoming>, request_id: &RequestId) -> Result<Self, Rejection> {
        let mut own_fields = HeaderMap::new();
        authorized.tell_api(&mut own_fields);
        own_fields.insert(X_REQUEST_ID, request_id.header());
        tell_connection(&mut own_fields, authorized.connection(), authorized.route());
        let (mut parts, body) = authorized.into_request().into_parts();
        let path_and_query = parts
            .uri
            .path_and_query()
            .cloned()
            .ok_or(Rejection::PathAmbiguous)?;
        clean_request(&mut parts.headers);
        parts.headers.extend(own_fields);
        parts.version = Version::HTTP_11;
        // Nothing of this hop, such as a wish to upgrade, goes along.
        parts.extensions.clear();
        Ok(Self {
            template: Request::from_parts(parts, ()),
            path_and_query,
            body,
        })
    }
}

fn tell_connection(fields: &mut HeaderMap, connection: &Connection, route: &Route) {
    fields.insert(X_FORWARDED_FOR, connection.forwarded_for.clone());
    fields.insert(X_FORWARDED_HOST, connection.forwarded_host.clone());
    fields.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    if let (ClientCertHeader::Sent, Some(presented)) =
        (route.client_cert_header, &connection.client_certificate)
    {
        fields.insert(CLIENT_CERTIFICATE, presented.header.clone());
    }
}

fn addressed(
    head: Request<()>,
    upload: Upload<Incoming>,
    path_and_query: &PathAndQuery,
    upstream: &Upstream,
) -> Result<Request<Upload<Incoming>>, Rejection> {
    let mut request = head.map(|()| upload);
    *request.uri_mut() = upstream
        .uri(path_and_query.clone())
        .map_err(|_| Rejection::PathAmbiguous)?;
    request.headers_mut().insert(HOST, upstream.host());
    Ok(request)
}

/// An API that switches protocols although nobody asked it to has not answered.
fn incoming(mut response: Response<Incoming>, place: UpstreamPlace) -> Result<Response<Content>, Rejection> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Rejection::UpstreamFailed);
    }
    clean_response(response.headers_mut());
    Ok(response.map(|body| Content::upstream(body, place)))
}
