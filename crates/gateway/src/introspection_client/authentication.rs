//! How the gateway proves to the introspection endpoint who it is: by its certificate, a secret or an assertion.
//!
//! Neither secret nor key is ever shown: not in `Debug`, not in the log.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use oauth_core::jwt::{ClientAssertionClaims, SigningError, SigningKey};
use oauth_core::time::Timestamp;
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use crate::configuration::{EndpointAuthentication, Introspection};

/// RFC 7523 §2.2
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// For how long an assertion is good: it is used at once, and bounds what a stolen one is worth.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// How the gateway authenticates.
pub(crate) enum Authentication {
    /// By the certificate of the connection. RFC 8705 §2
    Certificate { client_id: String },
    /// By a secret, in this value of `Authorization`. RFC 6749 §2.3.1
    Secret { authorization: HeaderValue },
    /// By a JWT that it signs for each request. RFC 7523 §2.2
    Assertion {
        client_id: String,
        issuer: String,
        key: Box<SigningKey>,
    },
}

impl Authentication {
    /// Reads the secret or the key that `configuration` names.
    ///
    /// # Errors
    ///
    /// [`AuthenticationError`], which names the file.
    pub(crate) fn load(configuration: &Introspection) -> Result<Self, AuthenticationError> {
        let client_id = configuration.client_id.clone();
        match &configuration.authentication {
            EndpointAuthentication::Certificate => Ok(Self::Certificate { client_id }),
            EndpointAuthentication::Secret { file } => {
                let secret = read(file)?;
                let secret = without_newline(&secret);
                if secret.is_empty() {
                    return Err(AuthenticationError::NoSecret(file.clone()));
                }
                Ok(Self::Secret {
                    authorization: basic(&client_id, secret),
                })
            }
            EndpointAuthentication::Assertion { key: file, algorithm } => {
                let key = SigningKey::from_pkcs8_pem(&read(file)?, *algorithm);
                let key = key.map_err(|error| AuthenticationError::Key(file.clone(), error))?;
                Ok(Self::Assertion {
                    client_id,
                    issuer: configuration.issuer.clone(),
                    key: Box::new(key),
                })
            }
        }
    }

    /// The id of the key that signs assertions, which the authorization server must know it by.
    pub(crate) fn key_id(&self) -> Option<&str> {
        match self {
            Self::Certificate { .. } | Self::Secret { .. } => None,
            Self::Assertion { key, .. } => Some(key.key_id()),
        }
    }

    /// What goes along with one request.
    ///
    /// # Errors
    ///
    /// [`SigningError`], as from every signature.
    pub(crate) fn proof(&self, now: Timestamp) -> Result<Proof, SigningError> {
        match self {
            Self::Certificate { client_id } => Ok(Proof {
                parameters: vec![("client_id", client_id.clone())],
                authorization: None,
            }),
            Self::Secret { authorization } => Ok(Proof {
                parameters: Vec::new(),
                authorization: Some(authorization.clone()),
            }),
            Self::Assertion {
                client_id,
                issuer,
                key,
            } => {
                let assertion = assertion(client_id, issuer, now).sign(key)?;
                Ok(Proof {
                    parameters: vec![
                        ("client_assertion_type", ASSERTION_TYPE.to_owned()),
                        ("client_assertion", assertion),
                    ],
                    authorization: None,
                })
            }
        }
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Certificate { .. } => "Certificate",
            Self::Secret { .. } => "Secret([redacted])",
            Self::Assertion { .. } => "Assertion([redacted])",
        })
    }
}

/// What proves, in one request, who asks.
pub(crate) struct Proof {
    parameters: Vec<(&'static str, String)>,
    authorization: Option<HeaderValue>,
}

impl Proof {
    /// For the form.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.parameters
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// For the request's head.
    pub(crate) fn headers(&self) -> HeaderMap {
        let authorization = self.authorization.clone().map(|value| (AUTHORIZATION, value));
        authorization.into_iter().collect()
    }
}

fn assertion(client_id: &str, issuer: &str, now: Timestamp) -> ClientAssertionClaims {
    ClientAssertionClaims {
        iss: client_id.to_owned(),
        sub: client_id.to_owned(),
        aud: issuer.to_owned(),
        exp: now.plus(ASSERTION_LIFETIME),
        iat: Some(now),
        nbf: None,
        jti: Uuid::new_v4().to_string(),
    }
}

/// Both parts are form-urlencoded first, since either may hold a colon. RFC 6749 §2.3.1
fn basic(client_id: &str, secret: &[u8]) -> HeaderValue {
    let encoded = |part: &[u8]| byte_serialize(part).collect::<String>();
    let credentials = format!("{}:{}", encoded(client_id.as_bytes()), encoded(secret));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(credentials)))
        .expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

fn read(file: &Path) -> Result<Vec<u8>, AuthenticationError> {
    std::fs::read(file).map_err(|error| AuthenticationError::Unreadable(file.to_owned(), error.to_string()))
}

/// Editors end a file with a newline that is no part of the secret.
fn without_newline(secret: &[u8]) -> &[u8] {
    let secret = secret.strip_suffix(b"\n").unwrap_or(secret);
    secret.strip_suffix(b"\r").unwrap_or(secret)
}

/// Why the gateway cannot authenticate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthenticationError {
    #[error("cannot read {}: {}", .0.display(), .1)]
    Unreadable(PathBuf, String),
    #[error("{} holds no secret", .0.display())]
    NoSecret(PathBuf),
    #[error("{}: {}; it must be PEM, and introspection.endpoint_auth_signing_alg must fit it", .0.display(), .1)]
    Key(PathBuf, SigningError),
}

#[cfg(test)]
mod tests;
