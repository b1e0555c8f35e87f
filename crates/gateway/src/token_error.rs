//! Why a token was not accepted, and whose fault that is: the caller's in few cases, in all others never.

use std::error::Error;

use http::StatusCode;
use jwks::JwksVerificationError;
use mtls::{peer_alert, server_certificate_fault};
use oauth_core::jwt::VerificationError;
use oauth_core::token_facts::MalformedAnswer;

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// Why the token itself is at fault.
    #[error(transparent)]
    Refused(#[from] TokenRefusal),
    #[error("the authorization server cannot be reached: {0}")]
    Unreachable(String),
    #[error("the authorization server and the gateway do not trust each other: {0}")]
    Untrusted(String),
    #[error("the authorization server did not answer in time")]
    Timeout,
    #[error("as many tokens are being looked up as introspection.concurrency allows")]
    IntrospectionBusy,
    #[error("as many JWTs are being verified as may be at once")]
    VerificationBusy,
    #[error("the authorization server answers {0}")]
    Status(StatusCode),
    #[error("the answer is not {0}")]
    ContentType(&'static str),
    #[error("the answer has at least {size} bytes, and introspection.max_response is {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("the answer is not text that a header field can carry")]
    NotText,
    #[error("the answer is not to be believed: {0}")]
    Verification(VerificationError),
    #[error("the answer is {0}")]
    Malformed(#[from] MalformedAnswer),
    #[error("the answer is of another issuer than introspection.issuer")]
    OtherIssuer,
    #[error(
        "the answer does not say for whom the token is; introspection.audience_if_absent can say so for all tokens"
    )]
    NoAudience,
    #[error("{0}")]
    KeysUnavailable(String),
    #[error("the introspection was interrupted")]
    Interrupted,
    #[error("no client assertion can be made: {0}")]
    Assertion(#[from] oauth_core::jwt::SigningError),
}

/// Why a token is refused that nobody but the caller is to blame for; remembered for a while, since asking again
/// would bring the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenRefusal {
    #[error("the token is not active")]
    Inactive,
    #[error("the token is bound to something else than a certificate")]
    BoundOtherwise,
    #[error("no token of this kind is taken")]
    Kind,
    #[error("{0}")]
    Jwt(VerificationError),
}

impl TokenError {
    /// Whether the authorization server gave no answer at all: it may be down, and what it said before still stands.
    /// Whoever shows a wrong certificate in its place cannot make it seem so.
    pub(crate) const fn is_no_answer(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Timeout)
    }

    /// What keys said of an answer of the authorization server: if anything is wrong, that is its fault.
    pub(crate) fn of_answer(error: JwksVerificationError) -> Self {
        match error {
            JwksVerificationError::Verification(error) => Self::Verification(error),
            unavailable => Self::KeysUnavailable(unavailable.to_string()),
        }
    }

    /// What keys said of a token that a caller presented.
    pub(crate) fn of_presented(error: JwksVerificationError) -> Self {
        match error {
            JwksVerificationError::Verification(error) => Self::Refused(TokenRefusal::Jwt(error)),
            unavailable => Self::KeysUnavailable(unavailable.to_string()),
        }
    }
}

impl From<reqwest::Error> for TokenError {
    /// A connection that cannot be made in time is no connection; an answer that does not come in time is late.
    fn from(error: reqwest::Error) -> Self {
        if server_certificate_fault(&error).is_some() || peer_alert(&error).is_some() {
            Self::Untrusted(words_of(&error))
        } else if error.is_timeout() && !error.is_connect() {
            Self::Timeout
        } else {
            Self::Unreachable(words_of(&error))
        }
    }
}

/// The words of the whole chain: the cause, such as a refused certificate, stands at its end.
pub(crate) fn words_of(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
