//! The error an OAuth endpoint answers with: a registered code and a fixed description, never the caller's input.

use serde::Serialize;

/// A registered error code.
///
/// [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2), RFC 6750 §3.1, RFC 7009 §2.2.1
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// A parameter is missing, malformed, repeated, or in the wrong place.
    InvalidRequest,
    /// The client is unknown, or did not prove who it is.
    InvalidClient,
    /// The client is known, and may not do this.
    UnauthorizedClient,
    /// The grant is none that this server knows.
    UnsupportedGrantType,
    /// The scope is malformed, or more than the client may ask for.
    InvalidScope,
    /// The token is of a kind that cannot be revoked.
    UnsupportedTokenType,
    /// The access token is missing its proof, expired, revoked, or was never issued.
    InvalidToken,
    /// The access token is good, and not for this.
    InsufficientScope,
    /// The request can be carried out later.
    TemporarilyUnavailable,
    /// The server failed.
    ServerError,
}

impl ErrorCode {
    /// The code as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }
}

/// An error answer: code and fixed text.
///
/// RFC 6749 §5.2
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}: {description}", .code.as_str())]
pub struct OAuthError {
    /// The registered code.
    #[serde(rename = "error")]
    pub code: ErrorCode,
    /// What the caller should change: fixed text in the characters that RFC 6749 §5.2 allows.
    #[serde(rename = "error_description")]
    pub description: &'static str,
}

impl OAuthError {
    /// An error with `code` and the fixed text `description`.
    pub const fn new(code: ErrorCode, description: &'static str) -> Self {
        Self { code, description }
    }

    /// Shorthand for the most common code.
    pub const fn invalid_request(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }
}
