//! Anybody with a network and perhaps a certificate: sends a request as it is told, and says what came back.

use std::{error::Error, fmt, net::SocketAddr};

use anyhow::Context as _;
use mtls::{Alert, Alpn, ClientTls, ConnectTo, Credentials, Timeouts, TrustAnchors};
use reqwest::{Method, Request, RequestBuilder, StatusCode, Url, header::HeaderMap};

/// The token endpoint, as partners know it.
pub const TOKEN_ENDPOINT: &str = "https://login.example.com/oauth/v2/oauth-token-mutual-tls";

/// The revocation endpoint, as partners know it.
pub const REVOCATION_ENDPOINT: &str = "https://login.example.com/oauth/v2/oauth-revoke";

/// The API, as partners know it.
pub const TRANSACTIONS: &str = "https://api.example.com/api/transactions";

/// Somebody who sends requests, with one certificate or none. Connections are kept alive between requests.
#[derive(Clone, Debug)]
pub struct Actor {
    http: reqwest::Client,
    tls: ClientTls,
    gateway: SocketAddr,
}

impl Actor {
    /// Somebody who trusts `trust`, shows `credentials`, and reaches `login.example.com` and `api.example.com` at
    /// `gateway`.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made.
    pub fn new(
        trust: TrustAnchors,
        credentials: Option<Credentials>,
        alpn: Alpn,
        gateway: SocketAddr,
    ) -> anyhow::Result<Self> {
        let tls = match credentials {
            Some(credentials) => ClientTls::new(trust).with_credentials(credentials),
            None => ClientTls::new(trust),
        };
        let hosts = ["login.example.com", "api.example.com"];
        let connect_to = hosts.map(|host| ConnectTo {
            host: host.to_owned(),
            address: gateway,
        });
        let http = tls
            .http_client_speaking(alpn, Timeouts::default(), &connect_to)
            .context("the HTTP client")?;
        Ok(Self { http, tls, gateway })
    }

    /// Asks for a token as `client_id`.
    pub async fn request_token(&self, client_id: &str) -> Answer {
        let form = [("grant_type", "client_credentials"), ("client_id", client_id)];
        self.answer(self.http.post(TOKEN_ENDPOINT).form(&form)).await
    }

    /// Revokes `token` as `client_id`.
    pub async fn revoke(&self, client_id: &str, token: &str) -> Answer {
        let form = [("token", token), ("client_id", client_id)];
        self.answer(self.http.post(REVOCATION_ENDPOINT).form(&form)).await
    }

    /// Calls the API with `token` and further `headers`.
    pub async fn call(&self, token: Option<&str>, headers: HeaderMap) -> Answer {
        self.request(Method::POST, TRANSACTIONS, token, headers).await
    }

    /// Sends any request.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
        headers: HeaderMap,
    ) -> Answer {
        let request = self.http.request(method, url).headers(headers);
        self.answer(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
        .await
    }

    async fn answer(&self, request: RequestBuilder) -> Answer {
        let (http, request) = request.build_split();
        let request = match request {
            Ok(request) => request,
            Err(error) => return Answer::Failed(chain(&error)),
        };
        let url = request.url().clone();
        match receive(&http, request).await {
            Ok(answer) => answer,
            Err(error) => match self.refusal_behind(&error, &url).await {
                Some(alert) => Answer::Refused(alert),
                None => Answer::Failed(chain(&error)),
            },
        }
    }

    async fn refusal_behind(&self, error: &reqwest::Error, url: &Url) -> Option<Alert> {
        let (host, port) = (url.host_str()?, url.port().unwrap_or(self.gateway.port()));
        self.tls
            .refusal_behind(error, host, (self.gateway.ip(), port))
            .await
    }
}

/// What came back.
#[derive(Debug)]
pub enum Answer {
    /// An HTTP answer.
    Http {
        /// Its status.
        status: StatusCode,
        /// Its headers.
        headers: HeaderMap,
        /// Its body.
        body: String,
    },
    /// The other side refused the connection by a TLS alert.
    Refused(Alert),
    /// Neither: the chain of errors, as text.
    Failed(String),
}

impl Answer {
    /// The status, if there was an HTTP answer.
    pub const fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Http { status, .. } => Some(*status),
            Self::Refused(_) | Self::Failed(_) => None,
        }
    }

    /// The body as JSON, if it is some.
    pub fn json(&self) -> Option<serde_json::Value> {
        match self {
            Self::Http { body, .. } => serde_json::from_str(body).ok(),
            Self::Refused(_) | Self::Failed(_) => None,
        }
    }

    /// The `error` of the challenge or of the body.
    pub fn error(&self) -> Option<String> {
        self.json()?.get("error")?.as_str().map(str::to_owned)
    }

    /// A header's value, if there was an HTTP answer with one.
    pub fn header(&self, name: &str) -> Option<&str> {
        match self {
            Self::Http { headers, .. } => headers.get(name)?.to_str().ok(),
            Self::Refused(_) | Self::Failed(_) => None,
        }
    }

    /// The access token of a token answer.
    ///
    /// # Errors
    ///
    /// Says what came back instead.
    pub fn access_token(&self) -> anyhow::Result<String> {
        let token = self
            .json()
            .and_then(|body| body.get("access_token")?.as_str().map(str::to_owned));
        token.with_context(|| format!("a token was expected, and the answer was: {self}"))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { status, .. } => match self.error() {
                Some(error) => write!(formatter, "{} {error}", status.as_u16()),
                None => write!(formatter, "{status}"),
            },
            Self::Refused(alert) => write!(formatter, "TLS alert {}", alert.name()),
            Self::Failed(reason) => formatter.write_str(reason),
        }
    }
}

async fn receive(http: &reqwest::Client, request: Request) -> Result<Answer, reqwest::Error> {
    let response = http.execute(request).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Answer::Http {
        status,
        headers,
        body: response.text().await?,
    })
}

/// The error and its causes, as one sentence.
fn chain(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        sentence = format!("{sentence}: {error}");
        cause = error.source();
    }
    sentence
}
