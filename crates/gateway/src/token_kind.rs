//! The two kinds of access token, told apart by their form alone: a token that looks like a JWT is verified, and every
//! other is looked up. Neither is ever tried as the other.

use oauth_core::jwt::is_compact_jws;
use serde::Deserialize;

/// A kind of access token, as `tokens` of a route names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// Known to its authorization server alone, and looked up there.
    Opaque,
    /// A signed JWT, verified here with its issuer's keys.
    Jwt,
}

impl TokenKind {
    /// The longest of this kind that is looked at, in bytes. Bounds what each made-up token costs; an authorization server
    /// takes no larger form.
    pub(crate) const fn longest(self) -> usize {
        match self {
            Self::Opaque => 4 * 1024,
            Self::Jwt => 16 * 1024,
        }
    }

    /// What `token` looks like.
    pub(crate) fn of(token: &str) -> Self {
        if is_compact_jws(token) {
            Self::Jwt
        } else {
            Self::Opaque
        }
    }
}
