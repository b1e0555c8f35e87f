//! The client: one certificate, one token at a time, as many calls as wanted.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use mtls::{ClientTls, Credentials};
use oauth_core::thumbprint::CertificateThumbprint;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode, Url};
use tokio::sync::OnceCell;

use crate::access_token::{AccessToken, HeldToken};
use crate::challenge::calls_token_invalid;
use crate::configuration::{ClientConfiguration, TokenEndpoint};
use crate::discovery;
use crate::error::{ClientError, TokenError};
use crate::token_keeper::TokenKeeper;
use crate::token_request::TokenRequest;
use crate::transport::{Peer, Received, Transport, https_url};

/// Bounds the memory that one answer of the API can take.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// A client of an API whose tokens are bound to its certificate; clones share certificate and token.
#[derive(Clone)]
pub struct Client(Arc<Partner>);

struct Partner {
    configuration: ClientConfiguration,
    identity: ArcSwap<Identity>,
    discovered: OnceCell<String>,
    tokens: TokenKeeper,
}

/// A certificate and the connections opened with it.
struct Identity {
    transport: Transport,
    thumbprint: CertificateThumbprint,
}

/// What the API answered, whatever it is.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, read to its end.
    pub body: Bytes,
}

impl Client {
    /// A client that has not called anyone yet.
    ///
    /// # Errors
    ///
    /// [`ClientError::Setup`] where TLS cannot be configured so.
    pub fn new(configuration: ClientConfiguration) -> Result<Self, ClientError> {
        let identity = Identity::new(&configuration, &configuration.credentials)?;
        let identity = ArcSwap::from_pointee(identity);
        Ok(Self(Arc::new(Partner {
            configuration,
            identity,
            discovered: OnceCell::new(),
            tokens: TokenKeeper::default(),
        })))
    }

    /// Shows this certificate from now on. The token at hand is bound to the one before, and is not used again.
    ///
    /// # Errors
    ///
    /// As [`Self::new`]; the client then keeps the certificate it has.
    ///
    /// RFC 8705 §6.3
    pub fn replace_credentials(&self, credentials: &Credentials) -> Result<(), ClientError> {
        let identity = Identity::new(&self.0.configuration, credentials)?;
        self.0.identity.store(Arc::new(identity));
        Ok(())
    }

    /// A token bound to the client's certificate: the one at hand while it is good, else a new one.
    ///
    /// # Errors
    ///
    /// [`ClientError::Token`] says why there is none.
    pub async fn token(&self) -> Result<AccessToken, ClientError> {
        Ok(self.0.token(&self.0.identity.load_full(), None).await?)
    }

    /// Calls the API with a token, and with a new one once more if the API says that the token is not valid.
    ///
    /// Nothing else is tried twice. A body is sent as `application/json`.
    ///
    /// # Errors
    ///
    /// [`ClientError`] where there is no answer. An answer is no error, whatever its status.
    pub async fn call(&self, method: Method, url: &str, body: Option<Bytes>) -> Result<Answer, ClientError> {
        let not_https = || ClientError::NotHttps { url: url.to_owned() };
        let url = https_url(url).ok_or_else(not_https)?;
        let call = Call { method, url, body };

        let identity = self.0.identity.load_full();
        let token = self.0.token(&identity, None).await?;
        let answer = self.0.send(&identity, &token, &call).await?;
        if answer.status != StatusCode::UNAUTHORIZED || !calls_token_invalid(&answer.headers) {
            return Ok(answer);
        }
        tracing::info!("the API calls the token invalid: once more with a new one");
        let identity = self.0.identity.load_full();
        let token = self.0.token(&identity, Some(&token)).await?;
        self.0.send(&identity, &token, &call).await
    }
}

struct Call {
    method: Method,
    url: Url,
    body: Option<Bytes>,
}

impl Partner {
    /// A token other than the one that was `refused`.
    async fn token(
        &self,
        identity: &Identity,
        refused: Option<&AccessToken>,
    ) -> Result<AccessToken, TokenError> {
        let fetch = self.fetch(identity);
        self.tokens.token(&identity.thumbprint, refused, fetch).await
    }

    async fn fetch(&self, identity: &Identity) -> Result<HeldToken, TokenError> {
        let ClientConfiguration {
            client_id,
            scope,
            connect_to,
            ..
        } = &self.configuration;
        let endpoint = self.token_endpoint(&identity.transport).await?;
        let requested_at = Instant::now();
        let request = TokenRequest {
            endpoint,
            client_id,
            scope,
            connect_to,
        };
        let (token, lifetime) = request.send(&identity.transport).await?;
        tracing::debug!(
            lifetime = lifetime.as_secs(),
            "fetched a token for {} s",
            lifetime.as_secs()
        );
        Ok(HeldToken::new(token, lifetime, identity.thumbprint, requested_at))
    }

    async fn token_endpoint(&self, transport: &Transport) -> Result<&str, TokenError> {
        let connect_to = &self.configuration.connect_to;
        match &self.configuration.token_endpoint {
            TokenEndpoint::Url(url) => Ok(url),
            TokenEndpoint::Issuer(issuer) => {
                let discover = || discovery::token_endpoint(transport, issuer, connect_to);
                Ok(self.discovered.get_or_try_init(discover).await?)
            }
            TokenEndpoint::Resource(resource) => {
                let discover = || discovery::token_endpoint_of_resource(transport, resource, connect_to);
                Ok(self.discovered.get_or_try_init(discover).await?)
            }
        }
    }

    async fn send(
        &self,
        identity: &Identity,
        token: &AccessToken,
        call: &Call,
    ) -> Result<Answer, ClientError> {
        let peer = Peer::of(&call.url, &self.configuration.connect_to);
        let mut request = identity
            .transport
            .http_client
            .request(call.method.clone(), call.url.clone());
        request = request.bearer_auth(token.expose());
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let Received {
            status,
            headers,
            body,
        } = identity
            .transport
            .send(request, &peer, LARGEST_ANSWER)
            .await
            .map_err(ClientError::Call)?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }
}

impl Identity {
    fn new(configuration: &ClientConfiguration, credentials: &Credentials) -> Result<Self, ClientError> {
        let tls = ClientTls::new(configuration.trust.clone()).with_credentials(credentials.clone());
        let http_client = tls.http_client(configuration.timeouts, &configuration.connect_to)?;
        Ok(Self {
            transport: Transport { http_client, tls },
            thumbprint: CertificateThumbprint::of_der(credentials.leaf_der()),
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("configuration", &self.0.configuration)
            .finish_non_exhaustive()
    }
}
