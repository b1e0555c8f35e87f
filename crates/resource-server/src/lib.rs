//! A tower layer that any axum, tower or hyper API can put on: only requests with a valid, certificate-bound JWT
//! access token and the scope the route needs reach the handler.
//!
//! Decides who the [`Caller`] is, or with which one answer a request is refused. It verifies what a gateway has
//! verified before, a second time and from first sources: signature, type, issuer, audience, times, binding, scope.
//! Fails closed: without token, certificate or keys there is no access.
//! [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-3),
//! [RFC 8705 §3](https://www.rfc-editor.org/rfc/rfc8705#section-3),
//! [RFC 9068 §4](https://www.rfc-editor.org/rfc/rfc9068#section-4)
//!
//! # With axum
//!
#![cfg_attr(all(feature = "axum", feature = "jwks", feature = "mtls"), doc = "```")]
#![cfg_attr(
    not(all(feature = "axum", feature = "jwks", feature = "mtls")),
    doc = "```ignore"
)]
//! use axum::{Router, routing::get};
//! use mtls::{ClientTls, Timeouts, TrustAnchors};
//! use resource_server::{
//!     AccessTokenVerifier, Caller, CertificateSource, RemoteJwks, ResourceServer, SignatureAlgorithm,
//! };
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
//!         .certificates(CertificateSource::gateway(["gateway-internal.example.com"]))
//!         .resource(&"https://api.example.com".parse()?);
//!     let orders = get(list_orders).route_layer(resource_server.require_scope("orders".parse()?));
//!     Ok(Router::new().route("/orders", orders))
//! }
//! ```
//!
//! The router is then served with `mtls::serve_tls`, on a listener that asks for client certificates; every request
//! carries the connection's certificate from there. `examples/axum.rs` is the whole program. Where handlers of one
//! router need different scopes, [`ResourceServer::protect`] goes around all of them and [`RequireScope`] around each.
//!
//! # With tower or hyper
//!
//! Nothing here needs axum: with `default-features = false` the layer stands on `http`, `tower-layer` and
//! `tower-service`. Whatever accepts connections puts a [`PeerCertificate`] into each request's extensions; the service
//! behind the layer finds the [`Caller`] there. The body of its answers must be made of a `String`, as those of
//! `http-body-util` and `axum` can. `examples/tower.rs` is the whole of it.
//!
//! | feature | what it brings | by default |
//! |---|---|---|
//! | `axum` | [`Caller`] and [`Claims`] as extractors | yes |
//! | `jwks` | `RemoteJwks`: the issuer's keys, fetched and followed | yes |
//! | `mtls` | the connections of `mtls::serve_tls`, judged again at every request | yes |
//! | `test-util` | the module `testing`: an issuer without network | no |
//!
//! # Whose certificate, and who vouches for it
//!
//! The layer compares the token's `cnf` with the certificate whose key the peer has proven to hold, be it of the
//! connection or named by a trusted gateway ([`CertificateSource`]). That proof is all that RFC 8705 asks of a resource
//! server: which authority issued the certificate is of no account, since the token was bound when the authorization
//! server had verified it. [RFC 8705 §6.2](https://www.rfc-editor.org/rfc/rfc8705#section-6.2)
//!
//! - *Proof of possession alone*: an acceptor that takes any certificate, self-signed ones too. Never together with
//!   [`CertificateSource::FromGateway`], since then anybody could call itself a gateway.
//! - *Chain checked as well*: an acceptor with trust anchors and revocation lists, as `mtls::serve_tls` is. It refuses
//!   strangers in the handshake, and with the feature `mtls` a certificate that was revoked or has expired since then
//!   is refused at the next request of its connection.
//!
//! What is demanded of the binding is [`BindingPolicy`]: `Required` (the default), `IfBound`, or `Off` where callers of
//! another kind share the API.
//!
//! # Answers
//!
//! Every refusal is JSON with `error`, `error_description` and `request_id`, which is the request's `x-request-id` where
//! it brought one that is fit for a log, else a new one, and stands in the answer's `x-request-id` too. Its
//! `WWW-Authenticate` names the realm, the error, the scope that is lacking, and in `resource_metadata` where the
//! resource is described ([`ResourceServer::resource`]). The one line of the log has the same id in `request.id`, and
//! the `reason`; where the fault is one that the gateway knows, the reason is the gateway's word for it:
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
//! | `claims_unreadable`: not the claims that the handler asks for | 401 | `invalid_token` |
//! | `scope_insufficient` | 403 | `insufficient_scope` |
//! | `keys_unavailable` | 503, with `Retry-After` | `temporarily_unavailable` |
//!
//! A handler that asks for the caller of a route without the layer is a mistake of the API's: it is not run, the answer
//! is 500, and the log says `route_not_protected`.

mod authorization;
mod caller;
mod certificate_source;
mod claims;
mod keys;
mod layer;
mod rejection;
mod require_scope;
#[cfg(feature = "test-util")]
pub mod testing;
mod token_verifier;

#[cfg(feature = "jwks")]
pub use jwks::RemoteJwks;
pub use oauth_core::confirmation::BindingPolicy;
pub use oauth_core::jwt::{AccessTokenVerifier, SignatureAlgorithm, VerificationKeys};
pub use oauth_core::metadata::{ProtectedResourceMetadata, ResourceIdentifier};
pub use oauth_core::scope::Scope;

pub use authorization::ResourceServer;
pub use caller::{Caller, NotProtected};
pub use certificate_source::{CertificateSource, PeerCertificate};
pub use claims::{Claims, ClaimsError};
pub use keys::Keys;
pub use layer::{Protect, Protected};
pub use require_scope::{RequireScope, ScopeGuarded};
