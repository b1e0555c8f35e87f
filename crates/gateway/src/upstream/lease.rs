//! A connection, or a stream of one, that belongs to one request.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::OwnField;
use super::http1::{self, EarlyAnswer, ExchangeError, Switched};
use super::pool::Stream;
use crate::body::Upload;

/// The body of a request on its way to an API.
pub(crate) type Outbound = Upload<Incoming>;

/// A connection, or a stream of one, for one request.
#[derive(Debug)]
pub(crate) enum Lease {
    Http1(http1::Lent),
    Http2(Stream),
}

impl Lease {
    /// The form in which requests go over this connection.
    pub(crate) const fn version(&self) -> Version {
        match self {
            Self::Http1(_) => Version::HTTP_11,
            Self::Http2(_) => Version::HTTP_2,
        }
    }

    /// Sends the request, and takes it. The gateway's own fields are sent with it; it has none of them itself.
    ///
    /// # Errors
    ///
    /// [`Unanswered`]; where nothing of the request was sent, it is still there.
    pub(crate) async fn send(
        self,
        request: &mut Option<Request<Outbound>>,
        own_fields: impl Iterator<Item = OwnField<'_>> + Clone,
    ) -> Result<Response<AnswerBody>, Unanswered> {
        match self {
            Self::Http1(lent) => {
                let response = http1::Exchange::new(lent, request, own_fields).await?;
                Ok(response.map(|body| match body.is_early() {
                    true => AnswerBody::Early(EarlyAnswer::drive(body)),
                    false => AnswerBody::Http1(body),
                }))
            }
            // Boxed, since what it holds is large.
            Self::Http2(stream) => Box::pin(send_over_http2(stream, request, own_fields)).await,
        }
    }
}

async fn send_over_http2(
    mut stream: Stream,
    request: &mut Option<Request<Outbound>>,
    own_fields: impl Iterator<Item = OwnField<'_>> + Clone,
) -> Result<Response<AnswerBody>, Unanswered> {
    let mut taken = request.take().ok_or(Unanswered::NotSent)?;
    put_own_fields(taken.headers_mut(), own_fields.clone());
    taken.body_mut().over_stream(Some(stream.open()));
    match stream.sender().try_send_request(taken).await {
        Ok(mut response) => {
            http1::settle_content_length(response.headers_mut());
            Ok(response.map(|body| AnswerBody::Http2 {
                body,
                _stream: stream,
            }))
        }
        Err(mut error) => {
            *request = error.take_message();
            let Some(unsent) = request else {
                return Err(Unanswered::Failed(error.into_error().into()));
            };
            // The next connection gets them anew, perhaps in another form.
            take_own_fields(unsent.headers_mut(), own_fields);
            unsent.body_mut().over_stream(None);
            Err(Unanswered::NotSent)
        }
    }
}

fn put_own_fields<'a>(fields: &mut HeaderMap, own_fields: impl Iterator<Item = OwnField<'a>>) {
    for (name, value) in own_fields {
        let mut value =
            HeaderValue::from_bytes(&value.concat()).expect("the gateway's own fields are visible ASCII");
        // Else a table of the connection's would remember the token. RFC 7541 §7.1.3
        value.set_sensitive(*name == AUTHORIZATION);
        fields.insert(name, value);
    }
}

fn take_own_fields<'a>(fields: &mut HeaderMap, own_fields: impl Iterator<Item = OwnField<'a>>) {
    for (name, _) in own_fields {
        fields.remove(name);
    }
}

/// Why there is no answer to a request.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The request is as it was.
    NotSent,
    Failed(AnswerError),
}

/// What went wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error(transparent)]
    Http1(#[from] ExchangeError),
    #[error(transparent)]
    Http2(#[from] hyper::Error),
    #[error("it reset the stream before its answer was whole")]
    Reset,
}

/// The body of an API's answer, with the connection that it takes.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    Http1(http1::Body),
    Early(EarlyAnswer),
    Http2 { body: Incoming, _stream: Stream },
}

impl AnswerBody {
    /// The connection, where the answer switched it to another protocol.
    pub(crate) fn into_switched(self) -> Option<Switched> {
        match self {
            Self::Http1(body) => body.into_switched(),
            Self::Early(_) | Self::Http2 { .. } => None,
        }
    }
}

#[cfg(test)]
impl AnswerBody {
    /// The answer of whoever is at the other end of this stream.
    pub(crate) async fn of_test(stream: tokio::io::DuplexStream) -> Response<Self> {
        use http_body_util::{BodyExt, Empty};

        let server = super::Server::parse("http://localhost", super::Protocols::Http1).unwrap();
        let connection = http1::Connection::new(http1::Stream::Memory(stream), 0, 0);
        let lent = http1::Lent::new(Box::new(connection), std::sync::Arc::new(server));
        let mut request = Some(Request::new(Empty::new().map_err(|never| match never {})));
        let response = http1::Exchange::new(lent, &mut request, std::iter::empty()).await;
        response.unwrap().map(Self::Http1)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        match self.get_mut() {
            Self::Http1(body) => Pin::new(body).poll_frame(context).map_err(AnswerError::Http1),
            Self::Early(body) => body.poll_frame(context).map_err(AnswerError::Http1),
            Self::Http2 { body, .. } => match Pin::new(&mut *body).poll_frame(context) {
                // A stream may be reset without an error, and has not ended then.
                Poll::Ready(None) if !body.is_end_stream() => Poll::Ready(Some(Err(AnswerError::Reset))),
                polled => polled.map_err(AnswerError::Http2),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Early(body) => body.is_over(),
            Self::Http2 { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Early(_) => SizeHint::default(),
            Self::Http2 { body, .. } => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::HOST;

    use super::*;

    #[test]
    fn own_fields_go_into_a_request_and_out_again_with_the_token_marked() {
        let own_fields: [OwnField<'_>; 2] = [
            (&AUTHORIZATION, [b"Bearer ", b"a.b.c"]),
            (&HOST, [b"", b"api.example.com"]),
        ];
        let mut fields = HeaderMap::new();
        fields.insert("accept", HeaderValue::from_static("*/*"));
        let before = fields.clone();
        put_own_fields(&mut fields, own_fields.into_iter());
        assert_eq!(fields.len(), 3);
        for (name, value) in own_fields {
            assert_eq!(fields[name].as_bytes(), value.concat());
            assert_eq!(fields[name].is_sensitive(), *name == AUTHORIZATION, "{name}");
        }
        take_own_fields(&mut fields, own_fields.into_iter());
        assert_eq!(fields, before);
    }
}
