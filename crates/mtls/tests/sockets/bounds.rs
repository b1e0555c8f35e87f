//! What one peer cannot do to the others, and how a server ends.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use mtls::{ClientCertificates, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::{SOON, Server, closed, connect, exchange, request, who_am_i};

const SHORT: Duration = Duration::from_millis(200);

fn server(limits: Limits) -> Server {
    Server::start_with(&ClientCertificates::NotRequested, limits, who_am_i())
}

/// T26.
#[tokio::test]
async fn closes_a_handshake_that_takes_too_long_and_serves_the_others_meanwhile() {
    let server = server(Limits {
        handshake: SHORT,
        ..Limits::default()
    });
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(&[22, 3, 1]).await.unwrap();
    assert_eq!(server.ask(None).await.unwrap(), "anonymous");
    closed(&mut slow).await;
}

#[tokio::test]
async fn closes_a_connection_that_never_shows_its_http_version() {
    let server = server(Limits {
        first_bytes: SHORT,
        ..Limits::default()
    });
    let mut silent = connect(server.address, server.client(None).into()).await.unwrap();
    let mut stalled = connect(server.address, server.client(None).into()).await.unwrap();
    stalled.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    assert_eq!(server.ask(None).await.unwrap(), "anonymous");
    closed(&mut silent).await;
    closed(&mut stalled).await;
}

#[tokio::test]
async fn closes_a_connection_on_which_nothing_more_is_asked() {
    let server = server(Limits {
        idle: SHORT,
        ..Limits::default()
    });
    let mut idle = connect(server.address, server.client(None).into()).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    assert_eq!(server.ask(None).await.unwrap(), "anonymous");
    closed(&mut idle).await;
}

#[tokio::test]
async fn closes_a_request_whose_header_never_ends() {
    let server = server(Limits {
        headers: SHORT,
        ..Limits::default()
    });
    let mut slow = connect(server.address, server.client(None).into()).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        .await
        .unwrap();
    assert_eq!(server.ask(None).await.unwrap(), "anonymous");
    closed(&mut slow).await;
}

#[tokio::test]
async fn drops_connections_beyond_the_limit_and_accepts_again_once_one_ends() {
    let server = server(Limits {
        connections: 1,
        ..Limits::default()
    });
    let config = Arc::new(server.client(None));
    let first = connect(server.address, Arc::clone(&config)).await.unwrap();
    assert!(
        exchange(server.address, Arc::clone(&config)).await.is_err(),
        "one too many is served"
    );
    assert_eq!(request(first).await.unwrap(), "anonymous");
    let served_again = async {
        while exchange(server.address, Arc::clone(&config)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, served_again)
        .await
        .expect("the place is free again");
}

#[tokio::test]
async fn finishes_the_request_in_hand_when_it_is_stopped_and_accepts_no_other() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (entering, released) = (Arc::clone(&entered), Arc::clone(&release));
    let handler = move || async move {
        entering.notify_one();
        released.notified().await;
        "finished"
    };
    let router = Router::new().route("/", get(handler));
    let mut server = Server::start_with(&ClientCertificates::NotRequested, Limits::default(), router);
    let stream = connect(server.address, server.client(None).into()).await.unwrap();
    let answer = tokio::spawn(request(stream));
    entered.notified().await;
    server.stop();
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    tokio::time::timeout(SOON, refused)
        .await
        .expect("the listener closes");
    release.notify_one();
    assert_eq!(answer.await.unwrap().unwrap(), "finished");
    server.stopped().await;
}

#[tokio::test]
async fn does_not_wait_longer_for_a_request_in_hand_than_it_was_told() {
    let entered = Arc::new(Notify::new());
    let entering = Arc::clone(&entered);
    let handler = move || async move {
        entering.notify_one();
        std::future::pending::<()>().await;
    };
    let router = Router::new().route("/", get(handler));
    let limits = Limits {
        drain: SHORT,
        ..Limits::default()
    };
    let mut server = Server::start_with(&ClientCertificates::NotRequested, limits, router);
    let stream = connect(server.address, server.client(None).into()).await.unwrap();
    let answer = tokio::spawn(request(stream));
    entered.notified().await;
    server.stop();
    server.stopped().await;
    assert!(answer.await.unwrap().is_err());
}
