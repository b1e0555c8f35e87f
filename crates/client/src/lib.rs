//! The partner's side: fetches a certificate-bound token with the client certificate, keeps it while it is good, and
//! calls the API with both.
//!
//! Decides when a token is fetched and when a call is repeated, which is once and only for the token's sake. Every
//! failure is a sentence that says whose it is and what to do. The `client` binary is a command line over it.
//!
//! ```no_run
//! use client::{Client, ClientConfiguration, TokenEndpoint};
//! use mtls::{Credentials, TrustAnchors};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(ClientConfiguration {
//!     token_endpoint: TokenEndpoint::Issuer("https://login.example.com/oauth/v2/oauth-anonymous".into()),
//!     client_id: "partner-client".into(),
//!     scope: "transactions".parse()?,
//!     credentials: Credentials::from_pem_files("partner.pem".as_ref(), "partner.key".as_ref())?,
//!     trust: TrustAnchors::from_pem_files(&["root.pem".into()])?,
//!     connect_to: Vec::new(),
//!     timeouts: mtls::Timeouts::default(),
//! })?;
//! let answer = client.call(client::Method::GET, "https://api.example.com/api/transactions", None).await?;
//! println!("{}", String::from_utf8_lossy(&answer.body));
//! # Ok(())
//! # }
//! ```

mod access_token;
mod challenge;
mod configuration;
mod discovery;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod partner;
mod token_keeper;
mod token_request;
mod transport;

pub use access_token::AccessToken;
pub use bytes::Bytes;
pub use configuration::{ClientConfiguration, TokenEndpoint};
pub use error::{ClientError, DiscoveryError, TokenError, printable};
pub use partner::{Answer, Client};
pub use reqwest::{Method, StatusCode, header::HeaderMap};
pub use transport::{Peer, TransportError, https_url};
