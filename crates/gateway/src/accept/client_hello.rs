//! Reading a `ClientHello`, however it is cut into segments and records, and keeping every byte of it.

use std::io;

use mtls::proxy_protocol::looks_like_a_header;
use rustls::PeerMisbehaved;
use rustls::server::{Accepted, Acceptor};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bounds what is kept of a peer before it is known what it wants.
const LARGEST: usize = 16 * 1024;
/// Enough for those that clients send today.
const USUAL: usize = 2 * 1024;

/// A complete `ClientHello`.
pub(super) struct ClientHello {
    /// For the rest of the handshake.
    pub(super) accepted: Accepted,
    /// Every byte received so far, for an upstream.
    pub(super) received: Vec<u8>,
}

/// Reads a `ClientHello` from a stream.
///
/// # Errors
///
/// [`ClientHelloError`], whereupon the stream is of no further use.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<ClientHello, ClientHelloError> {
    let mut acceptor = Acceptor::default();
    let mut received = Vec::with_capacity(USUAL);
    let mut stream = stream.take(LARGEST as u64);
    loop {
        let known = received.len();
        if known == LARGEST {
            return Err(ClientHelloError::TooLarge);
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Err(ClientHelloError::Closed);
        }
        feed(&mut acceptor, &received[known..])?;
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(ClientHello { accepted, received }),
            Ok(None) => {}
            Err((
                rustls::Error::PeerMisbehaved(PeerMisbehaved::ServerNameMustContainOneHostName),
                _alert,
            )) => {
                return Err(ClientHelloError::ServerNameMalformed);
            }
            Err(_) if looks_like_a_header(&received) => return Err(ClientHelloError::ProxyHeader),
            Err((error, _alert)) => return Err(ClientHelloError::NotTls(error)),
        }
    }
}

/// The acceptor takes as many bytes at a time as it likes.
fn feed(acceptor: &mut Acceptor, mut bytes: &[u8]) -> Result<(), ClientHelloError> {
    while !bytes.is_empty() {
        if acceptor.read_tls(&mut bytes)? == 0 {
            return Err(ClientHelloError::TooLarge);
        }
    }
    Ok(())
}

/// Why there is no `ClientHello`.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientHelloError {
    #[error("its ClientHello is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("it closed before its ClientHello was complete")]
    Closed,
    #[error("it does not start with a ClientHello: {0}")]
    NotTls(rustls::Error),
    #[error("it starts with a PROXY header, and its peer is none of listen.proxy_protocol.trusted_peers")]
    ProxyHeader,
    /// Such as with a trailing dot. RFC 6066 §3
    #[error("its server name is not a host name")]
    ServerNameMalformed,
    #[error("it broke off: {0}")]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
    const GREASE: [u16; 2] = [0x0a0a, 0xfafa];

    fn vector<const LENGTH: usize>(content: &[u8]) -> Vec<u8> {
        let length = content.len().to_be_bytes();
        [&length[length.len() - LENGTH..], content].concat()
    }

    fn extension(number: u16, content: &[u8]) -> Vec<u8> {
        [&number.to_be_bytes()[..], &vector::<2>(content)].concat()
    }

    /// A `ClientHello` in one record, its server name in front of and its further extensions behind those that TLS needs.
    fn client_hello(server_name: &str, further: &[Vec<u8>]) -> Vec<u8> {
        let name = [vec![0], vector::<2>(server_name.as_bytes())].concat();
        let extensions = [
            extension(0, &vector::<2>(&name)),
            extension(10, &vector::<2>(&[0x0a, 0x0a, 0, 0x1d])),
            extension(13, &vector::<2>(&[4, 3])),
            extension(43, &vector::<1>(&[0x0a, 0x0a, 3, 4])),
            extension(
                51,
                &vector::<2>(&[&[0, 0x1d][..], &vector::<2>(&[9; 32])].concat()),
            ),
            further.concat(),
        ]
        .concat();
        let body = [
            &[3, 3][..],
            &[7; 32],
            &vector::<1>(&[]),
            &vector::<2>(&[0x0a, 0x0a, 0x13, 0x01]),
            &vector::<1>(&[0]),
            &vector::<2>(&extensions),
        ]
        .concat();
        [
            &[22, 3, 1][..],
            &vector::<2>(&[&[1][..], &vector::<3>(&body)].concat()),
        ]
        .concat()
    }

    /// What stands in RFC 9849's outer form: a cipher suite, a configuration's number, a key, and what nobody here can
    /// read.
    fn encrypted_client_hello() -> Vec<u8> {
        let content = [
            &[0, 0, 1, 0, 1, 42][..],
            &vector::<2>(&[5; 32]),
            &vector::<2>(&[6; 200]),
        ];
        extension(ENCRYPTED_CLIENT_HELLO, &content.concat())
    }

    /// T38.
    #[tokio::test]
    async fn reads_the_outer_server_name_beside_an_encrypted_one_and_grease() {
        let grease = GREASE.map(|number| extension(number, &[0]));
        let without = client_hello("api.example.com", &[]);
        let with = client_hello(
            "api.example.com",
            &[encrypted_client_hello(), grease[0].clone(), grease[1].clone()],
        );
        for bytes in [without, with] {
            let hello = read(&mut &bytes[..]).await.unwrap();
            let server_name = hello.accepted.client_hello().server_name().map(str::to_owned);
            assert_eq!(server_name.as_deref(), Some("api.example.com"));
            assert_eq!(hello.received, bytes);
        }
    }

    /// T36, T40.
    #[tokio::test]
    async fn says_what_came_instead() {
        for (bytes, words) in [
            (
                &b"PROXY TCP4 192.0.2.1 198.51.100.1 50000 443\r\n"[..],
                "a PROXY header",
            ),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", "a PROXY header"),
            (b"GET / HTTP/1.1\r\n\r\n", "does not start with a ClientHello"),
            (b"", "closed"),
        ] {
            let Err(error) = read(&mut &bytes[..]).await else {
                panic!("{bytes:?} was taken for a ClientHello");
            };
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
