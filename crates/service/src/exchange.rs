//! One request to an admin listener, and its answer: plain HTTP, as little of it as that takes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bounds what is read of an answer; it is far shorter.
const LARGEST_ANSWER: u64 = 16 * 1024;

/// What came back.
pub(crate) struct Answer {
    /// Empty where there is none.
    pub(crate) status: String,
    pub(crate) body: String,
}

/// Sends a request with these header fields, each with its end of line, and reads the answer to its end.
pub(crate) async fn exchange(
    address: SocketAddr,
    method_and_path: &str,
    fields: &str,
    body: &str,
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("{method_and_path} HTTP/1.1\r\nHost: {address}\r\n{fields}Connection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LARGEST_ANSWER).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(Answer {
        status: head.split(' ').nth(1).unwrap_or_default().to_owned(),
        body: body.trim().to_owned(),
    })
}

/// A listener bound to every address is asked on loopback.
pub(crate) fn reachable(admin: SocketAddr) -> SocketAddr {
    let ip = match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, admin.port())
}
