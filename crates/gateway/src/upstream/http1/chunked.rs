//! A body in chunks, read strictly: every line ends in CRLF, and sizes, extensions and trailers are bounded.
//!
//! [RFC 9112 §7.1](https://www.rfc-editor.org/rfc/rfc9112#section-7.1)

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;

use super::Malformed;

/// Of the digits of a size; as many as a number of 64 bits has.
const MOST_DIGITS: usize = 16;
/// Of a line with a size, and of all extensions of a body together.
const MOST_EXTENSIONS: usize = 16 * 1024;
/// Of all trailers together.
const LONGEST_TRAILERS: usize = 16 * 1024;
const MOST_TRAILERS: usize = 100;
const CRLF: &[u8] = b"\r\n";

/// How far a body in chunks has been read.
#[derive(Debug)]
pub(super) struct Chunked {
    next: Next,
    extensions: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Size,
    Data(u64),
    EndOfData,
    Trailers,
    Nothing,
}

/// What comes next of a body.
#[derive(Debug)]
pub(super) enum Decoded {
    Frame(Frame<Bytes>),
    End,
    /// Not to be said before more was read.
    More,
}

impl Chunked {
    /// Before the first chunk.
    pub(super) const fn new() -> Self {
        Self {
            next: Next::Size,
            extensions: 0,
        }
    }

    /// Takes what comes next off what was read.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where that is neither chunk nor trailer.
    pub(super) fn decode(&mut self, read: &mut Bytes) -> Result<Decoded, Malformed> {
        loop {
            match self.next {
                Next::Size => {
                    let Some(line) = take_line(read)? else {
                        return Ok(Decoded::More);
                    };
                    self.next = match self.size(&line)? {
                        0 => Next::Trailers,
                        size => Next::Data(size),
                    };
                }
                Next::Data(rest) => {
                    let Some(data) = take_data(read, rest) else {
                        return Ok(Decoded::More);
                    };
                    self.next = match rest - data.len() as u64 {
                        0 => Next::EndOfData,
                        rest => Next::Data(rest),
                    };
                    return Ok(Decoded::Frame(Frame::data(data)));
                }
                Next::EndOfData => {
                    if !CRLF.starts_with(&read[..read.len().min(CRLF.len())]) {
                        return Err(Malformed::Chunk);
                    }
                    if read.len() < CRLF.len() {
                        return Ok(Decoded::More);
                    }
                    read.advance(CRLF.len());
                    self.next = Next::Size;
                }
                Next::Trailers => {
                    let Some(section) = take_trailers(read)? else {
                        return Ok(Decoded::More);
                    };
                    self.next = Next::Nothing;
                    if section != CRLF {
                        return Ok(Decoded::Frame(Frame::trailers(trailers(&section)?)));
                    }
                }
                Next::Nothing => return Ok(Decoded::End),
            }
        }
    }

    /// Whether the last of it has been read.
    pub(super) fn is_over(&self) -> bool {
        self.next == Next::Nothing
    }

    /// The size that a line names: hexadecimal digits, white space perhaps, and extensions, of which nobody knows any.
    fn size(&mut self, line: &[u8]) -> Result<u64, Malformed> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, rest) = line.split_at(digits);
        let extension = rest.trim_ascii_start();
        let is_blank = rest[..rest.len() - extension.len()]
            .iter()
            .all(|byte| matches!(byte, b' ' | b'\t'));
        if !is_blank || !(extension.is_empty() || extension.starts_with(b";")) {
            return Err(Malformed::Chunk);
        }
        self.extensions += extension.len();
        let longest = rest.len().max(self.extensions);
        if digits.is_empty() || digits.len() > MOST_DIGITS || longest >= MOST_EXTENSIONS {
            return Err(Malformed::Chunk);
        }
        let digits = str::from_utf8(digits).map_err(|_| Malformed::Chunk)?;
        u64::from_str_radix(digits, 16).map_err(|_| Malformed::Chunk)
    }
}

/// A line without its end, once it is there as a whole.
fn take_line(read: &mut Bytes) -> Result<Option<Bytes>, Malformed> {
    let Some(length) = read.iter().position(|byte| *byte == b'\n') else {
        return match read.len() < MOST_EXTENSIONS {
            true => Ok(None),
            false => Err(Malformed::Chunk),
        };
    };
    let mut line = read.split_to(length + 1);
    if !line.ends_with(CRLF) {
        return Err(Malformed::Chunk);
    }
    line.truncate(length - 1);
    match line.contains(&b'\r') {
        false => Ok(Some(line)),
        true => Err(Malformed::Chunk),
    }
}

fn take_data(read: &mut Bytes, rest: u64) -> Option<Bytes> {
    let length = read.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
    (length > 0).then(|| read.split_to(length))
}

/// Everything up to the empty line and with it, once it is there.
fn take_trailers(read: &mut Bytes) -> Result<Option<Bytes>, Malformed> {
    let (mut start, mut length) = (0, None);
    for end in (0..read.len()).filter(|index| read[*index] == b'\n') {
        let line = &read[start..=end];
        if !line.ends_with(CRLF) {
            return Err(Malformed::Trailers);
        }
        start = end + 1;
        if line == CRLF {
            length = Some(start);
            break;
        }
    }
    if length.unwrap_or(read.len()) >= LONGEST_TRAILERS {
        return Err(Malformed::Trailers);
    }
    Ok(length.map(|length| read.split_to(length)))
}

fn trailers(section: &Bytes) -> Result<HeaderMap, Malformed> {
    let mut lines = [httparse::EMPTY_HEADER; MOST_TRAILERS];
    let lines = match httparse::parse_headers(section, &mut lines) {
        Ok(httparse::Status::Complete((length, lines))) if length == section.len() => lines,
        _ => return Err(Malformed::Trailers),
    };
    let mut trailers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Malformed::Trailers)?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| Malformed::Trailers)?;
        trailers.append(name, value);
    }
    Ok(trailers)
}
