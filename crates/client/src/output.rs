//! What is printed: answers for people and for programs on standard output, complaints on standard error.

use std::io::{self, Write};

use client::{AccessToken, Answer, printable};

use crate::arguments::Head;

/// Writes the token and nothing else.
pub(crate) fn print_token(token: &AccessToken) -> io::Result<()> {
    writeln!(io::stdout(), "{}", token.expose())
}

/// Writes the answer: JSON indented, anything else as it came.
pub(crate) fn print_answer(answer: &Answer, head: Head) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if head == Head::Printed {
        writeln!(out, "{}", answer.status)?;
        for (name, value) in &answer.headers {
            writeln!(out, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        writeln!(out)?;
    }
    match serde_json::from_slice::<serde_json::Value>(&answer.body) {
        Ok(json) => writeln!(out, "{json:#}")?,
        Err(_) => out.write_all(&answer.body)?,
    }
    out.flush()
}

/// One sentence about an answer that is no success.
pub(crate) fn verdict(answer: &Answer) -> String {
    let said = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
    let member = |name: &str| said.as_ref()?.get(name)?.as_str().map(printable);
    let verdict = match (answer.status.as_u16(), member("error").as_deref()) {
        (401, Some("invalid_token")) => {
            "the API refused the token, and a new one too: are token and call made with the same certificate?"
                .into()
        }
        (403, Some("insufficient_scope")) => {
            "the token lacks the scope that this call needs (--scope)".into()
        }
        (_, Some(error)) => format!("the API answered {}: {error}", answer.status),
        (_, None) => format!("the API answered {}", answer.status),
    };
    match member("request_id") {
        Some(request_id) => format!("{verdict} (request {request_id})"),
        None => verdict,
    }
}

/// Says what went wrong, in one sentence on standard error.
#[expect(clippy::print_stderr, reason = "the last word of a command line program")]
pub(crate) fn complain(sentence: &str) {
    eprintln!("client: {sentence}");
}

#[cfg(test)]
mod tests {
    use client::{HeaderMap, StatusCode};

    use super::*;

    fn answered(status: u16, body: &'static str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        verdict(&Answer {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
        })
    }

    #[test]
    fn says_whose_fault_a_refusal_is() {
        assert!(answered(401, r#"{"error":"invalid_token"}"#).contains("same certificate"));
        assert!(
            answered(403, r#"{"error":"insufficient_scope","request_id":"17"}"#).ends_with("(request 17)")
        );
        assert_eq!(
            answered(400, r#"{"error":"invalid_request"}"#),
            "the API answered 400 Bad Request: invalid_request"
        );
        assert_eq!(answered(502, "<html>"), "the API answered 502 Bad Gateway");
    }
}
