//! TLS as a client: whom we trust, the certificate we show, and how a connection is opened.
//!
//! No system trust store, no proxy from the environment, no redirect followed, every wait bounded.

use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;

use crate::client_identity::ClientIdentity;
use crate::connect_to::ConnectTo;
use crate::credentials::Credentials;
use crate::provider::{Alpn, crypto_provider};
use crate::trust::TrustAnchors;

/// Kept below the time after which our servers close an idle connection, so that no request meets a closed one.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);

/// Whom a client trusts, and the certificate it shows when asked.
#[derive(Clone, Debug)]
pub struct ClientTls {
    trust: TrustAnchors,
    shown: Option<Shown>,
}

#[derive(Clone, Debug)]
enum Shown {
    Fixed(Credentials),
    Following(ClientIdentity),
}

impl ClientTls {
    /// Trusts `trust` and shows no certificate.
    pub fn new(trust: TrustAnchors) -> Self {
        Self { trust, shown: None }
    }

    /// Shows this certificate to servers that ask for one.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.shown = Some(Shown::Fixed(credentials));
        self
    }

    /// Shows the certificate that `identity` is at the moment of each handshake.
    #[must_use]
    pub fn with_identity(mut self, identity: ClientIdentity) -> Self {
        self.shown = Some(Shown::Following(identity));
        self
    }

    /// How often the certificate that is shown has changed: a connection opened under an earlier number shows an
    /// earlier certificate.
    pub fn generation(&self) -> u64 {
        match &self.shown {
            Some(Shown::Following(identity)) => identity.generation(),
            Some(Shown::Fixed(_)) | None => 0,
        }
    }

    /// An HTTPS client: HTTP/2 or HTTP/1.1, `https` URLs alone, no proxy, no redirect.
    ///
    /// # Errors
    ///
    /// When the TLS configuration or the client cannot be made.
    pub fn http_client(
        &self,
        timeouts: Timeouts,
        connect_to: &[ConnectTo],
    ) -> Result<reqwest::Client, ClientError> {
        self.http_client_speaking(Alpn::Http2OrHttp1, timeouts, connect_to)
    }

    /// The same, speaking what `alpn` offers.
    ///
    /// # Errors
    ///
    /// As [`Self::http_client`].
    pub fn http_client_speaking(
        &self,
        alpn: Alpn,
        timeouts: Timeouts,
        connect_to: &[ConnectTo],
    ) -> Result<reqwest::Client, ClientError> {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.rustls_client_config(alpn)?)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.total)
            .pool_idle_timeout(IDLE_CONNECTION);
        let builder = connect_to.iter().fold(builder, |builder, mapping| {
            builder.resolve(&mapping.host, mapping.address)
        });
        Ok(builder.build()?)
    }

    /// The TLS configuration alone, for a connector that is not reqwest's.
    ///
    /// # Errors
    ///
    /// When rustls refuses the configuration.
    pub fn rustls_client_config(&self, alpn: Alpn) -> Result<ClientConfig, ClientError> {
        let builder = ClientConfig::builder_with_provider(crypto_provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError::Tls(error.to_string()))?
            .with_root_certificates(self.trust.roots());
        let mut config = match &self.shown {
            Some(Shown::Fixed(credentials)) => builder.with_client_cert_resolver(credentials.resolver()),
            Some(Shown::Following(identity)) => builder.with_client_cert_resolver(identity.resolver()),
            None => builder.with_no_client_auth(),
        };
        if let Some(Shown::Following(_)) = &self.shown {
            // A resumed session would show the certificate of the session before it.
            config.resumption = Resumption::disabled();
        }
        config.alpn_protocols = alpn.protocols();
        Ok(config)
    }
}

/// How long a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection: TCP and TLS handshake.
    pub connect: Duration,
    /// For a whole request, from connecting to the last byte of the answer.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(30),
        }
    }
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// rustls refused the configuration.
    #[error("the TLS configuration cannot be used: {0}")]
    Tls(String),
    /// reqwest refused the configuration.
    #[error("the HTTP client cannot be made")]
    Http(#[from] reqwest::Error),
}
