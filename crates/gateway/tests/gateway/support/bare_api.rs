//! An API that is a bare socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mtls::{Alpn, ClientCertificates, server_config};
use pki::Member;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::certificates::credentials;

/// An API in the clear that handles each connection as told, and counts them.
pub(crate) async fn serve<F>(
    handle: impl Fn(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(handle(stream));
        }
    });
    (address, connections)
}

/// The API's side of TLS, which asks for no certificate.
pub(crate) fn acceptor(alpn: Alpn) -> TlsAcceptor {
    let credentials = credentials(Member::ApiInternal);
    let tls = server_config(&credentials, &ClientCertificates::NotRequested, alpn).unwrap();
    TlsAcceptor::from(tls)
}

/// Reads the head of a request; `None` at the end of the connection.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return None,
        }
    }
    Some(String::from_utf8(request).unwrap())
}
