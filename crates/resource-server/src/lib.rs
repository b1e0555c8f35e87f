//! A tower layer that any axum or hyper API can put on: only requests with a valid, certificate-bound JWT access
//! token and the scope the route needs reach the handler.
//!
//! Decides who the [`Caller`] is, or with which one answer a request is refused. It verifies what a gateway has
//! verified before, a second time and from first sources: signature, type, issuer, audience, times, binding, scope.
//! Fails closed: without token, certificate or keys there is no access.
//! [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-3),
//! [RFC 8705 §3](https://www.rfc-editor.org/rfc/rfc8705#section-3),
//! [RFC 9068 §4](https://www.rfc-editor.org/rfc/rfc9068#section-4)
//!
//! # Example
//!
//! ```
//! use axum::{Router, routing::get};
//! use jwks::RemoteJwks;
//! use mtls::{ClientTls, Timeouts, TrustAnchors};
//! use oauth_core::jwt::{AccessTokenVerifier, SignatureAlgorithm};
//! use resource_server::{Caller, CertificateSource, ResourceServer};
//!
//! /// Reached only by callers with a token for the scope `orders`.
//! async fn list_orders(caller: Caller) -> String {
//!     format!("the orders of {}", caller.client_id)
//! }
//!
//! fn router(trust: TrustAnchors) -> Result<Router, Box<dyn std::error::Error>> {
//!     let http_client = ClientTls::new(trust).http_client(Timeouts::default(), &[])?;
//!     let keys = RemoteJwks::new(http_client, "https://login.example.com/jwks");
//!     let verifier = AccessTokenVerifier {
//!         issuer: "https://login.example.com".into(),
//!         audiences: vec!["api.example.com".into()],
//!         algorithms: vec![SignatureAlgorithm::ES256],
//!     };
//!     let resource_server = ResourceServer::new(keys, verifier)
//!         .certificates(CertificateSource::gateway(["gateway-internal.example.com"]));
//!     let orders = get(list_orders).route_layer(resource_server.require_scope("orders".parse()?));
//!     Ok(Router::new().route("/orders", orders))
//! }
//! ```
//!
//! The router is then served with `mtls::serve_tls`, on a listener that asks for client certificates; every request
//! carries the connection's certificate from there.
//!
//! # Answers
//!
//! Every refusal is JSON with `error`, `error_description` and, where the request brought an `x-request-id`,
//! `request_id`; the one line of the log names the `reason`:
//!
//! | reason | status | `error` |
//! |---|---|---|
//! | `token.missing` | 401 | none, as RFC 6750 §3.1 has it |
//! | `token.malformed`, `token.in_query`, `client_cert.malformed` | 400 | `invalid_request` |
//! | `token.invalid`, `token.binding`, `certificate.expired` | 401 | `invalid_token` |
//! | `token.insufficient_scope` | 403 | `insufficient_scope` |
//! | `keys.unavailable` | 503, with `Retry-After` | `temporarily_unavailable` |

mod authorization;
mod caller;
mod certificate_source;
mod layer;
mod rejection;

pub use authorization::ResourceServer;
pub use caller::{Caller, NotProtected};
pub use certificate_source::CertificateSource;
pub use layer::{Protect, Protected};
