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
//! Every refusal is JSON with `error`, `error_description` and `request_id`, which is the request's `x-request-id` where
//! it brought one that is fit for a log, else a new one, and stands in the answer's `x-request-id` too. The one line of
//! the log has the same id in `request.id`, and the `reason`; where the fault is one that the gateway knows, the reason
//! is the gateway's word for it:
//!
//! | reason | status | `error` |
//! |---|---|---|
//! | `token_missing` | 401 | `unauthorized`; the challenge names no error, as RFC 6750 §3.1 has it |
//! | `token_malformed`, `token_in_query` | 400 | `invalid_request` |
//! | `client_cert_malformed`: the gateway's header is no certificate, or repeated | 400 | `invalid_request` |
//! | `token_expired`: its time is over, or has not come | 401 | `invalid_token` |
//! | `token_invalid`: not signed by the issuer, or not a JWT access token as it should be | 401 | `invalid_token` |
//! | `audience_mismatch`, `token_not_bound` | 401 | `invalid_token` |
//! | `certificate_missing`, `certificate_mismatch` | 401 | `invalid_token` |
//! | `certificate_expired`, `certificate_untrusted`: the connection's own | 401 | `invalid_token` |
//! | `scope_insufficient` | 403 | `insufficient_scope` |
//! | `keys_unavailable` | 503, with `Retry-After` | `temporarily_unavailable` |

mod authorization;
mod caller;
mod certificate_source;
mod layer;
mod rejection;

pub use authorization::ResourceServer;
pub use caller::{Caller, NotProtected};
pub use certificate_source::CertificateSource;
pub use layer::{Protect, Protected};
