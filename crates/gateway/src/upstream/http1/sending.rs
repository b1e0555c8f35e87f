//! A request on its way out.

use std::fmt;
use std::io::IoSlice;
use std::mem::take;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;

use super::ExchangeError;
use super::exchange::OutgoingBody;
use super::request_head::{self, BodyForm};
use super::stream::Stream;
use crate::body::UploadError;
use crate::upstream::OwnField;

const LAST_CHUNK: &str = "0\r\n";
/// What one TLS record holds: a first write of no more than that which fails has shown the server nothing.
const RECORD: usize = 16 * 1024;
/// A piece of the body that is copied, so that many go out at once; larger ones go out as they are.
const SMALL: usize = 1024;

/// What of a request has not been written yet, but for the body that is still to come.
pub(super) struct Sending {
    /// The head, and what stands before each piece of the body and behind the last.
    lines: Vec<u8>,
    written: usize,
    /// Bytes in all.
    sent: u64,
    data: Bytes,
    /// What stands behind `data`.
    end_of_data: &'static [u8],
    form: BodyForm,
    progress: Progress,
    has_all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Neither has a byte been written, nor anything of the body been taken.
    Untouched,
    Begun,
}

impl fmt::Debug for Sending {
    /// Lengths alone: the head holds the token, and the body is the caller's.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sending")
            .field("lines", &self.lines.len())
            .field("written", &self.written)
            .field("sent", &self.sent)
            .field("data", &self.data.len())
            .field("form", &self.form)
            .field("progress", &self.progress)
            .field("has_all", &self.has_all)
            .finish_non_exhaustive()
    }
}

impl Sending {
    /// The whole of this request, and the gateway's own fields.
    pub(super) fn new<'a, B: Body>(
        request: &Request<B>,
        own_fields: impl Iterator<Item = OwnField<'a>> + Clone,
    ) -> Self {
        let (lines, form) = request_head::write(request, own_fields);
        Self {
            has_all: matches!(form, BodyForm::Plain(0)),
            lines,
            written: 0,
            sent: 0,
            data: Bytes::new(),
            end_of_data: b"",
            form,
            progress: Progress::Untouched,
        }
    }

    /// How many bytes have been written.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the request can be sent again, for nothing of it has been.
    pub(super) fn is_untouched(&self) -> bool {
        self.progress == Progress::Untouched
    }

    /// Writes what there is, the first of the body together with the head; ready once all has been written.
    ///
    /// # Errors
    ///
    /// [`ExchangeError`] where the connection or the body breaks off.
    pub(super) fn poll(
        &mut self,
        stream: &mut Stream,
        body: &mut (impl OutgoingBody + ?Sized),
        context: &mut Context<'_>,
    ) -> Poll<Result<(), ExchangeError>> {
        loop {
            while !self.has_data() && !self.has_all && self.lines.len() < RECORD {
                match Pin::new(&mut *body).poll_frame(context) {
                    Poll::Ready(frame) => self.take_up(frame)?,
                    Poll::Pending => {
                        ready!(self.poll_write_all(stream, context))?;
                        return Poll::Pending;
                    }
                }
            }
            ready!(self.poll_write_all(stream, context))?;
            if self.has_all {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn take_up(&mut self, frame: Option<Result<Frame<Bytes>, UploadError>>) -> Result<(), ExchangeError> {
        self.progress = Progress::Begun;
        match frame.transpose()?.map(Frame::into_data) {
            Some(Ok(data)) if data.is_empty() => Ok(()),
            Some(Ok(data)) => self.take_up_data(data),
            Some(Err(frame)) => self.take_up_end(&frame.into_trailers().unwrap_or_default()),
            None => self.take_up_end(&HeaderMap::new()),
        }
    }

    fn take_up_data(&mut self, data: Bytes) -> Result<(), ExchangeError> {
        match &mut self.form {
            BodyForm::Plain(rest) => {
                let length = data.len() as u64;
                *rest = rest.checked_sub(length).ok_or(ExchangeError::UploadLength)?;
                self.has_all = *rest == 0;
            }
            BodyForm::Chunks(_) => {
                self.lines
                    .extend_from_slice(format!("{:X}\r\n", data.len()).as_bytes());
                self.end_of_data = b"\r\n";
            }
        }
        if data.len() > SMALL {
            self.data = data;
        } else {
            self.lines.extend_from_slice(&data);
            self.lines.extend_from_slice(take(&mut self.end_of_data));
        }
        Ok(())
    }

    fn take_up_end(&mut self, trailers: &HeaderMap) -> Result<(), ExchangeError> {
        let BodyForm::Chunks(announced) = &self.form else {
            return Err(ExchangeError::UploadLength);
        };
        self.lines.extend_from_slice(LAST_CHUNK.as_bytes());
        for (name, value) in trailers {
            if announced.contains(name) {
                request_head::put_field(&mut self.lines, name, value.as_bytes());
            }
        }
        self.lines.extend_from_slice(b"\r\n");
        self.has_all = true;
        Ok(())
    }

    fn poll_write_all(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), ExchangeError>> {
        let mut stream = Pin::new(stream);
        while self.written < self.lines.len() || self.has_data() {
            let lines = &self.lines[self.written..];
            let writing = match self.progress {
                Progress::Untouched => stream
                    .as_mut()
                    .poll_write(context, &lines[..lines.len().min(RECORD)]),
                Progress::Begun => {
                    let slices = [lines, &self.data, self.end_of_data].map(IoSlice::new);
                    stream.as_mut().poll_write_vectored(context, &slices)
                }
            };
            match ready!(writing)? {
                0 => return Poll::Ready(Err(ExchangeError::Closed)),
                written => self.advance(written),
            }
        }
        self.lines.clear();
        self.written = 0;
        stream.poll_flush(context).map_err(ExchangeError::Broken)
    }

    fn has_data(&self) -> bool {
        !self.data.is_empty() || !self.end_of_data.is_empty()
    }

    fn advance(&mut self, mut written: usize) {
        self.progress = Progress::Begun;
        self.sent += written as u64;
        let lines = written.min(self.lines.len() - self.written);
        self.written += lines;
        written -= lines;
        let data = written.min(self.data.len());
        self.data.advance(data);
        self.end_of_data = &self.end_of_data[written - data..];
    }
}
