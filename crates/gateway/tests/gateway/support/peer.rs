//! The gateway's peer: raw requests over TLS, written byte by byte where it matters.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use hyper::body::Body;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mtls::Alpn;
use pki::Member;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::client_tls;
use super::{API, DEADLINE};

/// A whole request with a token; `fields` are lines.
pub(crate) fn with_token(request: &str, token: &str, fields: &str) -> String {
    format!("{request} HTTP/1.1\nHost: {API}\nAuthorization: Bearer {token}\nConnection: close\n{fields}\n")
}

pub(crate) async fn connect_tls(
    address: SocketAddr,
    server_name: &str,
    member: Option<Member>,
    alpn: Alpn,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    let connector = TlsConnector::from(Arc::new(client_tls(member).rustls_client_config(alpn).unwrap()));
    connector
        .connect(ServerName::try_from(server_name.to_owned()).unwrap(), tcp)
        .await
}

/// An HTTP/2 connection of the partner's.
pub(crate) async fn connect_http2<B>(address: SocketAddr) -> http2::SendRequest<B>
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let stream = connect_tls(address, API, Some(Member::Example), Alpn::Http2OrHttp1).await;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream.unwrap()));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Sends a request that asks to close, as written but for `\n`, and reads the answer to its end.
pub(crate) async fn send(stream: &mut TlsStream<TcpStream>, request: &str) -> Answered {
    stream
        .write_all(request.replace('\n', "\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _no_close_notify = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    Answered::parse(&String::from_utf8(answer).unwrap())
}

/// Asks the admin listener.
pub(crate) async fn get_plain(address: SocketAddr, path: &str) -> Answered {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    Answered::parse(&answer)
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answered {
    fn parse(text: &str) -> Self {
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer but {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields = lines.map(|line| line.split_once(": ").unwrap());
        let headers = fields
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect();
        Self {
            status,
            headers,
            body: body.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The values of a field as the API got it.
    pub(crate) fn forwarded(&self, name: &str) -> Vec<String> {
        let asked = self.json();
        let fields = asked["headers"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|field| field[0] == name);
        fields
            .map(|field| field[1].as_str().unwrap().to_owned())
            .collect()
    }
}
