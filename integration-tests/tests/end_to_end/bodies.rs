//! Bodies at the authorization server, byte by byte: as long as it reads, and one byte longer.

use integration_tests::TestSystem;
use integration_tests::raw::{RawClient, complete_answer, status};

const HOST: &str = "localhost";
/// What the endpoints for clients read at most.
const LIMIT: usize = 16 * 1024;
/// `introspect-client:Password1`.
const INTROSPECT_CLIENT: &str = "Basic aW50cm9zcGVjdC1jbGllbnQ6UGFzc3dvcmQx";

/// A form of this length whose token stands at its end.
fn form(length: usize) -> String {
    const TOKEN: &str = "&token=x";
    let padding = "padding=";
    let rest = length - padding.len() - TOKEN.len();
    format!("{padding}{}{TOKEN}", "x".repeat(rest))
}

fn of_known_length(form: &str) -> String {
    format!("Content-Length: {}\r\n\r\n{form}", form.len())
}

fn in_chunks(form: &str) -> String {
    let chunks = form.as_bytes().chunks(1000);
    let chunks: String = chunks
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).unwrap()))
        .collect();
    format!("Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
}

/// What is counted is the form, not how it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_introspection_is_read_up_to_the_limit_and_refused_one_byte_beyond() {
    let system = TestSystem::start().await;
    for address in [system.authorization_server(), system.mutual_tls()] {
        let client = RawClient::to(&system, None, address);
        for written in [of_known_length, in_chunks] {
            for (length, expected) in [(LIMIT, 200), (LIMIT + 1, 413)] {
                let request = format!(
                    "POST /oauth/v2/oauth-introspect HTTP/1.1\r\nHost: {HOST}\r\n\
                     Content-Type: application/x-www-form-urlencoded\r\nAuthorization: {INTROSPECT_CLIENT}\r\n{}",
                    written(&form(length))
                );
                let answer = client.exchange(HOST, request, complete_answer).await.unwrap();
                let text = String::from_utf8_lossy(&answer);
                assert_eq!(status(&answer), expected, "{address} {length}: {text}");
                let said = match expected {
                    200 => r#"{"active":false}"#,
                    _ => "the body is too long",
                };
                assert!(text.contains(said), "{address} {length}: {text}");
            }
        }
    }
}
