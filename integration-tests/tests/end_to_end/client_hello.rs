//! Which server a connection is for, told by its first bytes however they are cut.

use integration_tests::{
    TestSystem,
    raw::{Cut, RawClient, Sni, complete_answer, request, send_plain, status},
};
use pki::Member;
use rustls::{AlertDescription, Error};

const METADATA: &str = "/.well-known/oauth-authorization-server/oauth/v2/oauth-anonymous";

fn alert_of(error: &std::io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// T30, T31, T35, T37 (our client offers a hybrid key share): each host is found in every cut.
#[tokio::test(flavor = "multi_thread")]
async fn both_hosts_are_reached_however_the_client_hello_is_cut() {
    let system = TestSystem::start().await;
    let token = system.partner_token().await;
    let bearer = [format!("Authorization: Bearer {token}")];
    for cut in [
        Cut::Whole,
        Cut::OneBytePerSegment,
        Cut::OneBytePerRecord,
        Cut::OneBytePerRecordAndSegment,
    ] {
        let client = RawClient::new(&system, Some(Member::Example)).cutting(cut);
        let login = request("GET", METADATA, "login.example.com", &[]);
        let answer = client
            .exchange("login.example.com", login, complete_answer)
            .await
            .unwrap();
        assert_eq!(status(&answer), 200, "{cut:?}");
        let api = request("GET", "/api/transactions", "api.example.com", &bearer);
        let answer = client
            .exchange("api.example.com", api, complete_answer)
            .await
            .unwrap();
        assert_eq!(status(&answer), 200, "{cut:?}");
    }
}

/// T30, X9: the certificate that the client sees is the authorization server's, and so is the one that it shows.
#[tokio::test(flavor = "multi_thread")]
async fn login_traffic_passes_through_unopened() {
    let system = TestSystem::start().await;
    let directly = RawClient::to(&system, None, system.mutual_tls());
    let through = RawClient::new(&system, None);
    let login = || request("GET", METADATA, "login.example.com", &[]);
    let expected = directly
        .exchange("login.example.com", login(), complete_answer)
        .await
        .unwrap();
    let answer = through
        .exchange("login.example.com", login(), complete_answer)
        .await
        .unwrap();
    let body = |answer: &[u8]| {
        String::from_utf8_lossy(answer)
            .split_once("\r\n\r\n")
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(body(&answer), body(&expected));
}

/// T34: DNS names have no case.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_name_is_found_in_any_case() {
    let system = TestSystem::start().await;
    let client = RawClient::new(&system, None);
    let login = request("GET", METADATA, "login.example.com", &[]);
    let answer = client
        .exchange("LOGIN.Example.com", login, complete_answer)
        .await
        .unwrap();
    assert_eq!(status(&answer), 200);
}

/// T32.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_server_name_is_refused_by_alert() {
    let system = TestSystem::start().await;
    for cut in [Cut::Whole, Cut::OneBytePerRecordAndSegment] {
        let client = RawClient::new(&system, Some(Member::Example)).cutting(cut);
        let error = client
            .exchange("unknown.example.com", *b"GET", |_| false)
            .await
            .unwrap_err();
        assert_eq!(
            alert_of(&error),
            Some(AlertDescription::UnrecognisedName),
            "{error}"
        );
    }
}

/// T33.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_server_name_is_closed() {
    let system = TestSystem::start().await;
    let client = RawClient::new(&system, Some(Member::Example)).with_sni(Sni::Absent);
    let api = request("GET", "/api/transactions", "api.example.com", &[]);
    assert!(client.exchange("api.example.com", api, |_| false).await.is_err());
    let named = client.with_sni(Sni::Sent);
    let api = request("GET", "/api/transactions", "api.example.com", &[]);
    let answer = named
        .exchange("api.example.com", api, complete_answer)
        .await
        .unwrap();
    assert_eq!(status(&answer), 401);
}

/// T36.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_tls_is_closed() {
    let system = TestSystem::start().await;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"[..],
        b"\x16\x03\x01\x00\x00",
        &[0x16; 64],
    ] {
        let answer = send_plain(system.gateway(), bytes.to_vec(), Cut::Whole)
            .await
            .unwrap();
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
}

/// T36: a `ClientHello` that claims to be longer than any should be.
#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_client_hello_is_closed() {
    let system = TestSystem::start().await;
    let mut bytes = Vec::new();
    for index in 0..3_u8 {
        bytes.extend([0x16, 3, 1, 0x40, 0]);
        let mut fragment = vec![index; 0x4000];
        if index == 0 {
            fragment[..4].copy_from_slice(&[1, 0, 0xff, 0xff]);
        }
        bytes.extend(fragment);
    }
    let answer = send_plain(system.gateway(), bytes, Cut::Whole).await.unwrap();
    assert!(answer.len() < 64, "{answer:?}");
}
