//! HTTP/1.1 towards the APIs. A request drives its connection itself: no task stands behind one, and one that waits
//! for a request holds no buffer.
//!
//! What an API says is read strictly: where the end of an answer could be found in two ways there is no answer, and
//! nothing follows on a connection unless both sides have said all they had to say.

mod body;
mod chunked;
mod connection;
mod early_answer;
mod exchange;
mod framing;
mod request_head;
mod response_head;
mod sending;
mod stream;
#[cfg(test)]
mod tests;

use std::io;

pub(crate) use self::body::Body;
pub(crate) use self::connection::{Connection, Switched};
pub(crate) use self::early_answer::EarlyAnswer;
pub(crate) use self::exchange::{Exchange, Lent};
pub(super) use self::framing::settle_content_length;
#[cfg(any(test, fuzzing))]
pub(crate) use self::stream::Stream;
pub(super) use self::stream::{Connected, Socket};
use crate::body::UploadError;

/// Why an exchange came to nothing, or its answer breaks off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("it closed the connection before its answer was whole")]
    Closed,
    #[error("its answer is malformed")]
    Malformed(#[from] Malformed),
    #[error("the connection broke")]
    Broken(#[from] io::Error),
    #[error("the request broke off")]
    Upload(#[from] UploadError),
    #[error("the request's body is not as long as it said")]
    UploadLength,
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("its head cannot be read: {0}")]
    Head(#[from] httparse::Error),
    #[error("its head is too long")]
    TooLong,
    #[error("its Content-Length is no number, or more than one")]
    ContentLength,
    #[error("its Transfer-Encoding is not `chunked`")]
    TransferEncoding,
    #[error("it switches to a protocol that nobody asked for")]
    Switched,
    #[error("too many interim answers come before it")]
    Interim,
    #[error("its chunks cannot be told apart")]
    Chunk,
    #[error("its trailers cannot be read")]
    Trailers,
}
