//! What the gateway holds of the machine's memory, whatever goes through it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use demo::configuration::Settings;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use integration_tests::{
    Ground,
    processes::{Memory, Processes, Service},
};
use mtls::{Alpn, ClientTls, ConnectTo, Timeouts};
use pki::Member;
use reqwest::{Client, StatusCode};
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Above what it holds when nothing goes on, in KiB.
const MOST: u64 = 64 * 1024;
const PIECE: usize = 64 * 1024;
const API: &str = "https://api.example.com/api/transactions";

/// A gateway in a process of its own, before an API that sends back what it is sent.
pub(crate) struct Scene {
    ground: Ground,
    processes: Processes,
    pub(crate) token: String,
    idle: Memory,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let (ground, api) = (Ground::new(), serve_echo().await);
        let settings = Settings {
            gateway_upstream: Some(format!("http://{api}")),
            ..Settings::default()
        };
        let processes = Processes::start_with(&ground, settings);
        let mut scene = Self {
            idle: processes.memory(Service::Gateway),
            ground,
            processes,
            token: String::new(),
        };
        scene.token = scene.partner_token().await;
        scene.answers().await;
        scene.idle = scene.processes.memory(Service::Gateway);
        scene
    }

    fn tls(&self) -> ClientTls {
        ClientTls::new(self.ground.trust()).with_credentials(self.ground.credentials(Member::Example))
    }

    pub(crate) fn gateway(&self) -> SocketAddr {
        self.processes.gateway()
    }

    pub(crate) fn client(&self, alpn: Alpn) -> Client {
        let connect_to = ["login.example.com", "api.example.com"].map(|host| ConnectTo {
            host: host.to_owned(),
            address: self.gateway(),
        });
        let timeouts = Timeouts {
            total: Duration::from_secs(600),
            ..Timeouts::default()
        };
        self.tls()
            .http_client_speaking(alpn, timeouts, &connect_to)
            .unwrap()
    }

    /// The partner's connection to the API, on which nothing is said yet.
    pub(crate) async fn connect(&self, alpn: Alpn) -> TlsStream<TcpStream> {
        let config = self.tls().rustls_client_config(alpn).unwrap();
        let tcp = TcpStream::connect(self.gateway()).await.unwrap();
        let name = ServerName::try_from("api.example.com").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .unwrap()
    }

    async fn partner_token(&self) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "partner-client"),
        ];
        let endpoint = "https://login.example.com/oauth/v2/oauth-token-mutual-tls";
        let answer = self
            .client(Alpn::Http1)
            .post(endpoint)
            .form(&form)
            .send()
            .await
            .unwrap();
        let answer: serde_json::Value = answer.json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// A good request over a connection of its own is answered.
    pub(crate) async fn answers(&self) {
        let request = self.client(Alpn::Http2OrHttp1).get(API).bearer_auth(&self.token);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    }

    /// The gateway never held much more than when nothing went on.
    pub(crate) fn held_little(&self) {
        let now = self.processes.memory(Service::Gateway);
        let (idle, peak) = (self.idle.resident, now.peak);
        assert!(
            peak < idle + MOST,
            "{peak} KiB at most, {idle} KiB idle, now {now:?}"
        );
    }
}

async fn serve_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(async |request: Request| request.into_body());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Sends this many bytes and takes them back at the same time.
async fn send_and_take_back(scene: &Scene, alpn: Alpn, bytes: usize) {
    let piece = axum::body::Bytes::from(vec![7; PIECE]);
    let pieces = (0..bytes / PIECE).map(move |_| Ok::<_, std::io::Error>(Frame::data(piece.clone())));
    let body = reqwest::Body::wrap(StreamBody::new(stream::iter(pieces)));
    let request = scene.client(alpn).post(API).bearer_auth(&scene.token).body(body);
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut taken_back = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        taken_back += chunk.len();
    }
    assert_eq!(taken_back, bytes);
    scene.held_little();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_passes_both_ways_and_is_never_held() {
    let scene = Scene::new().await;
    for alpn in [Alpn::Http1, Alpn::Http2OrHttp1] {
        send_and_take_back(&scene, alpn, 160 * 1024 * 1024).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: cargo test -p integration-tests -- --ignored gigabyte"]
async fn a_gigabyte_passes_both_ways_and_is_never_held() {
    let scene = Scene::new().await;
    for alpn in [Alpn::Http1, Alpn::Http2OrHttp1] {
        send_and_take_back(&scene, alpn, 1024 * 1024 * 1024).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_over_http_2_with_certificates_leaves_memory_as_it_was() {
    let scene = Scene::new().await;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let client = scene.client(Alpn::Http2OrHttp1);
        for _ in 0..50 {
            let (client, token) = (client.clone(), scene.token.clone());
            clients.spawn(async move {
                for _ in 0..10 {
                    let request = client.post(API).bearer_auth(&token).body(vec![7; 1024]);
                    let response = request.send().await.unwrap();
                    assert_eq!(
                        (response.status(), response.version()),
                        (StatusCode::OK, http_2())
                    );
                    assert_eq!(response.bytes().await.unwrap().len(), 1024);
                }
            });
        }
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    scene.held_little();
}

const fn http_2() -> reqwest::Version {
    reqwest::Version::HTTP_2
}
