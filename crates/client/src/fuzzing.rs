//! What is read of servers' answers, opened to the fuzz targets; no other build has this module.

use reqwest::Url;
use reqwest::header::HeaderMap;

use crate::challenge;
use crate::token_request;
use crate::transport::Peer;

/// Whether a `WWW-Authenticate` field calls the token invalid.
pub fn calls_token_invalid(headers: &HeaderMap) -> bool {
    challenge::calls_token_invalid(headers)
}

/// The token of a token endpoint's answer, and for how many seconds it is used.
pub fn token(body: &[u8]) -> Option<(String, u64)> {
    let url: Url = "https://login.example.com".parse().ok()?;
    let (token, lifetime) = token_request::parse_token(body, Peer::of(&url, &[])).ok()?;
    Some((token.expose().to_owned(), lifetime.as_secs()))
}
