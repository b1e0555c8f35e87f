//! A listener of proxies: it learns from them where connections come from, and serves nobody else.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Router};
use mtls::proxy_protocol::Ends;
use mtls::{Alpn, ClientCertificates, ClientTls, Connection, TrustedProxies, bind, serve_tls_behind_proxies};
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::pki::Authority;
use crate::support::{closed, credentials, request, trust};

/// Answers where the connection comes from.
struct Listener {
    address: SocketAddr,
    authority: Authority,
}

impl Listener {
    fn of_proxies(network: &str) -> Self {
        let authority = Authority::new("server root");
        let leaf = authority.client(|params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
        });
        let not_requested = ClientCertificates::NotRequested;
        let tls = mtls::server_config(&credentials(&leaf), &not_requested, Alpn::Http1).unwrap();
        let listener = bind("127.0.0.1:0".parse().unwrap(), "listen.proxied").unwrap();
        let address = listener.local_addr().unwrap();
        async fn answer(Extension(connection): Extension<Arc<Connection>>) -> String {
            connection.peer_address.to_string()
        }
        let router = Router::new().route("/", get(answer));
        let proxies = TrustedProxies::parse(&[network.to_owned()]).unwrap();
        let shutdown = std::future::pending();
        tokio::spawn(serve_tls_behind_proxies(listener, tls, router, proxies, shutdown));
        Self { address, authority }
    }

    async fn ask(&self, preface: &[u8]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(preface).await?;
        let config = ClientTls::new(trust(&self.authority)).rustls_client_config(Alpn::Http1);
        let connector = TlsConnector::from(Arc::new(config.unwrap()));
        request(connector.connect("localhost".try_into().unwrap(), stream).await?).await
    }
}

fn header() -> Vec<u8> {
    let ends = Ends {
        source: "192.0.2.1:50000".parse().unwrap(),
        destination: "198.51.100.1:443".parse().unwrap(),
    };
    ends.header()
}

/// T40.
#[tokio::test]
async fn learns_from_a_trusted_proxy_where_a_connection_comes_from() {
    let listener = Listener::of_proxies("127.0.0.0/8");
    assert_eq!(listener.ask(&header()).await.unwrap(), "192.0.2.1:50000");
    let local = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x20, 0, 0, 0]].concat();
    assert!(listener.ask(&local).await.unwrap().starts_with("127.0.0.1:"));
}

/// T40: no header, one of version 1, and none that is to be believed.
#[tokio::test]
async fn refuses_a_connection_without_a_header_and_every_one_of_an_untrusted_peer() {
    let listener = Listener::of_proxies("127.0.0.0/8");
    for preface in [&b""[..], b"PROXY TCP4 192.0.2.1 198.51.100.1 50000 443\r\n"] {
        assert!(listener.ask(preface).await.is_err());
    }
    let listener = Listener::of_proxies("10.0.0.0/8");
    for preface in [&b""[..], &header()] {
        assert!(listener.ask(preface).await.is_err());
    }
    let mut silent = TcpStream::connect(listener.address).await.unwrap();
    closed(&mut silent).await;
}
