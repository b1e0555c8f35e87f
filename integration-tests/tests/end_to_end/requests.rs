//! Requests that the gateway refuses for their shape, each beside one that it serves.

use integration_tests::{
    TestSystem, log,
    raw::{RawClient, complete_answer, request, status},
};
use pki::Member;

struct Asker {
    system: TestSystem,
    client: RawClient,
    token: String,
}

impl Asker {
    async fn new() -> Self {
        let system = TestSystem::start().await;
        let client = RawClient::new(&system, Some(Member::Example));
        let token = system.partner_token().await;
        Self {
            system,
            client,
            token,
        }
    }

    async fn ask(&self, path: &str, host: &str, lines: &[String]) -> String {
        let answer = self
            .client
            .exchange(
                "api.example.com",
                request("GET", path, host, lines),
                complete_answer,
            )
            .await;
        String::from_utf8(answer.unwrap()).unwrap()
    }

    async fn ask_with_token(&self, path: &str, host: &str) -> String {
        self.ask(path, host, &[format!("Authorization: Bearer {}", self.token)])
            .await
    }
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

async fn reason(answer: &str) -> String {
    log::field_of_request(header(answer, "x-request-id").unwrap(), "reason").await
}

/// N1.
#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_paths_are_refused() {
    let asker = Asker::new().await;
    for path in [
        "/api/../api/transactions",
        "/api/./transactions",
        "/api/transactions/..",
        "/api/%2e%2e/api/transactions",
        "/api%2ftransactions",
        "/api%5Ctransactions",
        "/api\\transactions",
        "/api//transactions",
        "//api/transactions",
        "/api/transactions%00",
        "/api/transactions/%ff",
        "/api/transactions/%2E",
        "/api/transactions/%",
        "/api/%74ransactions",
    ] {
        let answer = asker.ask_with_token(path, "api.example.com").await;
        assert_eq!(status(answer.as_bytes()), 400, "{path}: {answer}");
        assert_eq!(reason(&answer).await, "path_ambiguous", "{path}");
    }
    for path in [
        "/api/transactions",
        "/api/transactions?next=/../x%2f",
        "/api/transactions;v=1",
        "/api/transactions/%C3%A9",
    ] {
        let answer = asker.ask_with_token(path, "api.example.com").await;
        assert_ne!(status(answer.as_bytes()), 400, "{path}: {answer}");
    }
}

/// N2: prefixes match whole segments.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_only_begins_like_a_route_is_not_found() {
    let asker = Asker::new().await;
    for (path, expected) in [
        ("/api/transactionsx", 404),
        ("/", 404),
        ("/api/transactions", 200),
    ] {
        assert_eq!(
            status(asker.ask_with_token(path, "api.example.com").await.as_bytes()),
            expected,
            "{path}"
        );
    }
}

/// T39.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_unlike_the_server_name_is_misdirected() {
    let asker = Asker::new().await;
    for host in [
        "login.example.com",
        "other.example.com",
        "api.example.com.evil",
        "127.0.0.1",
    ] {
        let answer = asker.ask_with_token("/api/transactions", host).await;
        assert_eq!(status(answer.as_bytes()), 421, "{host}: {answer}");
        assert_eq!(reason(&answer).await, "host_mismatch");
    }
    for host in [
        "api.example.com",
        "API.Example.com",
        "api.example.com:443",
        "api.example.com:8080",
    ] {
        assert_eq!(
            status(asker.ask_with_token("/api/transactions", host).await.as_bytes()),
            200,
            "{host}"
        );
    }
}

/// T39: asked again for every request of a connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_compared_on_every_request_of_a_connection() {
    let asker = Asker::new().await;
    let bearer = [format!("Authorization: Bearer {}", asker.token)];
    let mut both = request("GET", "/api/transactions", "api.example.com", &bearer);
    both.extend(request("GET", "/api/transactions", "login.example.com", &bearer));
    let second_arrived = |answer: &[u8]| String::from_utf8_lossy(answer).matches("HTTP/1.1 ").count() == 2;
    let answer = asker
        .client
        .exchange("api.example.com", both, second_arrived)
        .await
        .unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("HTTP/1.1 421"),
        "{answer}"
    );
}

/// B1, B2: who sends no token is told what is asked for, and of no error.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_token_gets_a_challenge_without_error() {
    let asker = Asker::new().await;
    for lines in [Vec::new(), vec!["Authorization: Basic dXNlcjpwYXNz".to_owned()]] {
        let answer = asker.ask("/api/transactions", "api.example.com", &lines).await;
        assert_eq!(status(answer.as_bytes()), 401, "{answer}");
        let challenge = header(&answer, "www-authenticate").unwrap();
        assert!(
            challenge.starts_with("Bearer realm=") && !challenge.contains("error"),
            "{challenge}"
        );
        assert_eq!(reason(&answer).await, "token_missing");
    }
}

/// P12, B4, trap j.
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_or_doubled_authorization_is_a_bad_request() {
    let asker = Asker::new().await;
    let bearer = format!("Authorization: Bearer {}", asker.token);
    for lines in [
        vec![bearer.clone(), bearer.clone()],
        vec!["Authorization: Bearer ab cd".to_owned()],
        vec!["Authorization: Bearer".to_owned()],
        vec![format!("{bearer}, {bearer}")],
    ] {
        let answer = asker.ask("/api/transactions", "api.example.com", &lines).await;
        assert_eq!(status(answer.as_bytes()), 400, "{lines:?}: {answer}");
        assert!(
            header(&answer, "www-authenticate")
                .unwrap()
                .contains(r#"error="invalid_request""#)
        );
    }
    let lower_case = vec![format!("authorization: bearer {}", asker.token)];
    assert_eq!(
        status(
            asker
                .ask("/api/transactions", "api.example.com", &lower_case)
                .await
                .as_bytes()
        ),
        200
    );
}

/// B8, F11.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_is_a_bad_request_and_never_logged() {
    let asker = Asker::new().await;
    let path = format!("/api/transactions?access_token={}", asker.token);
    for lines in [Vec::new(), vec![format!("Authorization: Bearer {}", asker.token)]] {
        let answer = asker.ask(&path, "api.example.com", &lines).await;
        assert_eq!(status(answer.as_bytes()), 400, "{answer}");
        reason(&answer).await;
    }
    assert!(!log::everything().contains(&asker.token));
}

/// P11.
#[tokio::test(flavor = "multi_thread")]
async fn options_is_no_way_around_the_token() {
    let asker = Asker::new().await;
    let ask = async |lines: &[String]| {
        let options = request("OPTIONS", "/api/transactions", "api.example.com", lines);
        status(
            &asker
                .client
                .exchange("api.example.com", options, complete_answer)
                .await
                .unwrap(),
        )
    };
    assert_eq!(ask(&[]).await, 401);
    let preflight = [
        "Origin: https://app.example".to_owned(),
        "Access-Control-Request-Method: POST".to_owned(),
    ];
    assert_eq!(ask(&preflight).await, 204);
}

/// Both framings in one request, as smugglers send them: the connection answers at most once and is closed.
#[tokio::test(flavor = "multi_thread")]
async fn content_length_beside_transfer_encoding_smuggles_nothing() {
    let asker = Asker::new().await;
    let smuggled = format!(
        "POST /api/transactions HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
         GET /api/transactions HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer {token}\r\n\r\n",
        token = asker.token
    );
    let answer = asker
        .client
        .exchange("api.example.com", smuggled, |_| false)
        .await
        .unwrap_or_default();
    let answers = String::from_utf8_lossy(&answer).matches("HTTP/1.1 ").count();
    assert!(answers <= 1, "{}", String::from_utf8_lossy(&answer));
    assert_eq!(
        asker
            .system
            .partner()
            .call(Some(&asker.token), Default::default())
            .await
            .status()
            .unwrap(),
        200
    );
}
