//! An API that speaks HTTP/2 in frames of the test's own: what no server's library says.

use std::sync::Arc;

use mtls::Alpn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;

use super::Api;
use super::bare_api::{acceptor, serve};

const PREFACE: usize = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// One frame of an answer. RFC 9113 §6
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

impl Frame {
    const DATA: u8 = 0x0;
    const HEADERS: u8 = 0x1;
    const RST_STREAM: u8 = 0x3;
    const SETTINGS: u8 = 0x4;

    const fn new(kind: u8, flags: u8, payload: Vec<u8>) -> Self {
        Self { kind, flags, payload }
    }

    /// A head of status 200 with these lengths: index 8, and literals with the name of index 28. RFC 7541 §6.1, §6.2.2
    pub(crate) fn head(content_lengths: &[&str]) -> Self {
        let mut payload = vec![0x88];
        for length in content_lengths {
            payload.extend([0x0f, 28 - 15, length.len().try_into().unwrap()]);
            payload.extend(length.as_bytes());
        }
        Self::new(Self::HEADERS, END_HEADERS, payload)
    }

    pub(crate) fn data(text: &str) -> Self {
        Self::new(Self::DATA, 0, text.as_bytes().to_vec())
    }

    /// The end of the stream, as it should be.
    pub(crate) const fn end() -> Self {
        Self::new(Self::DATA, END_STREAM, Vec::new())
    }

    /// The end of the stream, without an error.
    pub(crate) fn reset() -> Self {
        Self::new(Self::RST_STREAM, 0, vec![0; 4])
    }

    fn on(&self, stream: [u8; 4]) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[self.kind, self.flags], &stream, &self.payload].concat()
    }

    async fn read(stream: &mut TlsStream<TcpStream>) -> Option<(Self, [u8; 4])> {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let [first, second, third, kind, flags, id @ ..] = head;
        let length = u32::from_be_bytes([0, first, second, third]);
        let mut payload = vec![0; length.try_into().unwrap()];
        stream.read_exact(&mut payload).await.ok()?;
        Some((Self::new(kind, flags, payload), id))
    }
}

/// An API that answers every request with these frames, and counts the requests.
pub(crate) async fn serve_http2(answer: Vec<Frame>) -> (Api, Arc<Semaphore>) {
    let arrived = Arc::new(Semaphore::new(0));
    let counter = Arc::clone(&arrived);
    let acceptor = acceptor(Alpn::Http2OrHttp1);
    let (address, _) = serve(move |tcp| {
        let (acceptor, answer, counter) = (acceptor.clone(), answer.clone(), Arc::clone(&counter));
        async move {
            let mut stream = acceptor.accept(tcp).await.unwrap();
            // Whoever has hung up hears nothing.
            let _ended = answer_all(&mut stream, &answer, &counter).await;
        }
    })
    .await;
    (Api::InTlsAt(address), arrived)
}

async fn answer_all(
    stream: &mut TlsStream<TcpStream>,
    answer: &[Frame],
    arrived: &Semaphore,
) -> std::io::Result<()> {
    stream.read_exact(&mut [0; PREFACE]).await?;
    let settings = Frame::new(Frame::SETTINGS, 0, Vec::new());
    stream.write_all(&settings.on([0; 4])).await?;
    while let Some((frame, id)) = Frame::read(stream).await {
        match frame.kind {
            Frame::SETTINGS if frame.flags != ACK => {
                let acknowledged = Frame::new(Frame::SETTINGS, ACK, Vec::new());
                stream.write_all(&acknowledged.on([0; 4])).await?;
            }
            Frame::HEADERS => {
                for frame in answer {
                    stream.write_all(&frame.on(id)).await?;
                }
                arrived.add_permits(1);
            }
            _ => {}
        }
        stream.flush().await?;
    }
    Ok(())
}
