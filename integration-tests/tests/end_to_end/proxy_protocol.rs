//! The PROXY protocol: from a proxy in front, and to the servers behind.

use demo::configuration::Settings;
use integration_tests::{
    Ground, TestSystem, log,
    raw::{Cut, RawClient, complete_answer, request, status},
    upstream::RecordingUpstream,
};
use mtls::proxy_protocol::{self, Ends};
use pki::Member;
use reqwest::header::HeaderMap;
use tokio::{io::AsyncReadExt as _, net::TcpListener};

fn ends() -> Ends {
    Ends {
        source: "192.0.2.1:50000".parse().unwrap(),
        destination: "198.51.100.1:443".parse().unwrap(),
    }
}

fn trusting(network: &str) -> Settings {
    Settings {
        gateway_routes: format!("[listen.proxy_protocol]\ntrusted_peers = [\"{network}\"]\n"),
        ..Settings::default()
    }
}

/// A gateway that believes the proxies of `network`, with a recording API behind it, and the partner's token.
async fn system_trusting(network: &str) -> (TestSystem, RecordingUpstream, String) {
    let ground = Ground::new();
    let upstream = RecordingUpstream::start(&ground, HeaderMap::new());
    let settings = Settings {
        gateway_upstream: Some(upstream.url()),
        ..trusting(network)
    };
    let system = TestSystem::on(ground, settings).await;
    // By way of the gateway there would have to be a proxy.
    let form = "grant_type=client_credentials&client_id=partner-client";
    let body = format!(
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}",
        form.len()
    );
    let head = format!(
        "POST /oauth/v2/oauth-token-mutual-tls HTTP/1.1\r\nHost: login.example.com\r\n{body}\r\n\r\n{form}"
    );
    let answer = RawClient::to(&system, Some(Member::Example), system.mutual_tls())
        .exchange("login.example.com", head, complete_answer)
        .await
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (_, json) = answer.split_once("\r\n\r\n").unwrap();
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let token = json["access_token"].as_str().unwrap().to_owned();
    (system, upstream, token)
}

async fn call(client: &RawClient, token: &str) -> std::io::Result<u16> {
    let bearer = [format!("Authorization: Bearer {token}")];
    let request = request("GET", "/api/transactions", "api.example.com", &bearer);
    let answer = client
        .exchange("api.example.com", request, complete_answer)
        .await?;
    Ok(status(&answer))
}

async fn assert_logged(peer: &str, words: &str) {
    log::event(|event| {
        let of_peer = event["peer.address"]
            .as_str()
            .is_some_and(|address| address.starts_with(peer));
        of_peer
            && event["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains(words))
    })
    .await;
}

/// T40: however it is cut, and the API is told as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_tells_where_a_connection_comes_from() {
    let (system, upstream, token) = system_trusting("127.0.0.0/8").await;
    for cut in [Cut::Whole, Cut::OneBytePerSegment] {
        let client = RawClient::new(&system, Some(Member::Example)).cutting(cut);
        let proxied = client.prefaced_by(ends().header());
        assert_eq!(call(&proxied, &token).await.unwrap(), 200);
    }
    // A connection of the proxy's own comes from the proxy.
    let local = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x20, 0, 0, 0]].concat();
    let client = RawClient::new(&system, Some(Member::Example)).prefaced_by(local);
    assert_eq!(call(&client, &token).await.unwrap(), 200);
    let told: Vec<_> = upstream
        .requests()
        .iter()
        .map(|request| request.values("x-forwarded-for").concat())
        .collect();
    assert_eq!(told, ["192.0.2.1", "192.0.2.1", "127.0.0.1"]);
    let refused = RawClient::new(&system, Some(Member::Example)).prefaced_by(ends().header());
    assert_eq!(call(&refused, "no-token").await.unwrap(), 401);
    assert_logged("192.0.2.1:50000", "token_inactive").await;
}

/// T40: a trusted proxy that says nothing, or says it in another way.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_a_trusted_proxy_without_header_is_refused() {
    let (system, upstream, token) = system_trusting("127.0.0.0/8").await;
    let client = RawClient::new(&system, Some(Member::Example));
    assert!(call(&client, &token).await.is_err());
    assert_logged("127.0.0.1:", "does not begin with a PROXY header").await;
    let version_1 = client.prefaced_by(*b"PROXY TCP4 192.0.2.1 198.51.100.1 50000 443\r\n");
    assert!(call(&version_1, &token).await.is_err());
    assert_logged("127.0.0.1:", "PROXY header of version 1").await;
    assert!(upstream.requests().is_empty());
}

/// T40: anybody else's word about itself; and whoever connects without one is served.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_from_an_untrusted_peer_is_refused() {
    let (system, upstream, token) = system_trusting("10.0.0.0/8").await;
    let client = RawClient::new(&system, Some(Member::Example));
    for preface in [
        ends().header(),
        b"PROXY TCP4 192.0.2.1 198.51.100.1 50000 443\r\n".to_vec(),
    ] {
        let proxied = client.clone().prefaced_by(preface);
        assert!(call(&proxied, &token).await.is_err());
        assert_logged("127.0.0.1:", "none of listen.proxy_protocol.trusted_peers").await;
    }
    assert!(upstream.requests().is_empty());
    assert_eq!(call(&client, &token).await.unwrap(), 200);
}

/// T30, T40: the upstream of a host that is passed through learns who connected to what, and then gets every byte.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_is_told_where_a_connection_comes_from_where_it_is_to_know() {
    for (told, trusted) in [(true, None), (true, Some("127.0.0.0/8")), (false, None)] {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = trusted.map_or_else(Settings::default, trusting);
        settings.gateway_routes += &format!(
            "[[passthrough]]\nhost = \"foreign.example.com\"\nupstream = \"{}\"\nproxy_protocol = {told}\n",
            upstream.local_addr().unwrap()
        );
        let system = TestSystem::start_with(settings).await;
        let client = RawClient::new(&system, None);
        let client = match trusted {
            Some(_) => client.prefaced_by(ends().header()),
            None => client,
        };
        let exchange =
            tokio::spawn(async move { client.exchange("foreign.example.com", "", |_| false).await });
        let (mut stream, _) = upstream.accept().await.unwrap();
        if told {
            let seen = proxy_protocol::read(&mut stream).await.unwrap().unwrap();
            match trusted {
                Some(_) => assert_eq!(seen, ends()),
                None => {
                    assert_eq!(seen.destination, system.gateway());
                    assert!(seen.source.ip().is_loopback());
                }
            }
        }
        let handshake = stream.read_u8().await.unwrap();
        assert_eq!(handshake, 22, "a TLS record of the handshake");
        drop(stream);
        assert!(exchange.await.unwrap().is_err());
    }
}

/// T40: a guess at the token endpoint is counted where it comes from, through the gateway and all.
#[tokio::test(flavor = "multi_thread")]
async fn the_authorization_server_learns_through_the_gateway_where_a_request_comes_from() {
    let proxied = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut settings = trusting("127.0.0.0/8");
    settings.clients =
        format!("[listen.proxied]\naddress = \"{proxied}\"\ntrusted_peers = [\"127.0.0.1\"]\n");
    settings.gateway_routes += &format!(
        "[[passthrough]]\nhost = \"login-internal.example.com\"\nupstream = \"{proxied}\"\nproxy_protocol = true\n"
    );
    let system = TestSystem::start_with(settings).await;
    let ends = Ends {
        source: "192.0.2.40:50000".parse().unwrap(),
        ..ends()
    };
    let client = RawClient::new(&system, Some(Member::Other)).prefaced_by(ends.header());
    let form = "grant_type=client_credentials&client_id=partner-client";
    let head = "POST /oauth/v2/oauth-token-mutual-tls HTTP/1.1\r\nHost: login-internal.example.com\r\n";
    let fields = format!(
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        form.len()
    );
    let request = [head, &fields, form].concat();
    let answer = client
        .exchange("login-internal.example.com", request, complete_answer)
        .await
        .unwrap();
    assert_eq!(status(&answer), 401);
    log::event(|event| event["peer.address"] == "192.0.2.40:50000").await;
    // Directly nobody is served there.
    let direct = RawClient::to(&system, Some(Member::Other), proxied);
    assert!(direct.exchange("login.example.com", "", |_| false).await.is_err());
}
