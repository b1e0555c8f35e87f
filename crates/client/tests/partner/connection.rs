//! What is said of connections that do not come about, and that nothing is sent over them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use client::{Client, ClientConfiguration, ClientError, Method, TokenEndpoint, TokenError, TransportError};
use mtls::{Alert, Credentials, ServerCertificateFault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::certificates::{Authority, Pem};
use crate::server::{API, Behaviour, Servers};

async fn token_error(configuration: ClientConfiguration) -> TransportError {
    match Client::new(configuration).unwrap().token().await.unwrap_err() {
        ClientError::Token(TokenError::Transport(error)) => error,
        other => panic!("{other}"),
    }
}

async fn alert_for(servers: &Servers, certificate: &Pem) -> (Alert, String) {
    match token_error(servers.configuration(certificate)).await {
        TransportError::Alert { peer, alert } => (alert, TransportError::Alert { peer, alert }.to_string()),
        other => panic!("{other}"),
    }
}

/// User 46: the refusal arrives after the client's handshake has succeeded.
#[tokio::test]
async fn says_why_the_server_refused_the_certificate() {
    let servers = Servers::start(Behaviour::default());
    let expired = servers.authority.client_with(|params| {
        params.not_after = (SystemTime::now() - Duration::from_secs(3600)).into();
    });
    let (alert, sentence) = alert_for(&servers, &expired).await;
    assert_eq!(alert, Alert::CertificateExpired);
    assert!(
        sentence.contains("login.example.com") && sentence.contains("refused your certificate: expired"),
        "{sentence}"
    );

    let rogue = Authority::new().client();
    let (alert, _) = alert_for(&servers, &rogue).await;
    assert!(
        matches!(
            alert,
            Alert::UnknownCa | Alert::BadCertificate | Alert::DecryptError
        ),
        "{alert:?}"
    );

    let no_client = servers
        .authority
        .client_with(|params| params.extended_key_usages.clear());
    let (alert, _) = alert_for(&servers, &no_client).await;
    assert_eq!(alert, Alert::UnsupportedCertificate);
    assert_eq!(servers.token_requests(), 0);
}

/// User 46.
#[tokio::test]
async fn tries_no_second_time_after_a_refusal() {
    let servers = Servers::start(Behaviour::default());
    let (address, connections) = counting_forwarder(servers.address).await;
    let mut configuration = servers.configuration(&Authority::new().client());
    configuration.connect_to = vec![format!("login.example.com={address}").parse().unwrap()];
    assert!(matches!(
        token_error(configuration).await,
        TransportError::Alert { .. }
    ));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// Passes connections on to `target` and counts them.
async fn counting_forwarder(target: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (mut accepted, _) = listener.accept().await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut forwarded = TcpStream::connect(target).await.unwrap();
                tokio::io::copy_bidirectional(&mut accepted, &mut forwarded).await
            });
        }
    });
    (address, connections)
}

/// B12.
#[tokio::test]
async fn refuses_a_server_with_the_certificate_of_another_host() {
    let servers = Servers::start_for(&["login.example.com"], Behaviour::default());
    let client = servers.client();
    client.token().await.unwrap();
    let error = client.call(Method::GET, API, None).await.unwrap_err();
    let ClientError::Call(TransportError::ServerCertificate { fault, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(*fault, ServerCertificateFault::WrongHost);
    assert_eq!(servers.calls(), []);
}

/// B12.
#[tokio::test]
async fn refuses_a_server_of_an_authority_it_does_not_trust() {
    let servers = Servers::start(Behaviour::default());
    let configuration = servers.configuration(&servers.authority.client());
    let error = token_error(ClientConfiguration {
        trust: Authority::new().trust(),
        ..configuration
    })
    .await;
    let TransportError::ServerCertificate { fault, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        matches!(
            fault,
            ServerCertificateFault::UnknownIssuer | ServerCertificateFault::Other(_)
        ),
        "{fault:?}"
    );
    assert_eq!(servers.token_requests(), 0);
}

#[tokio::test]
async fn names_the_address_where_nobody_listens() {
    let servers = Servers::start(Behaviour::default());
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let configuration = servers.configuration(&servers.authority.client());
    let connect_to = vec![format!("login.example.com={gone}").parse().unwrap()];
    let error = token_error(ClientConfiguration {
        connect_to,
        ..configuration
    })
    .await;
    assert!(matches!(error, TransportError::Refused { .. }), "{error}");
    assert!(error.to_string().contains(&gone.to_string()), "{error}");
}

/// What is said when `answer` is all that comes from the token endpoint's address before the connection is closed.
async fn error_after(answer: &'static [u8]) -> TransportError {
    let servers = Servers::start(Behaviour::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut accepted, _) = listener.accept().await.unwrap();
            let mut hello = [0; 16];
            accepted.read_exact(&mut hello).await.unwrap();
            accepted.write_all(answer).await.unwrap();
        }
    });
    let mut configuration = servers.configuration(&servers.authority.client());
    configuration.connect_to = vec![format!("login.example.com={address}").parse().unwrap()];
    token_error(configuration).await
}

/// So it looks when the authorization server is down behind a gateway that passes its connections through.
#[tokio::test]
async fn asks_whether_the_server_runs_where_the_handshake_is_cut_off() {
    let error = error_after(b"").await;
    assert!(matches!(error, TransportError::CutOff { .. }), "{error}");
    assert!(error.to_string().contains("is the server running"), "{error}");
}

#[tokio::test]
async fn says_that_a_port_does_not_speak_tls() {
    let error = error_after(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(matches!(error, TransportError::NotTls { .. }), "{error}");
}

/// RFC 6761 §6.4: the name never exists.
#[tokio::test]
async fn names_a_host_that_has_no_address() {
    let servers = Servers::start(Behaviour::default());
    let mut configuration = servers.configuration(&servers.authority.client());
    configuration.token_endpoint = TokenEndpoint::Url("https://nobody.invalid/token".into());
    let error = token_error(configuration).await;
    assert!(matches!(error, TransportError::UnknownHost { .. }), "{error}");
    assert!(
        error.to_string().contains("nobody.invalid") && error.to_string().contains("--connect-to"),
        "{error}"
    );
}

#[tokio::test]
async fn waits_no_longer_than_told_for_a_server_that_says_nothing() {
    let servers = Servers::start(Behaviour::default());
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut configuration = servers.configuration(&servers.authority.client());
    configuration.connect_to = vec![
        format!("login.example.com={}", silent.local_addr().unwrap())
            .parse()
            .unwrap(),
    ];
    configuration.timeouts.total = Duration::from_millis(100);
    let error = token_error(configuration).await;
    assert!(matches!(error, TransportError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn shows_the_certificate_of_a_pkcs12_archive() {
    let servers = Servers::start(Behaviour::default());
    let certificate = servers.authority.client();
    let archive = certificate.pkcs12("Password1");
    assert!(Credentials::from_pkcs12(&archive, "password1").is_err());
    let credentials = Credentials::from_pkcs12(&archive, "Password1").unwrap();
    let configuration = servers.configuration(&certificate);
    let client = Client::new(ClientConfiguration {
        credentials,
        ..configuration
    })
    .unwrap();
    assert_eq!(client.token().await.unwrap().expose(), "token-1");
}

#[tokio::test]
async fn refuses_a_token_endpoint_without_tls() {
    let servers = Servers::start(Behaviour::default());
    let configuration = servers.configuration(&servers.authority.client());
    let token_endpoint = TokenEndpoint::Url("http://login.example.com/token".into());
    let client = Client::new(ClientConfiguration {
        token_endpoint,
        ..configuration
    })
    .unwrap();
    let error = client.token().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Token(TokenError::NotHttps { .. })),
        "{error}"
    );
}
