//! A request in the form in which it goes on: nothing in it that only this hop or only the gateway itself may say, and
//! the gateway's own word beside it.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TE, UPGRADE};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri, Version};
use hyper::body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use oauth_core::client_cert_header::{CLIENT_CERT, CLIENT_CERT_CHAIN};
use service::request_id::RequestId;

use super::Over;
use crate::accepted_token::AcceptedToken;
use crate::authorize::AuthorizedRequest;
use crate::body::{Upload, UploadProgress};
use crate::connection::{Connection, PresentedCertificate};
use crate::headers::{OWN, clean_request, list_members};
use crate::rejection::Rejection;
use crate::route::{ClientCertHeader, Route, Upgrades};
use crate::tunnel::Right;
use crate::upstream::{Outbound, OwnField, Server};

const CLIENT_CERTIFICATE: HeaderName = HeaderName::from_static(CLIENT_CERT);
const CLIENT_CERTIFICATE_CHAIN: HeaderName = HeaderName::from_static(CLIENT_CERT_CHAIN);
pub(super) const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// What goes on, to whichever of the route's servers.
pub(super) struct Outgoing<'a> {
    /// Until it is sent.
    pub(super) request: Option<Request<Outbound>>,
    pub(super) own_word: OwnWord<'a>,
    /// How far its body has come.
    pub(super) progress: Arc<UploadProgress>,
    /// Where the request asks to switch protocols, and may; boxed, since hardly any does.
    pub(super) switching: Option<Box<Switching>>,
}

/// What the gateway tells the API of every request, whatever the caller said.
pub(super) struct OwnWord<'a> {
    token: AcceptedToken,
    request_id: &'a RequestId,
    pub(super) connection: &'a Connection,
}

/// The caller's side of a connection that is to be switched, and the right to that.
pub(super) struct Switching {
    pub(super) caller: OnUpgrade,
    pub(super) right: Right,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(authorized: AuthorizedRequest<'a, Incoming>, request_id: &'a RequestId) -> Self {
        let (route, connection) = (authorized.route(), authorized.connection());
        let certificate = authorized.certificate();
        let expires_at = authorized.expires_at();
        let (mut request, token) = authorized.into_parts();
        let may_switch = route.forwarding.upgrades == Upgrades::WebSocket && asks_for_websocket(&request);
        let caller = may_switch.then(|| hyper::upgrade::on(&mut request));
        let (mut parts, body) = request.into_parts();
        let fields = &mut parts.headers;
        clean_request(fields);
        token.tell_api(fields);
        if let Some(presented) = certificate {
            tell_certificate(fields, presented, route);
        }
        if caller.is_some() {
            fields.insert(UPGRADE, WEBSOCKET);
        }
        // Nothing else of this hop goes along.
        parts.extensions.clear();
        let (upload, progress) = Upload::new(body, connection.certificate_header().cloned());
        let upload = upload.over(parts.version, &connection.activity);
        let switching = caller.map(|caller| {
            let right = Right {
                expires_at,
                certificate: certificate.cloned(),
            };
            Box::new(Switching { caller, right })
        });
        Self {
            request: Some(Request::from_parts(parts, upload)),
            own_word: OwnWord {
                token,
                request_id,
                connection,
            },
            progress,
            switching,
        }
    }

    /// Which connection it goes over.
    pub(super) const fn over(&self) -> Over {
        match self.switching {
            Some(_) => Over::ConnectionOfItsOwn,
            None => Over::AnyConnection,
        }
    }
}

impl OwnWord<'_> {
    /// In the fields of which [`clean_request`] has left none of the caller's.
    pub(super) fn fields(&self) -> impl Iterator<Item = OwnField<'_>> + Clone {
        let connection = self.connection;
        let jwt = self.token.jwt().map(str::as_bytes);
        let authorization = jwt.map(|jwt| (&AUTHORIZATION, [b"Bearer ", jwt]));
        let values = [
            self.request_id.as_str().as_bytes(),
            connection.forwarded_for.as_bytes(),
            connection.forwarded_host.as_bytes(),
            b"https",
        ];
        let values = values.map(|value| [b"", value]);
        authorization.into_iter().chain(OWN.iter().zip(values))
    }
}

/// RFC 6455 §4.2.1
fn asks_for_websocket(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_11
        && request.method() == Method::GET
        && request.body().is_end_stream()
        && list_members(request.headers(), &CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade"))
        && is_websocket(request.headers())
}

/// Whether `Upgrade` names WebSocket and nothing else.
pub(super) fn is_websocket(fields: &HeaderMap) -> bool {
    let mut protocols = list_members(fields, &UPGRADE);
    protocols
        .next()
        .is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
        && protocols.next().is_none()
}

fn tell_certificate(fields: &mut HeaderMap, presented: &PresentedCertificate, route: &Route) {
    if let Some((name, value)) = &presented.handed_on_in {
        fields.insert(name, value.clone());
    }
    if route.client_cert_header == ClientCertHeader::NotSent {
        return;
    }
    fields.insert(CLIENT_CERTIFICATE, presented.header());
    if let (ClientCertHeader::SentWithChain, Some(chain)) =
        (route.client_cert_header, &presented.chain_header)
    {
        fields.insert(CLIENT_CERTIFICATE_CHAIN, chain.clone());
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
    server: &Server,
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
            nominate(request.headers_mut());
        }
    }
    *request.version_mut() = version;
    Ok(())
}

fn origin_form(path_and_query: PathAndQuery) -> Result<Uri, Rejection> {
    let target = Uri::builder().path_and_query(path_and_query).build();
    target.map_err(|_| Rejection::PathAmbiguous)
}

/// Names, as HTTP/1.1 wants it, the fields that belong to the hop to the API. RFC 9110 §7.8, §10.1.4
fn nominate(fields: &mut HeaderMap) {
    let options = match (fields.contains_key(UPGRADE), fields.contains_key(TE)) {
        (true, true) => "upgrade, te",
        (true, false) => "upgrade",
        (false, true) => "te",
        (false, false) => return,
    };
    fields.insert(CONNECTION, HeaderValue::from_static(options));
}
