//! Asking a server a second time why it closed a connection.
//!
//! With TLS 1.3 a refusal arrives when the client believes the handshake done. An HTTP client whose connection ends
//! between the handshake and its first request reports a closed connection and drops the alert that says why. So the
//! handshake is made once more, alone: no request is sent, and no token with it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::TlsConnector;

use crate::alert::{Alert, peer_alert};
use crate::client::ClientTls;
use crate::provider::Alpn;

/// Bounds how long somebody whose request has failed waits to be told why.
const PATIENCE: Duration = Duration::from_secs(2);

impl ClientTls {
    /// The alert by which the server `host` at `address` refused the connection behind `error`, if it did. RFC 8446 §6.2.
    pub async fn refusal_behind(
        &self,
        error: &reqwest::Error,
        host: &str,
        address: impl ToSocketAddrs,
    ) -> Option<Alert> {
        match peer_alert(error) {
            Some(alert) => Some(alert),
            // Nobody was there to refuse, or the handshake itself failed and has said why.
            None if error.is_timeout() || error.is_connect() => None,
            None => self.ask_for_refusal(host, address).await,
        }
    }

    async fn ask_for_refusal(&self, host: &str, address: impl ToSocketAddrs) -> Option<Alert> {
        let handshake = self.handshake_and_read(host, address);
        match tokio::time::timeout(PATIENCE, handshake).await {
            Ok(Err(error)) => peer_alert(&error),
            Ok(Ok(())) | Err(_) => None,
        }
    }

    async fn handshake_and_read(&self, host: &str, address: impl ToSocketAddrs) -> io::Result<()> {
        let config = self
            .rustls_client_config(Alpn::Http2OrHttp1)
            .map_err(io::Error::other)?;
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let tcp = TcpStream::connect(address).await?;
        let mut tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        tls.read_u8().await.map(|_| ())
    }
}
