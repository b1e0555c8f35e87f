//! Why a call did not come about, in sentences for the one who has to mend it.

use reqwest::StatusCode;

use crate::transport::{Peer, TransportError};

/// Bounds what others can have us say.
const LONGEST_QUOTATION: usize = 200;

/// What another says, in a sentence of ours: of it what a terminal can show without being told to do anything.
pub fn printable(text: &str) -> String {
    text.chars()
        .filter(|character| matches!(character, ' '..='~'))
        .take(LONGEST_QUOTATION)
        .collect()
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The certificate or the trust anchors cannot be used.
    #[error(transparent)]
    Setup(#[from] mtls::ClientError),
    /// A token is never sent over anything but TLS. RFC 6750 §5.3
    #[error("{url} is not an https URL, and no token is sent to any other")]
    NotHttps {
        /// The URL.
        url: String,
    },
    /// There is no token to call with.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The API was not reached, or did not answer.
    #[error(transparent)]
    Call(TransportError),
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The metadata of the issuer is of no use.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The token endpoint is no place to show a certificate at.
    #[error("the token endpoint {url} is not an https URL")]
    NotHttps {
        /// The URL.
        url: String,
    },
    /// The authorization server was not reached, or did not answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The authorization server answered with an error.
    #[error("{}", refusal(code, description, client_id))]
    Refused {
        /// The OAuth error code. RFC 6749 §5.2
        code: String,
        /// What the server adds to it.
        description: String,
        /// The client the token was asked for.
        client_id: String,
    },
    /// The answer is no token answer, though its status is 200.
    #[error("{peer}: the answer is no token: {reason}; is this the token endpoint?")]
    Malformed {
        /// The server.
        peer: Peer,
        /// What is wrong with the answer.
        reason: &'static str,
    },
    /// The answer is an error, and none of OAuth's.
    #[error("{peer}: the answer is {status}; is this the token endpoint?")]
    Status {
        /// The server.
        peer: Peer,
        /// The answer's status.
        status: StatusCode,
    },
}

/// Why the metadata of an issuer, or of a resource, is of no use.
///
/// RFC 8414 §3.3, RFC 9728 §3.3
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The issuer is no `https` URL.
    #[error("the issuer {issuer} is not an https URL without query and fragment")]
    Issuer {
        /// The issuer.
        issuer: String,
    },
    /// The metadata cannot be fetched.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The answer is not 200, or no metadata.
    #[error("there is no authorization server metadata at {url}; is the issuer right?")]
    NoMetadata {
        /// Where it should be.
        url: String,
    },
    /// The metadata is somebody else's.
    #[error("the metadata at {url} is that of another issuer, and is not believed")]
    OtherIssuer {
        /// Where it is.
        url: String,
    },
    /// The answer is not 200, or no metadata of a resource.
    #[error("there is no resource metadata at {url}; is the resource right?")]
    NoResourceMetadata {
        /// Where it should be.
        url: String,
    },
    /// The metadata is another resource's.
    #[error("the metadata at {url} is that of another resource, and is not believed")]
    OtherResource {
        /// Where it is.
        url: String,
    },
    /// The resource does not say who issues tokens for it.
    #[error("the metadata at {url} names no authorization server; name its issuer with --issuer")]
    NoIssuer {
        /// Where it is.
        url: String,
    },
}

fn refusal(code: &str, description: &str, client_id: &str) -> String {
    let said = if description.is_empty() {
        code.to_owned()
    } else {
        format!("{code}, {description}")
    };
    let meaning = match code {
        "invalid_client" => format!(
            "the authorization server does not know client_id {client_id} with this certificate; compare the subject \
             it is registered with to your certificate's (cargo run -p pki -- show FILE)"
        ),
        "unauthorized_client" => {
            format!("the authorization server does not let client_id {client_id} ask for tokens in this way")
        }
        "invalid_scope" => {
            format!("client_id {client_id} may not have the scope that was asked for (--scope)")
        }
        "temporarily_unavailable" | "server_error" => {
            "the authorization server cannot answer at present; try again later".to_owned()
        }
        _ => "the authorization server refused the request".to_owned(),
    };
    format!("{meaning} ({said})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_do_about_an_unknown_client() {
        let refused = |code: &str| {
            let (description, client_id) = ("no".into(), "partner-client".into());
            TokenError::Refused {
                code: code.into(),
                description,
                client_id,
            }
            .to_string()
        };
        let message = refused("invalid_client");
        assert!(
            message.contains("partner-client") && message.ends_with("(invalid_client, no)"),
            "{message}"
        );
        assert!(message.contains("pki -- show"), "{message}");
        assert!(refused("invalid_scope").contains("--scope"));
        assert!(refused("unheard_of").ends_with("(unheard_of, no)"));
    }
}
