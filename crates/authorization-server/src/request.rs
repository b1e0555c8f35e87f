//! What the endpoints for clients read of a request, once, before anything is decided.

use std::convert::Infallible;
use std::mem::take;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, Uri, header};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use mtls::{Connection, PresentedChain};
use oauth_core::certificate::ClientCertificate;
use oauth_core::client_authentication::{AuthenticationError, ClientCredentials};
use oauth_core::error::OAuthError;
use oauth_core::form::FormParameters;
use oauth_core::introspection::{NotAcceptable, Representation};
use oauth_core::time::Timestamp;

use crate::response::{Cause, Refusal};

/// Parameters that must not stand in a URL, where proxies and histories keep them. RFC 6749 §2.3.1
const NEVER_IN_THE_QUERY: [&str; 9] = [
    "access_token",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "grant_type",
    "scope",
    "token",
    "token_type_hint",
];

/// Bounds the memory a request's body takes: many times what the longest useful form needs.
const LONGEST_BODY: usize = 16 * 1024;
/// Bounds what a stranger can write into the log with every request.
const LONGEST_LOGGED_CLIENT_ID: usize = 64;

/// A request to an endpoint for clients, with the moment it was read.
#[derive(Debug)]
pub(crate) struct EndpointRequest {
    pub(crate) received_at: SystemTime,
    /// The same moment, as OAuth counts.
    now: Timestamp,
    headers: HeaderMap,
    uri: Uri,
    connection: Option<Arc<Connection>>,
    body: Result<Bytes, UnreadBody>,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnreadBody {
    TooLong,
    Broken,
}

impl<S: Send + Sync> FromRequest<S> for EndpointRequest {
    type Rejection = Infallible;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::read(request).await)
    }
}

impl EndpointRequest {
    /// Reads a request to its end.
    pub(crate) fn read(mut request: Request) -> impl Future<Output = Self> + Send {
        let connection = request.extensions_mut().remove();
        let (headers, uri) = (take(request.headers_mut()), take(request.uri_mut()));
        let body = read_body(request.into_body());
        async move {
            let body = body.await;
            let received_at = SystemTime::now();
            Self {
                received_at,
                now: Timestamp::from(received_at),
                headers,
                uri,
                connection,
                body,
            }
        }
    }

    /// The moment the request was read, as OAuth counts.
    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// The form in the body.
    ///
    /// RFC 6749 §3.2
    pub(crate) fn form(&self) -> Result<FormParameters<'_>, Cause> {
        let query = self.uri.query().unwrap_or_default();
        if form_urlencoded::parse(query.as_bytes())
            .any(|(name, _)| NEVER_IN_THE_QUERY.contains(&name.as_ref()))
        {
            return Err(OAuthError::invalid_request("send parameters in the body, never in the URL").into());
        }
        let body = self.body.as_ref().map_err(|error| match error {
            UnreadBody::TooLong => Cause::BodyTooLong,
            UnreadBody::Broken => Cause::BodyUnreadable,
        })?;
        Ok(FormParameters::parse(self.only(header::CONTENT_TYPE), body)?)
    }

    /// What the request offers as proof of who sent it.
    ///
    /// RFC 8705 §2, RFC 6749 §2.3
    pub(crate) fn credentials<'a>(
        &'a self,
        form: &'a FormParameters<'_>,
    ) -> Result<ClientCredentials<'a>, AuthenticationError> {
        ClientCredentials::from_request(self.authorization()?, form, self.certificate())
    }

    /// Where the request comes from.
    pub(crate) fn peer_address(&self) -> Option<SocketAddr> {
        self.connection.as_ref().map(|connection| connection.peer_address)
    }

    /// All that the connection's peer sent, its certificate first.
    pub(crate) fn chain(&self) -> Option<&PresentedChain> {
        self.connection.as_ref().map(|connection| &connection.chain)
    }

    /// The certificate of the connection. One that has expired, was revoked or lost its authority since the handshake
    /// counts as none: a connection may live longer than the trust in its certificate.
    pub(crate) fn certificate(&self) -> Option<&ClientCertificate> {
        self.connection.as_ref()?.trusted_certificate(self.now()).ok()?
    }

    /// The representation that the caller prefers; several fields are one list. RFC 9110 §5.3
    pub(crate) fn representation(&self) -> Result<Representation, NotAcceptable> {
        let fields = self.headers.get_all(header::ACCEPT).iter();
        let mut fields = fields.filter_map(|field| field.to_str().ok());
        match (fields.next(), fields.next()) {
            (only, None) => Representation::negotiate(only),
            (first, second) => {
                let all: Vec<_> = first.into_iter().chain(second).chain(fields).collect();
                Representation::negotiate(Some(&all.join(",")))
            }
        }
    }

    /// This request, refused.
    pub(crate) fn refuse(&self, cause: Cause) -> Refusal {
        Refusal {
            cause,
            sender: self.sender(),
        }
    }

    fn authorization(&self) -> Result<Option<&str>, AuthenticationError> {
        let mut fields = self.headers.get_all(header::AUTHORIZATION).iter();
        match (fields.next(), fields.next()) {
            (None, _) => Ok(None),
            (Some(field), None) => field
                .to_str()
                .map(Some)
                .map_err(|_| AuthenticationError::MalformedBasic),
            (Some(_), Some(_)) => Err(AuthenticationError::TwoMethods),
        }
    }

    /// The value of a field that stands once; a repeated or unreadable one is as good as none.
    fn only(&self, name: HeaderName) -> Option<&str> {
        let mut fields = self.headers.get_all(name).iter();
        let field = fields.next()?;
        if fields.next().is_some() {
            None
        } else {
            field.to_str().ok()
        }
    }

    fn sender(&self) -> Sender {
        Sender {
            claimed_client_id: self.claimed_client_id(),
            sent_authorization: self.headers.contains_key(header::AUTHORIZATION),
        }
    }

    fn claimed_client_id(&self) -> Option<String> {
        let form = self.form().ok()?;
        let credentials = ClientCredentials::from_request(self.authorization().ok()?, &form, None).ok()?;
        Some(fit_for_log(credentials.unverified_client_id()))
    }
}

/// The whole body. It comes in one piece as a rule, which is not copied.
async fn read_body(mut body: Body) -> Result<Bytes, UnreadBody> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| UnreadBody::Broken)?.into_data() else {
            continue;
        };
        if whole.len() + data.len() > LONGEST_BODY {
            return Err(UnreadBody::TooLong);
        }
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Printable ASCII, and not too much of it: a stranger chose it.
fn fit_for_log(client_id: &str) -> String {
    client_id
        .chars()
        .filter(char::is_ascii_graphic)
        .take(LONGEST_LOGGED_CLIENT_ID)
        .collect()
}

/// What a refused request says of who sent it; nothing of it is proven.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sender {
    pub(crate) claimed_client_id: Option<String>,
    /// By whatever scheme.
    pub(crate) sent_authorization: bool,
}
