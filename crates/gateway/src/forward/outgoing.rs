//! A request in the form in which it goes on: nothing in it that only this hop or only the gateway itself may say, and
//! the gateway's own word instead.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TE};
use http::uri::PathAndQuery;
use http::{Request, Uri, Version};
use hyper::body::Incoming;
use oauth_core::client_cert_header::CLIENT_CERT;

use crate::authorize::AuthorizedRequest;
use crate::body::{Upload, UploadProgress};
use crate::connection::Connection;
use crate::headers::clean_request;
use crate::rejection::Rejection;
use crate::request_id::{RequestId, X_REQUEST_ID};
use crate::route::{ClientCertHeader, Route};
use crate::upstream::{Outbound, Upstream};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const CLIENT_CERTIFICATE: HeaderName = HeaderName::from_static(CLIENT_CERT);

/// The request as any of the route's servers is to have it, and how far its body has come.
pub(super) fn outgoing(
    authorized: AuthorizedRequest<Incoming>,
    request_id: &RequestId,
) -> (Request<Outbound>, Arc<UploadProgress>) {
    let authorization = authorized.authorization();
    let route = Arc::clone(authorized.route());
    let connection = Arc::clone(authorized.connection());
    let (mut parts, body) = authorized.into_request().into_parts();
    let fields = &mut parts.headers;
    clean_request(fields);
    fields.insert(AUTHORIZATION, authorization);
    fields.insert(X_REQUEST_ID, request_id.header());
    tell_connection(fields, &connection, &route);
    // Nothing of this hop, such as a wish to upgrade, goes along.
    parts.extensions.clear();
    let (upload, progress) = Upload::new(body);
    (Request::from_parts(parts, upload), progress)
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

/// Addresses a request to this server, in the form of a connection that speaks `version`. Path and query go on byte
/// for byte.
///
/// # Errors
///
/// [`Rejection::PathAmbiguous`] where there is no path; such requests do not come this far.
pub(super) fn address(
    request: &mut Request<Outbound>,
    server: &Upstream,
    version: Version,
) -> Result<(), Rejection> {
    let path_and_query = request.uri().path_and_query().ok_or(Rejection::PathAmbiguous)?;
    match version {
        Version::HTTP_2 => {
            let target = server.uri(path_and_query.clone());
            *request.uri_mut() = target.map_err(|_| Rejection::PathAmbiguous)?;
            request.headers_mut().remove(HOST);
            request.headers_mut().remove(CONNECTION);
        }
        _ => {
            if request.uri().authority().is_some() {
                *request.uri_mut() = origin_form(path_and_query.clone())?;
            }
            request.headers_mut().insert(HOST, server.host());
            nominate_trailers(request.headers_mut());
        }
    }
    *request.version_mut() = version;
    Ok(())
}

fn origin_form(path_and_query: PathAndQuery) -> Result<Uri, Rejection> {
    let target = Uri::builder().path_and_query(path_and_query).build();
    target.map_err(|_| Rejection::PathAmbiguous)
}

/// `TE` is a field of one hop, and over HTTP/1.1 has to be named as one. RFC 9110 §10.1.4
fn nominate_trailers(fields: &mut HeaderMap) {
    if fields.contains_key(TE) {
        fields.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}
