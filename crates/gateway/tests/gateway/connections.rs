//! Connections: which server name leads where, however the `ClientHello` comes, and what leads nowhere.

use std::net::SocketAddr;
use std::sync::Arc;

use mtls::proxy_protocol::Ends;
use mtls::{Alpn, linger, peer_alert};
use pki::Member;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::{
    API, DEADLINE, Harness, Variation, client_tls, connect_tls, get_plain, send, with_token,
};

const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// The bytes of a `ClientHello`, one record.
fn client_hello(server_name: &str) -> Vec<u8> {
    let mut config = client_tls(None).rustls_client_config(Alpn::Http1).unwrap();
    // An address is not sent as a server name.
    config.enable_sni = server_name != "127.0.0.1";
    let server_name = ServerName::try_from(server_name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), server_name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

/// The same handshake message in records of at most `size` bytes.
fn in_records(record: &[u8], size: usize) -> Vec<u8> {
    let (header, message) = record.split_at(5);
    let fragments = message.chunks(size).map(|fragment| {
        let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
        [&header[..3], &length[..], fragment].concat()
    });
    fragments.collect::<Vec<_>>().concat()
}

async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _reset = timeout(DEADLINE, stream.read_to_end(&mut bytes))
        .await
        .expect("the gateway closes");
    bytes
}

async fn answer_to(public: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(public).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    read_to_end(&mut stream).await
}

/// A gateway whose pass-through host is a bare socket of ours.
async fn with_bare_upstream() -> (Harness, TcpListener) {
    let harness = Harness::start().await;
    let address = harness.passthrough;
    harness.stop_stubs();
    let listener = rebind(address).await;
    (harness, listener)
}

async fn rebind(address: SocketAddr) -> TcpListener {
    let bound = timeout(DEADLINE, async {
        loop {
            if let Ok(listener) = TcpListener::bind(address).await {
                return listener;
            }
            tokio::task::yield_now().await;
        }
    });
    bound.await.expect("the stub lets go of its port")
}

/// T30: what the upstream gets is what the client sent, byte for byte.
#[tokio::test]
async fn passes_a_client_hello_on_byte_for_byte() {
    let (harness, upstream) = with_bare_upstream().await;
    let sent = client_hello("login.example.com");
    let mut client = TcpStream::connect(harness.public).await.unwrap();
    client.write_all(&sent).await.unwrap();
    let (mut server, _) = timeout(DEADLINE, upstream.accept()).await.unwrap().unwrap();
    let mut received = vec![0; sent.len()];
    timeout(DEADLINE, server.read_exact(&mut received))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(received, sent);

    // Either side may close its half.
    client.shutdown().await.unwrap();
    assert_eq!(
        timeout(DEADLINE, server.read(&mut [0; 1]))
            .await
            .unwrap()
            .unwrap(),
        0
    );
    server.write_all(b"late").await.unwrap();
    drop(server);
    assert_eq!(read_to_end(&mut client).await, b"late");
}

/// T35.
#[tokio::test]
async fn routes_a_client_hello_in_segments_and_records_of_any_size() {
    let (harness, upstream) = with_bare_upstream().await;
    let whole = client_hello("login.example.com");
    for (bytes, segment) in [
        (whole.clone(), 1),
        (in_records(&whole, 1), usize::MAX),
        (in_records(&whole, 7), 1),
        (in_records(&whole, 600), 100),
    ] {
        let mut client = TcpStream::connect(harness.public).await.unwrap();
        client.set_nodelay(true).unwrap();
        for piece in bytes.chunks(segment) {
            client.write_all(piece).await.unwrap();
        }
        let (mut server, _) = timeout(DEADLINE, upstream.accept()).await.unwrap().unwrap();
        let mut received = vec![0; bytes.len()];
        timeout(DEADLINE, server.read_exact(&mut received))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(received, bytes, "segments of {segment}");
    }
}

/// T35: a handshake that ends here, its bytes coming one at a time.
#[tokio::test]
async fn terminates_a_handshake_in_segments_of_one_byte() {
    let harness = Harness::start().await;
    harness.stubs.issue("opaque", Member::Example);
    let slow = in_single_bytes(harness.public).await;
    let mut stream = connect_tls(slow, API, Some(Member::Example), Alpn::Http1)
        .await
        .unwrap();
    let answered = send(&mut stream, &with_token("GET /api", "opaque", "")).await;
    assert_eq!(answered.status, 200);
}

/// A way to `address` on which every byte travels alone.
async fn in_single_bytes(address: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let gateway = TcpStream::connect(address).await.unwrap();
        gateway.set_nodelay(true).unwrap();
        let ((mut from_client, mut to_client), (mut from_gateway, mut to_gateway)) =
            (client.into_split(), gateway.into_split());
        let there = async {
            let mut byte = [0];
            while from_client.read_exact(&mut byte).await.is_ok() && to_gateway.write_all(&byte).await.is_ok()
            {
            }
        };
        let back = tokio::io::copy(&mut from_gateway, &mut to_client);
        let _broken_off = tokio::join!(there, back);
    });
    here
}

/// T34.
#[tokio::test]
async fn routes_a_server_name_in_any_case() {
    let (harness, upstream) = with_bare_upstream().await;
    let mut hello = client_hello("login.example.com");
    let at = hello.windows(5).position(|window| window == b"login").unwrap();
    hello[at..at + 5].copy_from_slice(b"LoGiN");
    let mut client = TcpStream::connect(harness.public).await.unwrap();
    client.write_all(&hello).await.unwrap();
    let (mut server, _) = timeout(DEADLINE, upstream.accept()).await.unwrap().unwrap();
    let mut received = vec![0; hello.len()];
    timeout(DEADLINE, server.read_exact(&mut received))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(received, hello);
}

/// T32, T34.
#[tokio::test]
async fn answers_an_unknown_name_and_one_with_a_trailing_dot_with_an_alert() {
    let harness = Harness::start().await;
    assert_eq!(
        answer_to(harness.public, &client_hello("other.example.com")).await,
        UNRECOGNIZED_NAME
    );
    let mut dotted = client_hello("api.example.comx");
    let at = dotted.windows(4).position(|window| window == b"comx").unwrap();
    dotted[at + 3] = b'.';
    assert_eq!(answer_to(harness.public, &dotted).await, UNRECOGNIZED_NAME);
}

/// T33.
#[tokio::test]
async fn closes_a_connection_that_names_no_server() {
    let harness = Harness::start().await;
    assert_eq!(answer_to(harness.public, &client_hello("127.0.0.1")).await, b"");
}

/// T36.
#[tokio::test]
async fn closes_what_is_not_tls_and_what_is_too_large() {
    let harness = Harness::start().await;
    assert_eq!(
        answer_to(
            harness.public,
            b"GET / HTTP/1.1\r\nHost: login.example.com\r\n\r\n"
        )
        .await,
        b""
    );
    // A handshake message that announces 64 KiB, in records that never end it.
    let mut endless = vec![1, 0, 255, 255];
    endless.resize(20 * 1024, 0);
    let records: Vec<u8> = endless
        .chunks(4096)
        .flat_map(|chunk| in_records(&[&[22, 3, 1, 0, 0], chunk].concat(), 4096))
        .collect();
    assert_eq!(answer_to(harness.public, &records).await, b"");
}

/// T36: no connection is made for a peer that never says where it wants to go.
#[tokio::test]
async fn closes_an_incomplete_client_hello_in_time_and_connects_to_nobody() {
    let (harness, upstream) = with_bare_upstream().await;
    let hello = client_hello("login.example.com");
    assert_eq!(answer_to(harness.public, &hello[..hello.len() - 1]).await, b"");
    // The first connection the upstream sees is the next one's.
    let mut client = TcpStream::connect(harness.public).await.unwrap();
    let next = client_hello("login.example.com");
    client.write_all(&next).await.unwrap();
    let (mut server, _) = timeout(DEADLINE, upstream.accept()).await.unwrap().unwrap();
    let mut received = vec![0; next.len()];
    timeout(DEADLINE, server.read_exact(&mut received))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(received, next);
}

/// T1.
#[tokio::test]
async fn tells_a_client_without_certificate_that_one_is_required() {
    let harness = Harness::start().await;
    assert_eq!(
        refusal(&harness, None).await,
        Some(mtls::Alert::CertificateRequired)
    );
    assert_eq!(
        harness.call(Member::Example, "unknown").await.status,
        401,
        "the next connection is served"
    );
}

/// T3, T4, T5, T6, T13.
#[tokio::test]
async fn tells_a_client_what_is_wrong_with_its_certificate() {
    let harness = Harness::start().await;
    for (member, alert) in [
        (Member::Expired, mtls::Alert::CertificateExpired),
        (Member::NotYetValid, mtls::Alert::CertificateExpired),
        (Member::ServerOnly, mtls::Alert::UnsupportedCertificate),
        (Member::Revoked, mtls::Alert::CertificateRevoked),
    ] {
        assert_eq!(refusal(&harness, Some(member)).await, Some(alert), "{member:?}");
    }
    let foreign = refusal(&harness, Some(Member::Rogue)).await;
    assert!(
        matches!(foreign, Some(mtls::Alert::UnknownCa | mtls::Alert::DecryptError)),
        "{foreign:?}"
    );
}

async fn refusal(harness: &Harness, member: Option<Member>) -> Option<mtls::Alert> {
    let mut stream = connect_tls(harness.public, API, member, Alpn::Http1)
        .await
        .unwrap();
    let request = with_token("GET /api", "opaque", "").replace('\n', "\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let error = timeout(DEADLINE, stream.read(&mut [0; 1]))
        .await
        .unwrap()
        .unwrap_err();
    peer_alert(&error)
}

/// T30, T31: each host shows its own certificate.
#[tokio::test]
async fn terminates_one_host_and_passes_the_other_through() {
    let harness = Harness::start().await;
    let stream = connect_tls(
        harness.public,
        "login.example.com",
        Some(Member::Example),
        Alpn::Http1,
    )
    .await;
    let mut stream = stream.unwrap();
    let request = "GET / HTTP/1.1\nHost: login.example.com\nConnection: close\n\n";
    let answered = send(&mut stream, request).await;
    assert_eq!((answered.status, answered.body.as_str()), (200, "login"));
    assert_eq!(harness.call(Member::Example, "unknown").await.status, 401);
}

/// A peer that says nothing is in nobody's way.
#[tokio::test]
async fn a_silent_connection_blocks_no_other() {
    let harness = Harness::start().await;
    let silent = TcpStream::connect(harness.public).await.unwrap();
    assert_eq!(harness.call(Member::Example, "unknown").await.status, 401);
    linger(silent).await;
}

/// T40: a proxy's connections are those of the addresses that it tells.
#[tokio::test]
async fn connections_through_a_proxy_share_by_the_address_that_it_tells() {
    let harness = Harness::start_with(Variation {
        connections_per_address: 1,
        proxy_protocol: r#"proxy_protocol = { trusted_peers = ["127.0.0.0/8"] }"#,
        ..Variation::default()
    })
    .await;
    let connect = async |source: &str| {
        let ends = Ends {
            source: source.parse().unwrap(),
            destination: harness.public,
        };
        let mut stream = TcpStream::connect(harness.public).await.unwrap();
        let bytes = [ends.header(), client_hello("other.example.com")].concat();
        stream.write_all(&bytes).await.unwrap();
        stream
    };
    let mut first = TcpStream::connect(harness.public).await.unwrap();
    let ends = Ends {
        source: "192.0.2.1:1".parse().unwrap(),
        destination: harness.public,
    };
    first.write_all(&ends.header()).await.unwrap();
    let closed = timeout(DEADLINE, async {
        while !read_to_end(&mut connect("192.0.2.1:2").await).await.is_empty() {}
    });
    closed.await.expect("the first takes the one place");
    assert_eq!(
        read_to_end(&mut connect("192.0.2.2:1").await).await,
        UNRECOGNIZED_NAME
    );
    drop(first);
}

/// Whoever comes from one address leaves room for those from others.
#[tokio::test]
async fn closes_connections_beyond_the_share_of_their_address() {
    let harness = Harness::start_with(Variation {
        connections_per_address: 2,
        ..Variation::default()
    })
    .await;
    let first = TcpStream::connect(harness.public).await.unwrap();
    let _second = TcpStream::connect(harness.public).await.unwrap();
    let mut third = TcpStream::connect(harness.public).await.unwrap();
    assert_eq!(read_to_end(&mut third).await, b"");
    let metrics = get_plain(harness.admin, "/metrics").await.body;
    assert!(metrics.contains(r#"outcome="address_limit""#), "{metrics}");

    let other = TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(harness.public).await.unwrap();
    other.write_all(&client_hello("other.example.com")).await.unwrap();
    assert_eq!(read_to_end(&mut other).await, UNRECOGNIZED_NAME);

    // Once the gateway has noticed that one has ended, there is room again.
    drop(first);
    let served = timeout(DEADLINE, async {
        while connect_tls(harness.public, API, Some(Member::Example), Alpn::Http1)
            .await
            .is_err()
        {}
    });
    served.await.expect("a place becomes free");
}

#[tokio::test]
async fn is_ready_as_long_as_it_accepts() {
    let harness = Harness::start().await;
    assert_eq!(get_plain(harness.admin, "/readyz").await.status, 200);
    // A connection in hand keeps the gateway up while it drains.
    let mut passed_through = TcpStream::connect(harness.public).await.unwrap();
    passed_through
        .write_all(&client_hello("login.example.com"))
        .await
        .unwrap();
    assert!(
        timeout(DEADLINE, passed_through.read(&mut [0; 1]))
            .await
            .unwrap()
            .unwrap()
            > 0
    );
    harness.shutdown.trigger();
    assert_eq!(get_plain(harness.admin, "/readyz").await.status, 503);
    assert_eq!(get_plain(harness.admin, "/livez").await.status, 200);
}

#[tokio::test]
async fn a_shutdown_ends_idle_connections_and_the_service() {
    let mut harness = Harness::start().await;
    let mut idle = harness.connect(Member::Example).await;
    let request = format!("GET /api HTTP/1.1\r\nHost: {API}\r\n\r\n");
    idle.write_all(request.as_bytes()).await.unwrap();
    assert!(
        timeout(DEADLINE, idle.read(&mut [0; 1024]))
            .await
            .unwrap()
            .unwrap()
            > 0
    );
    harness.shutdown.trigger();
    timeout(DEADLINE, harness.finished())
        .await
        .expect("ends within its time")
        .unwrap();
    let _reset = timeout(DEADLINE, idle.read_to_end(&mut Vec::new()))
        .await
        .expect("the connection is closed");
    assert!(TcpStream::connect(harness.public).await.is_err());
}
