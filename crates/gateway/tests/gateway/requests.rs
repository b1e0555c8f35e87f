//! Requests on a terminated connection: what is forwarded, in what form, and what is refused.

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mtls::{Alpn, ConnectTo, Timeouts};
use oauth_core::client_cert_header;
use pki::Member;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    API, Api, Harness, Variation, certificate_of, client_tls, connect_tls, send, with_token,
};

/// P9, M35.
#[tokio::test]
async fn forwards_the_jwt_and_nowhere_the_opaque_token() {
    let harness = Harness::start().await;
    let jwt = harness.stubs.issue("opaque", Member::Example);
    let answered = harness.call(Member::Example, "opaque").await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(answered.forwarded("authorization"), [format!("Bearer {jwt}")]);
    assert!(!answered.body.contains("opaque"), "{}", answered.body);
}

/// H1, H3, H11, X5.
#[tokio::test]
async fn tells_the_api_who_called_and_lets_nobody_else_tell_it() {
    let harness = Harness::start().await;
    harness.stubs.issue("opaque", Member::Example);
    let forged = "Client-Cert: :Zm9yZ2Vk:\nclient_cert: forged\nX-Forwarded-For: forged\nx_forwarded_for: forged\n\
                  X-SSL-Client-Cert: forged\nForwarded: for=forged\nX-Request-Id: forged\nX-Real-IP: forged\n\
                  X-Kept: kept\n";
    let request = with_token("GET /api/transactions?a=b%20c", "opaque", forged);
    let answered = harness.exchange(Member::Example, &request).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert!(!answered.body.contains("forged"), "{}", answered.body);
    let certificate = client_cert_header::encode(certificate_of(Member::Example).der());
    assert_eq!(answered.forwarded("client-cert"), [certificate]);
    assert_eq!(answered.forwarded("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(answered.forwarded("x-forwarded-host"), [API]);
    assert_eq!(answered.forwarded("x-forwarded-proto"), ["https"]);
    assert_eq!(answered.forwarded("x-kept"), ["kept"]);
    assert_eq!(
        answered.forwarded("x-request-id"),
        [answered.header("x-request-id").unwrap()]
    );
    assert!(
        answered.json()["host"]
            .as_str()
            .unwrap()
            .starts_with("localhost:")
    );
    assert_eq!(answered.json()["target"], "/api/transactions?a=b%20c");
}

/// H5.
#[tokio::test]
async fn tells_the_certificate_only_where_the_route_says_so() {
    let harness = Harness::start().await;
    let mut claims = harness.stubs.claims(Some(Member::Example));
    claims.scope = "admin".parse().unwrap();
    let jwt = claims.sign(&harness.stubs.signing_key).unwrap();
    harness.stubs.answer("opaque", crate::support::Answer::Jwt(jwt));
    let answered = harness
        .exchange(Member::Example, &with_token("GET /admin", "opaque", ""))
        .await;
    assert_eq!(answered.status, 200);
    assert!(answered.forwarded("client-cert").is_empty());
}

#[tokio::test]
async fn streams_a_body_of_known_length_and_one_in_chunks() {
    let harness = Harness::start().await;
    harness.stubs.issue("opaque", Member::Example);
    for (fields, body) in [
        ("Content-Length: 4\n", "body"),
        ("Content-Length: 4\nExpect: 100-continue\n", "body"),
        ("Transfer-Encoding: chunked\n", "2\nbo\n2\ndy\n0\n\n"),
    ] {
        let request = with_token("POST /api/transactions", "opaque", fields) + body;
        let mut stream = harness.connect(Member::Example).await;
        stream
            .write_all(request.replace('\n', "\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        let _no_close_notify = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.contains("200 OK") && answer.contains(r#""body":"body""#),
            "{fields}: {answer}"
        );
        assert_eq!(
            answer.contains("100 Continue"),
            fields.contains("Expect"),
            "{fields}: {answer}"
        );
    }
}

/// M42: the certificate is the connection's, also with HTTP/2.
#[tokio::test]
async fn checks_every_request_of_one_http_2_connection_against_its_certificate() {
    let harness = Harness::start().await;
    harness.stubs.issue("mine", Member::Example);
    harness.stubs.issue("stolen", Member::Other);
    let mapping = ConnectTo {
        host: API.to_owned(),
        address: harness.public,
    };
    let client = client_tls(Some(Member::Example))
        .http_client(Timeouts::default(), &[mapping])
        .unwrap();
    for (token, status) in [("mine", 200), ("stolen", 401), ("mine", 200), ("stolen", 401)] {
        let request = client
            .get(format!("https://{API}/api/transactions"))
            .bearer_auth(token);
        let response = request.send().await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        assert_eq!(response.status(), status, "{token}");
    }
}

/// T39: what a browser would coalesce is refused, and the connection serves its own host on.
#[tokio::test]
async fn refuses_another_authority_on_an_http_2_connection_request_by_request() {
    let harness = Harness::start().await;
    harness.stubs.issue("opaque", Member::Example);
    let stream = connect_tls(harness.public, API, Some(Member::Example), Alpn::Http2OrHttp1)
        .await
        .unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    for (authority, status) in [
        (API, 200),
        ("login.example.com", 421),
        ("API.example.com:3000", 200),
    ] {
        let request = Request::get(format!("https://{authority}/api/transactions"));
        let request = request
            .header("authorization", "Bearer opaque")
            .body(Empty::<Bytes>::new())
            .unwrap();
        assert_eq!(
            sender.send_request(request).await.unwrap().status(),
            status,
            "{authority}"
        );
    }
}

/// M36, W12.
#[tokio::test]
async fn refuses_a_remembered_token_over_another_certificate() {
    let harness = Harness::start().await;
    harness.stubs.issue("opaque", Member::Example);
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
    let answered = harness.call(Member::Other, "opaque").await;
    assert_eq!(answered.status, 401);
    assert!(
        answered
            .header("www-authenticate")
            .unwrap()
            .contains(r#"error="invalid_token""#)
    );
    assert_eq!(harness.stubs.introspections_of("opaque"), 1);
}

/// M37, T15.
#[tokio::test]
async fn refuses_a_bound_token_without_certificate_where_a_certificate_is_optional() {
    let harness = Harness::start_with(Variation {
        client_certificate: "optional",
        ..Variation::default()
    })
    .await;
    harness.stubs.issue("opaque", Member::Example);
    let mut stream = connect_tls(harness.public, API, None, Alpn::Http1).await.unwrap();
    let answered = send(&mut stream, &with_token("GET /api/transactions", "opaque", "")).await;
    assert_eq!(answered.status, 401);
    assert!(
        answered
            .header("www-authenticate")
            .unwrap()
            .contains(r#"error="invalid_token""#)
    );
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
}

/// B1, B13.
#[tokio::test]
async fn answers_a_request_without_token_with_a_challenge_and_json() {
    let harness = Harness::start().await;
    let request = format!("GET /api/transactions HTTP/1.1\nHost: {API}\nConnection: close\n\n");
    let answered = harness.exchange(Member::Example, &request).await;
    assert_eq!(answered.status, 401);
    assert_eq!(
        answered.header("www-authenticate"),
        Some(
            "Bearer realm=\"api.example.com\", \
             resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\""
        )
    );
    assert_eq!(answered.header("cache-control"), Some("no-store"));
    assert_eq!(
        answered.json()["request_id"],
        answered.header("x-request-id").unwrap()
    );
}

/// B6.
#[tokio::test]
async fn answers_403_where_scope_is_missing_and_names_it() {
    let harness = Harness::start().await;
    harness.stubs.issue("opaque", Member::Example);
    let answered = harness
        .exchange(Member::Example, &with_token("GET /admin", "opaque", ""))
        .await;
    assert_eq!(answered.status, 403);
    assert!(
        answered
            .header("www-authenticate")
            .unwrap()
            .contains(r#", scope="admin", "#)
    );
}

/// B4, B8, N1, N2, T39.
#[tokio::test]
async fn refuses_what_could_be_read_in_two_ways() {
    let harness = Harness::start().await;
    harness.stubs.issue("opaque", Member::Example);
    let requests = [
        (with_token("GET /api/%2e%2e/admin", "opaque", ""), 400),
        (with_token("GET /api/../admin", "opaque", ""), 400),
        (with_token("GET //api/transactions", "opaque", ""), 400),
        (
            with_token("GET /api/transactions?access_token=opaque", "opaque", ""),
            400,
        ),
        (
            with_token(
                "GET /api/transactions",
                "opaque",
                "Authorization: Bearer opaque\n",
            ),
            400,
        ),
        (
            with_token("GET /api/transactions", "opaque", &format!("Host: {API}\n")),
            400,
        ),
        (
            with_token("GET /api/transactions", "opaque", "").replace("Host: api", "Host: login"),
            421,
        ),
        (
            with_token("GET https://login.example.com/api/transactions", "opaque", ""),
            421,
        ),
        (with_token("CONNECT api.example.com:443", "opaque", ""), 400),
        (with_token("OPTIONS *", "opaque", ""), 400),
        (
            with_token("POST /api", "opaque", "Content-Length: 1\nContent-Length: 2\n"),
            400,
        ),
        (
            with_token("POST /api", "opaque", "Transfer-Encoding: gzip, chunked\n"),
            400,
        ),
        (with_token("GET /apix", "opaque", ""), 404),
        (with_token("DELETE /api/transactions", "opaque", ""), 405),
        (
            with_token("GET https://API.example.com:3000/api/transactions", "opaque", ""),
            200,
        ),
    ];
    for (request, status) in requests {
        let answered = harness.exchange(Member::Example, &request).await;
        assert_eq!(answered.status, status, "{request}");
    }
}

/// P11.
#[tokio::test]
async fn answers_a_preflight_itself_and_asks_any_other_options_for_a_token() {
    let harness = Harness::start().await;
    let options = |fields: &str| {
        format!("OPTIONS /api/transactions HTTP/1.1\nHost: {API}\nConnection: close\n{fields}\n")
    };
    let preflight = options("Origin: https://a\nAccess-Control-Request-Method: POST\n");
    let answered = harness.exchange(Member::Example, &preflight).await;
    assert_eq!(answered.status, 204);
    assert!(
        answered
            .headers
            .keys()
            .all(|name| !name.as_str().starts_with("access-control-"))
    );
    assert_eq!(
        harness
            .exchange(Member::Example, &options("Origin: https://a\n"))
            .await
            .status,
        401
    );
}

/// H4, H7.
#[tokio::test]
async fn lets_no_certificate_out_and_no_cache_mistake_one_caller_for_another() {
    let harness = Harness::start().await;
    harness.stubs.issue("opaque", Member::Example);
    harness.stubs.api_response.lock().unwrap().extend([
        ("client-cert".parse().unwrap(), HeaderValue::from_static(":ZGVy:")),
        ("vary".parse().unwrap(), HeaderValue::from_static("Client-Cert")),
        ("etag".parse().unwrap(), HeaderValue::from_static("\"1\"")),
    ] as [(http::HeaderName, HeaderValue); 3]);
    let answered = harness.call(Member::Example, "opaque").await;
    assert_eq!(answered.header("client-cert"), None);
    assert_eq!(answered.header("vary"), Some("*"));
    assert_eq!(answered.header("etag"), Some("\"1\""));
}

#[tokio::test]
async fn tries_the_next_server_where_one_cannot_be_reached_and_loses_no_body() {
    let harness = Harness::start_with(Variation {
        api: Api::HalfUp,
        ..Variation::default()
    })
    .await;
    harness.stubs.issue("opaque", Member::Example);
    for _ in 0..2 {
        let request = with_token("POST /api/transactions", "opaque", "Content-Length: 4\n") + "body";
        let answered = harness.exchange(Member::Example, &request).await;
        assert_eq!(answered.status, 200, "{answered:?}");
        assert_eq!(answered.json()["body"], "body");
    }
}

#[tokio::test]
async fn answers_503_where_no_server_can_be_reached_and_502_where_one_breaks_off() {
    for (api, status) in [(Api::Down, 503), (Api::Broken, 502)] {
        let harness = Harness::start_with(Variation {
            api,
            ..Variation::default()
        })
        .await;
        harness.stubs.issue("opaque", Member::Example);
        let answered = harness.call(Member::Example, "opaque").await;
        assert_eq!(answered.status, status, "{answered:?}");
        assert_eq!(answered.header("retry-after").is_some(), status == 503);
        assert_eq!(answered.header("www-authenticate"), None);
        assert!(answered.json()["error"].is_string());
    }
}
