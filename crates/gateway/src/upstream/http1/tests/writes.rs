//! In which writes a request goes out, and what of it is copied for that.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use futures_util::{poll, stream};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::exchanges::{post, told};
use super::*;

/// What one TLS record holds.
const RECORD: usize = 16 * 1024;
/// The longest piece of a body that is copied.
const SMALL: usize = 1024;

/// A server that takes at once all it is given, notes it, and never answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched(Arc<Mutex<Vec<Write>>>);

/// One write, by what it was put together of.
#[derive(Clone, Debug)]
struct Write(Vec<Slice>);

#[derive(Clone, Debug)]
struct Slice {
    /// Of its first byte, in memory.
    address: usize,
    bytes: Vec<u8>,
}

impl Watched {
    fn writes(&self) -> Vec<Write> {
        self.0.lock().unwrap().clone()
    }
}

impl Write {
    fn text(&self) -> String {
        let bytes = self.0.iter().flat_map(|slice| slice.bytes.clone());
        String::from_utf8(bytes.collect()).unwrap()
    }

    /// Whether it was handed on as it came, from where it stood.
    fn has_uncopied(&self, data: &Bytes) -> bool {
        let is_same = |slice: &Slice| slice.address == data.as_ptr().addr() && slice.bytes == *data;
        self.0.iter().any(is_same)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let slices = slices.iter().filter(|slice| !slice.is_empty());
        let slices = slices.map(|slice| Slice {
            address: slice.as_ptr().addr(),
            bytes: slice.to_vec(),
        });
        let write = Write(slices.collect());
        let written = write.0.iter().map(|slice| slice.bytes.len()).sum();
        self.0.lock().unwrap().push(write);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        _buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

/// The writes of a request, as far as it is there.
async fn writes(request: Request<TestBody>) -> Vec<Write> {
    let watched = Watched::default();
    let sending = exchange(lent_over(Stream::Watched(watched.clone()), &server()), request);
    assert!(poll!(std::pin::pin!(sending)).is_pending());
    watched.writes()
}

/// A body whose pieces are all there.
fn in_pieces(pieces: &[Bytes]) -> TestBody {
    let frames: Vec<_> = pieces.iter().cloned().map(Frame::data).map(Ok).collect();
    boxed(StreamBody::new(stream::iter(frames)))
}

fn piece(byte: u8, length: usize) -> Bytes {
    Bytes::from(vec![byte; length])
}

fn texts(writes: &[Write]) -> Vec<String> {
    writes.iter().map(Write::text).collect()
}

/// What stands behind the head.
fn body_of(writes: &[Write]) -> String {
    texts(writes)
        .concat()
        .split_once("\r\n\r\n")
        .unwrap()
        .1
        .to_owned()
}

fn in_chunks(pieces: &[Bytes]) -> String {
    let chunk = |data: &Bytes| format!("{:X}\r\n{}\r\n", data.len(), str::from_utf8(data).unwrap());
    pieces.iter().map(chunk).collect::<String>() + "0\r\n\r\n"
}

#[tokio::test]
async fn small_pieces_that_are_there_go_out_with_the_head_in_one_write() {
    let pieces: Vec<_> = (0..100).map(|number| piece(b'a' + number % 26, 100)).collect();
    let chunked = writes(post(in_pieces(&pieces))).await;
    assert_eq!(chunked.len(), 1);
    assert_eq!(body_of(&chunked), in_chunks(&pieces));

    let mut request = post(in_pieces(&pieces));
    let length = http::HeaderValue::from_static("10000");
    request.headers_mut().insert("content-length", length);
    let plain = writes(request).await;
    assert_eq!(plain.len(), 1);
    assert_eq!(body_of(&plain).as_bytes(), pieces.concat());
}

/// However many there are, no more are gathered than go into a record, and that many in each write.
#[tokio::test]
async fn small_pieces_are_gathered_by_the_record() {
    let pieces = vec![piece(b'x', SMALL); 1000];
    let writes = writes(post(in_pieces(&pieces))).await;
    assert_eq!(body_of(&writes), in_chunks(&pieces));
    let (last, full) = writes.split_last().unwrap();
    for write in full {
        let length = write.text().len();
        assert!((RECORD..RECORD + SMALL + 8).contains(&length), "{length}");
    }
    assert!(last.text().len() < RECORD + SMALL);
}

#[tokio::test]
async fn a_large_piece_goes_out_as_it_is_and_a_small_one_is_copied() {
    for (length, is_copied) in [(1, true), (SMALL, true), (SMALL + 1, false), (1024 * 1024, false)] {
        let data = piece(b'x', length);
        let chunked = writes(post(in_pieces(std::slice::from_ref(&data)))).await;
        let plain = writes(post(boxed(Full::new(data.clone())))).await;
        for written in [&chunked, &plain] {
            assert_eq!(written[0].has_uncopied(&data), !is_copied, "{length}");
        }
        assert_eq!(plain.len(), 1, "{length}");
        assert_eq!(body_of(&plain).as_bytes(), data);
        assert_eq!(body_of(&chunked), in_chunks(&[data]));
    }
}

#[tokio::test]
async fn a_large_piece_takes_along_the_small_ones_before_it_and_none_is_held_up_behind_it() {
    let pieces = [(b'a', 10), (b'b', 20), (b'c', 5000), (b'd', 30), (b'e', 40)];
    let pieces = pieces.map(|(byte, length)| piece(byte, length));
    let writes = writes(post(in_pieces(&pieces))).await;
    assert_eq!(body_of(&writes), in_chunks(&pieces));
    let [first, second] = &writes[..] else {
        panic!("{writes:?}");
    };
    assert!(first.has_uncopied(&pieces[2]));
    assert!(first.text().ends_with("c\r\n"));
    assert_eq!(second.text(), in_chunks(&pieces[3..]));
}

#[tokio::test]
async fn nothing_waits_for_what_is_still_to_come() {
    let (sender, body) = told();
    let watched = Watched::default();
    let sending = exchange(lent_over(Stream::Watched(watched.clone()), &server()), post(body));
    tokio::pin!(sending);
    assert!(poll!(&mut sending).is_pending());
    for piece in ["one", "two"] {
        sender.send(piece).unwrap();
    }
    assert!(poll!(&mut sending).is_pending());
    sender.send("three").unwrap();
    drop(sender);
    assert!(poll!(&mut sending).is_pending());
    let [head, behind @ ..] = &texts(&watched.writes())[..] else {
        panic!("nothing was written");
    };
    assert!(head.ends_with("transfer-encoding: chunked\r\n\r\n"), "{head}");
    assert_eq!(behind, ["3\r\none\r\n3\r\ntwo\r\n", "5\r\nthree\r\n0\r\n\r\n"]);
}

/// While nothing has been written, what is written is no longer than a record: if that fails, the server has read
/// nothing of it.
#[tokio::test]
async fn a_long_head_begins_with_one_record() {
    for (length, lengths) in [(1000, vec![1000]), (40_000, vec![RECORD, 40_000 - RECORD])] {
        let mut request = request(Method::GET);
        let rest = "GET / HTTP/1.1\r\nx: \r\n\r\n".len();
        let value = "x".repeat(length - rest).parse().unwrap();
        request.headers_mut().insert("x", value);
        let written: Vec<_> = writes(request)
            .await
            .iter()
            .map(|write| write.text().len())
            .collect();
        assert_eq!(written, lengths);
    }
}
