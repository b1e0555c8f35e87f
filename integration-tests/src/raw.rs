//! TLS by hand: for what no HTTP client would send, and for bytes cut where no client would cut them.

use std::{
    io::{self, Read as _, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use mtls::{Alpn, ClientTls};
use pki::Member;
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

use demo::system::System;

/// How the first bytes of a connection are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Not at all.
    Whole,
    /// One byte to a TCP segment.
    OneBytePerSegment,
    /// One byte of the `ClientHello` to a TLS record.
    OneBytePerRecord,
    /// Both.
    OneBytePerRecordAndSegment,
}

/// Whether the `ClientHello` names the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sni {
    /// It does.
    Sent,
    /// It does not.
    Absent,
}

/// A client's side of a TLS connection.
#[derive(Clone, Debug)]
pub struct RawClient {
    config: Arc<ClientConfig>,
    address: SocketAddr,
    cut: Cut,
    preface: Vec<u8>,
}

impl RawClient {
    /// Somebody with that member's certificate who connects to the gateway and speaks HTTP/1.1.
    pub fn new(system: &System, member: Option<Member>) -> Self {
        Self::to(system, member, system.gateway())
    }

    /// The same, to any address.
    pub fn to(system: &System, member: Option<Member>, address: SocketAddr) -> Self {
        let tls = ClientTls::new(system.trust().unwrap());
        let tls = match member {
            Some(member) => tls.with_credentials(system.credentials(member).unwrap()),
            None => tls,
        };
        let config = Arc::new(tls.rustls_client_config(Alpn::Http1).unwrap());
        Self {
            config,
            address,
            cut: Cut::Whole,
            preface: Vec::new(),
        }
    }

    /// Sends these bytes before everything else, as a proxy does.
    #[must_use]
    pub fn prefaced_by(self, preface: impl Into<Vec<u8>>) -> Self {
        Self {
            preface: preface.into(),
            ..self
        }
    }

    /// Cuts the first bytes in another way.
    #[must_use]
    pub fn cutting(self, cut: Cut) -> Self {
        Self { cut, ..self }
    }

    /// Sends the server's name or does not.
    #[must_use]
    pub fn with_sni(mut self, sni: Sni) -> Self {
        Arc::make_mut(&mut self.config).enable_sni = sni == Sni::Sent;
        self
    }

    /// Opens a connection to `server_name`, sends `request`, and returns what comes back until the other side closes
    /// or `enough` says that it is all.
    ///
    /// # Errors
    ///
    /// What ended the connection: a TLS error (an alert, say) is the inner error.
    pub async fn exchange(
        &self,
        server_name: &str,
        request: impl Into<Vec<u8>>,
        enough: fn(&[u8]) -> bool,
    ) -> io::Result<Vec<u8>> {
        let (this, request) = (self.clone(), request.into());
        let server_name = ServerName::try_from(server_name.to_owned()).unwrap();
        tokio::task::spawn_blocking(move || this.exchange_blocking(server_name, &request, enough))
            .await
            .unwrap()
    }

    fn exchange_blocking(
        &self,
        server_name: ServerName<'static>,
        request: &[u8],
        enough: fn(&[u8]) -> bool,
    ) -> io::Result<Vec<u8>> {
        let mut tls = ClientConnection::new(Arc::clone(&self.config), server_name).unwrap();
        let mut tcp = TcpStream::connect(self.address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(Duration::from_secs(20)))?;
        match self.cut {
            Cut::Whole | Cut::OneBytePerRecord => tcp.write_all(&self.preface)?,
            Cut::OneBytePerSegment | Cut::OneBytePerRecordAndSegment => {
                self.preface.iter().try_for_each(|byte| tcp.write_all(&[*byte]))?;
            }
        }
        let mut hello = Vec::new();
        tls.write_tls(&mut hello)?;
        send(&mut tcp, &hello, self.cut)?;
        let mut stream = rustls::StreamOwned::new(tls, tcp);
        stream.write_all(request)?;
        stream.flush()?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while !enough(&answer) {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => answer.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !answer.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(answer)
    }
}

/// Sends plain bytes, cut as asked, and returns what comes back until the other side closes.
///
/// # Errors
///
/// When the connection fails in another way than by being closed.
pub async fn send_plain(address: SocketAddr, bytes: Vec<u8>, cut: Cut) -> io::Result<Vec<u8>> {
    let exchange = move || {
        let mut tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(Duration::from_secs(20)))?;
        // The other side may close while this side still sends: what it said before is what counts.
        let _closed_early = send(&mut tcp, &bytes, cut);
        let mut answer = Vec::new();
        match tcp.read_to_end(&mut answer) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
            _ => Ok(answer),
        }
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

/// The whole of an HTTP/1.1 answer with `Content-Length`, or a head without body.
pub fn complete_answer(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") {
            value.trim().parse::<usize>().ok()
        } else {
            None
        }
    });
    body.len() >= length.unwrap_or(0)
}

/// A request for `path` at `host`, with a bearer token and further header lines.
pub fn request(method: &str, path: &str, host: &str, lines: &[String]) -> Vec<u8> {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}Content-Length: 0\r\n\r\n").into_bytes()
}

/// The status of an HTTP/1.1 answer.
pub fn status(answer: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(answer);
    text.split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

fn send(tcp: &mut TcpStream, bytes: &[u8], cut: Cut) -> io::Result<()> {
    let bytes = match cut {
        Cut::OneBytePerRecord | Cut::OneBytePerRecordAndSegment => one_byte_records(bytes),
        Cut::Whole | Cut::OneBytePerSegment => bytes.to_vec(),
    };
    match cut {
        Cut::Whole | Cut::OneBytePerRecord => tcp.write_all(&bytes),
        Cut::OneBytePerSegment | Cut::OneBytePerRecordAndSegment => {
            bytes.iter().try_for_each(|byte| tcp.write_all(&[*byte]))
        }
    }
}

/// The handshake message of one TLS record, in records of one byte each.
fn one_byte_records(record: &[u8]) -> Vec<u8> {
    let (header, message) = record.split_at(5);
    message
        .iter()
        .flat_map(|byte| [header[0], header[1], header[2], 0, 1, *byte])
        .collect()
}
