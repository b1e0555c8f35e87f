//! Public keys from the JWKS of an issuer or a client: fetched when first needed, kept, and fetched again within limits.
//!
//! Decides when keys are fetched and which set a token is verified with; what a valid token is decides
//! [`oauth_core::jwt`]. Fails closed: without keys nothing verifies. The HTTP client, and with it whom to trust, is
//! the caller's. The services that verify JWTs, or who signs them, depend on it.

mod fetch;
mod from_jwks;
mod refetch;
mod remote_jwks;

pub use fetch::FetchError;
pub use from_jwks::FromJwks;
pub use refetch::RefetchLimits;
pub use remote_jwks::{JwksVerificationError, KeysUnavailable, RemoteJwks};
