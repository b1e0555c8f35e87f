//! HTTP/1.1 answers, read as they arrive: the status, and where the body ends.
//!
//! Only what servers under measurement send is understood; anything else is an error, never a guess.

/// An answer that is not understood, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "the answer is not understood: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status code.
    pub(crate) status: u16,
    /// How the body is told from what follows.
    pub(crate) body: BodyDecoder,
    /// Whether the server closes the connection behind it.
    pub(crate) closes: bool,
}

impl Head {
    /// Reads a head that ends with the empty line.
    pub(crate) fn parse(head: &[u8]) -> Result<Self, Malformed> {
        let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
        let status = status(lines.next().unwrap_or_default())?;
        let mut body = BodyDecoder::Length(0);
        let mut closes = false;
        for line in lines {
            let Some(colon) = line.iter().position(|&byte| byte == b':') else {
                continue;
            };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                body = BodyDecoder::Length(decimal(value).ok_or(Malformed("content-length"))?);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                body = BodyDecoder::chunked();
            } else if name.eq_ignore_ascii_case(b"connection") {
                closes = value.eq_ignore_ascii_case(b"close");
            }
        }
        Ok(Self { status, body, closes })
    }
}

/// Where the head in `bytes` ends, behind its empty line.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|start| start + 4)
}

fn status(line: &[u8]) -> Result<u16, Malformed> {
    let code = line
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .ok_or(Malformed("no HTTP/1.1 status line"))?;
    decimal(code)
        .and_then(|code| u16::try_from(code).ok())
        .ok_or(Malformed("status code"))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What is still to come of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyDecoder {
    /// So many bytes.
    Length(u64),
    /// Chunks, the last of length zero.
    Chunked(Chunk),
}

/// Where in a chunked body the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// In the line that tells a chunk's length, so much of which is known.
    Size(u64),
    /// Behind the length, in an extension.
    Extension(u64),
    /// In a chunk, so many bytes before its end.
    Data(u64),
    /// Behind a chunk, before its line ends.
    DataEnd,
    /// In the trailer section; whether its current line is empty so far.
    Trailer {
        /// Nothing stands on the line so far.
        line_is_empty: bool,
    },
    /// Behind the end.
    End,
}

impl BodyDecoder {
    /// A chunked body from its start.
    pub(crate) const fn chunked() -> Self {
        Self::Chunked(Chunk::Size(0))
    }

    /// Whether nothing is to come.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }

    /// Takes what `input` has of the body, gives its content to `sink`, and tells how many bytes it took.
    pub(crate) fn advance(&mut self, input: &[u8], mut sink: impl FnMut(&[u8])) -> Result<usize, Malformed> {
        match self {
            Self::Length(left) => {
                let taken = up_to(*left, input);
                sink(taken);
                *left -= taken.len() as u64;
                Ok(taken.len())
            }
            Self::Chunked(chunk) => advance_chunked(chunk, input, sink),
        }
    }
}

fn up_to(limit: u64, input: &[u8]) -> &[u8] {
    let length = usize::try_from(limit).map_or(input.len(), |limit| limit.min(input.len()));
    &input[..length]
}

fn advance_chunked(chunk: &mut Chunk, input: &[u8], mut sink: impl FnMut(&[u8])) -> Result<usize, Malformed> {
    let mut position = 0;
    while position < input.len() && *chunk != Chunk::End {
        if let Chunk::Data(left) = *chunk {
            let taken = up_to(left, &input[position..]);
            sink(taken);
            position += taken.len();
            let left = left - taken.len() as u64;
            *chunk = if left == 0 {
                Chunk::DataEnd
            } else {
                Chunk::Data(left)
            };
        } else {
            *chunk = behind(*chunk, input[position])?;
            position += 1;
        }
    }
    Ok(position)
}

fn behind(chunk: Chunk, byte: u8) -> Result<Chunk, Malformed> {
    const SIZE: Malformed = Malformed("chunk size");
    Ok(match (chunk, byte) {
        (Chunk::Size(size) | Chunk::Extension(size), b'\n') if size == 0 => {
            Chunk::Trailer { line_is_empty: true }
        }
        (Chunk::Size(size) | Chunk::Extension(size), b'\n') => Chunk::Data(size),
        (Chunk::Size(size), b'\r' | b';') | (Chunk::Extension(size), _) => Chunk::Extension(size),
        (Chunk::Size(size), digit) => {
            let digit = char::from(digit).to_digit(16).ok_or(SIZE)?;
            let size = size.checked_mul(16).ok_or(SIZE)?;
            Chunk::Size(size + u64::from(digit))
        }
        (Chunk::DataEnd, b'\r') => Chunk::DataEnd,
        (Chunk::DataEnd, b'\n') => Chunk::Size(0),
        (Chunk::DataEnd, _) => return Err(Malformed("chunk end")),
        (Chunk::Trailer { line_is_empty: true }, b'\n') | (Chunk::End, _) => Chunk::End,
        (Chunk::Trailer { line_is_empty }, b'\r') => Chunk::Trailer { line_is_empty },
        (Chunk::Trailer { .. }, byte) => Chunk::Trailer {
            line_is_empty: byte == b'\n',
        },
        // Data is taken as a whole, not byte by byte.
        (Chunk::Data(left), _) => Chunk::Data(left),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_and_length() {
        let head = Head::parse(b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-LENGTH: 12\r\n\r\n").unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(head.body, BodyDecoder::Length(12));
        assert!(!head.closes);
    }

    #[test]
    fn sees_that_the_server_closes() {
        let head = Head::parse(b"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert!(head.closes && head.body.is_complete());
    }

    #[test]
    fn refuses_what_is_no_answer() {
        for head in [
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "",
        ] {
            assert!(Head::parse(head.as_bytes()).is_err(), "{head:?}");
        }
    }

    #[test]
    fn finds_the_end_of_a_head() {
        assert_eq!(head_end(b"HTTP/1.1 200 OK\r\n\r\nbody"), Some(19));
        assert_eq!(head_end(b"HTTP/1.1 200 OK\r\nA: b\r\n"), None);
    }

    #[test]
    fn reads_chunks_however_they_arrive() {
        let wire =
            b"5;name=value\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nTrailer: x\r\n\r\nNEXT";
        for size in 1..wire.len() {
            let (mut body, mut taken) = (Vec::new(), 0);
            let mut decoder = BodyDecoder::chunked();
            for piece in wire.chunks(size) {
                taken += decoder
                    .advance(piece, |content| body.extend_from_slice(content))
                    .unwrap();
                if decoder.is_complete() {
                    break;
                }
            }
            assert_eq!(body, b"helloabcdefghijklmnopqrstuvwxyz", "pieces of {size}");
            assert_eq!(&wire[taken..], b"NEXT", "pieces of {size}");
        }
    }

    #[test]
    fn refuses_chunks_that_are_none() {
        assert!(BodyDecoder::chunked().advance(b"xyz\r\n", |_| {}).is_err());
        assert!(BodyDecoder::chunked().advance(b"1\r\nab", |_| {}).is_err());
        let too_large = b"11111111111111111\r\n";
        assert!(BodyDecoder::chunked().advance(too_large, |_| {}).is_err());
    }

    #[test]
    fn leaves_what_follows_a_body() {
        let (mut decoder, mut body) = (BodyDecoder::Length(3), Vec::new());
        let taken = decoder.advance(b"abcdef", |content| body.extend_from_slice(content));
        assert_eq!((taken, body.as_slice()), (Ok(3), b"abc".as_slice()));
        assert!(decoder.is_complete());
    }
}
