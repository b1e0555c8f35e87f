//! What an operator does to a running service: a `POST` to its admin listener, and the subcommand that sends it.
//!
//! Answered to this machine alone, whatever address the listener has, and never to a page in a browser: that cannot
//! send JSON to another origin without asking first, and nobody here says yes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use clap::{Arg, ArgGroup, ArgMatches, Command};
use tokio::time::timeout;

use crate::exchange::{Answer, exchange, reachable};

const JSON: &str = "application/json";
/// An operation may have to wait for a disk.
const WITHIN: Duration = Duration::from_secs(30);

/// A subcommand that asks the running service to do something.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The subcommand, and the last part of the path: `POST /NAME`.
    pub name: &'static str,
    /// One sentence for the help.
    pub about: &'static str,
    /// Its options; if there are any, exactly one is to be given.
    pub options: &'static [OperationOption],
}

/// `--name VALUE`, sent as the member `name` of a JSON object.
#[derive(Clone, Copy, Debug)]
pub struct OperationOption {
    /// The option and the member.
    pub name: &'static str,
    /// What the value is, in capitals.
    pub value: &'static str,
    /// One sentence for the help.
    pub about: &'static str,
}

impl Operation {
    pub(crate) fn command(&self) -> Command {
        let options = self.options.iter().map(|option| {
            Arg::new(option.name)
                .long(option.name)
                .value_name(option.value)
                .help(option.about)
        });
        let command = Command::new(self.name).about(self.about).args(options);
        if self.options.is_empty() {
            return command;
        }
        let names = self.options.iter().map(|option| option.name);
        command.group(ArgGroup::new("one of").args(names).required(true))
    }

    pub(crate) fn body(&self, matches: &ArgMatches) -> String {
        let members = self.options.iter().filter_map(|option| {
            let value = matches.get_one::<String>(option.name)?;
            Some((option.name.to_owned(), serde_json::Value::from(value.as_str())))
        });
        serde_json::Value::Object(members.collect()).to_string()
    }

    /// Asks the service whose admin listener is at `admin`; what it answers is for the operator to read.
    ///
    /// # Errors
    ///
    /// When it does not answer within 30 seconds, or refuses.
    pub async fn send(&self, admin: SocketAddr, body: &str) -> anyhow::Result<String> {
        let address = reachable(admin);
        let (request, length) = (format!("POST /{}", self.name), body.len());
        let fields = format!("Content-Type: {JSON}\r\nContent-Length: {length}\r\n");
        let answer = timeout(WITHIN, exchange(address, &request, &fields, body))
            .await
            .context("no answer within 30 seconds")
            .and_then(|answer| Ok(answer?))
            .with_context(|| format!("http://{address}/{}: is the service running?", self.name))?;
        let Answer { status, body } = answer;
        anyhow::ensure!(status == "200", "the service answered {status}: {body}");
        Ok(body)
    }
}

/// The operations of a service, guarded.
pub(crate) fn guarded(operations: Router) -> Router {
    operations.layer(from_fn(guard))
}

async fn guard(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    if !peer.ip().to_canonical().is_loopback() {
        tracing::warn!(peer.address = %peer, "{path} refused to {peer}: operations are for this machine alone");
        return (StatusCode::FORBIDDEN, "operations are for this machine alone\n").into_response();
    }
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_none_or(|value| value != JSON) {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json\n").into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::post;
    use tower::ServiceExt;

    use super::*;

    const REVOKE: Operation = Operation {
        name: "revoke",
        about: "Revoke.",
        options: &[
            OperationOption {
                name: "client",
                value: "ID",
                about: "Of this client.",
            },
            OperationOption {
                name: "certificate",
                value: "THUMBPRINT",
                about: "Of this certificate.",
            },
        ],
    };

    async fn status(peer: &str, content_type: Option<&str>) -> StatusCode {
        let router = guarded(Router::new().route("/revoke", post(async || "done")));
        let mut request = Request::post("/revoke");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let mut request = request.body(Body::empty()).unwrap();
        let peer: SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        router.oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn accepts_json_from_this_machine() {
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(status(peer, Some(JSON)).await, StatusCode::OK, "{peer}");
        }
    }

    #[tokio::test]
    async fn refuses_everybody_else() {
        for peer in ["192.0.2.1:1", "[2001:db8::1]:1"] {
            assert_eq!(status(peer, Some(JSON)).await, StatusCode::FORBIDDEN, "{peer}");
        }
    }

    #[tokio::test]
    async fn refuses_what_a_page_in_a_browser_could_send() {
        for content_type in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
        ] {
            let status = status("127.0.0.1:1", content_type).await;
            assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type:?}");
        }
    }

    #[test]
    fn sends_the_one_option_that_is_given() {
        let parse = |arguments: &[&str]| REVOKE.command().try_get_matches_from(arguments);
        let matches = parse(&["revoke", "--client", "a\"b"]).unwrap();
        assert_eq!(REVOKE.body(&matches), r#"{"client":"a\"b"}"#);
        assert!(parse(&["revoke"]).is_err());
        assert!(parse(&["revoke", "--client", "a", "--certificate", "b"]).is_err());
    }
}
