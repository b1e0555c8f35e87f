//! The upstream behind gateway and nginx: a process of its own that answers at once, so that what is measured is
//! what stands before it.
//!
//! `GET /…/bytes/N` answers N bytes; every other request is drained and answered with the same few words.

use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::generator::head_end;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 44\r\n\r\n{\"message\":\"Success response from upstream\"}";
static BYTES: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// Serves until the process is ended; tells its two addresses on standard output, HTTP first.
pub(crate) fn serve(certificates: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let tls = TlsAcceptor::from(Arc::new(server_config(certificates)?));
        let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let encrypted = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addresses = format!("{} {}\n", plain.local_addr()?, encrypted.local_addr()?);
        std::io::stdout().write_all(addresses.as_bytes())?;
        std::io::stdout().flush()?;
        loop {
            tokio::select! {
                accepted = plain.accept() => {
                    let (stream, _) = accepted?;
                    stream.set_nodelay(true)?;
                    tokio::spawn(answer_all(stream));
                }
                accepted = encrypted.accept() => {
                    let (stream, _) = accepted?;
                    stream.set_nodelay(true)?;
                    let tls = tls.clone();
                    tokio::spawn(async move {
                        if let Ok(stream) = tls.accept(stream).await {
                            answer_all(stream).await;
                        }
                    });
                }
            }
        }
    })
}

fn server_config(certificates: &Path) -> anyhow::Result<ServerConfig> {
    let read = |name: &str| {
        let path = certificates.join(name);
        fs::read(&path).with_context(|| path.display().to_string())
    };
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&read("api-internal.tls.pem")?).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&read("api-internal.tls.key")?)?;
    Ok(ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

/// One cipher and one key exchange, so that all proxies have the same to do towards the upstream too.
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![kx_group::X25519],
        ..aws_lc_rs::default_provider()
    }
}

/// Until the peer closes or sends what is not understood; nobody but those under measurement connects.
async fn answer_all<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let mut unread = Vec::with_capacity(64 * 1024);
    while let Ok(Some(asked)) = next_request(&mut stream, &mut unread).await {
        if respond(&mut stream, asked).await.is_err() {
            break;
        }
    }
}

async fn respond<S: AsyncWrite + Unpin>(stream: &mut S, asked: Asked) -> std::io::Result<()> {
    let Asked::Bytes(mut left) = asked else {
        stream.write_all(ANSWER).await?;
        return stream.flush().await;
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {left}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    while left > 0 {
        let piece = left.min(BYTES.len());
        stream.write_all(&BYTES[..piece]).await?;
        left -= piece;
    }
    stream.flush().await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Words,
    Bytes(usize),
}

/// Reads a request to its end; `None` when the peer closed between requests.
async fn next_request<S: AsyncRead + Unpin>(
    stream: &mut S,
    unread: &mut Vec<u8>,
) -> anyhow::Result<Option<Asked>> {
    let end = loop {
        if let Some(end) = head_end(unread) {
            break end;
        }
        if stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    };
    let (asked, mut body) = parse(&unread[..end]).context("the request is not understood")?;
    unread.drain(..end);
    loop {
        let taken = body.advance(unread, |_| {})?;
        unread.drain(..taken);
        if body.is_complete() {
            return Ok(Some(asked));
        }
        if stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse(head: &[u8]) -> Option<(Asked, crate::generator::BodyDecoder)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?;
    let asked = match path.rsplit_once("/bytes/") {
        Some((_, length)) => Asked::Bytes(length.parse().ok()?),
        None => Asked::Words,
    };
    let mut body = crate::generator::BodyDecoder::Length(0);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            body = crate::generator::BodyDecoder::Length(value.trim().parse().ok()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = crate::generator::BodyDecoder::chunked();
        }
    }
    Some((asked, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_words_and_bytes_on_one_connection() {
        let (mut here, there) = tokio::io::duplex(1 << 20);
        let server = tokio::spawn(answer_all(there));
        here.write_all(
            b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b/bytes/5 HTTP/1.1\r\nhost: x\r\n\r\n",
        )
        .await
        .unwrap();
        here.shutdown().await.unwrap();
        let mut answers = Vec::new();
        here.read_to_end(&mut answers).await.unwrap();
        server.await.unwrap();
        let answers = String::from_utf8(answers).unwrap();
        assert!(answers.starts_with(std::str::from_utf8(ANSWER).unwrap()));
        assert!(answers.ends_with("content-length: 5\r\n\r\nxxxxx"));
    }

    #[test]
    fn announces_the_length_of_its_words() {
        let end = head_end(ANSWER).unwrap();
        let announced = format!("content-length: {}\r\n", ANSWER.len() - end);
        assert!(String::from_utf8_lossy(ANSWER).contains(&announced));
    }
}
