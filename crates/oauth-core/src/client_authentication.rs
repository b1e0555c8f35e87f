//! Client authentication: from what a request carries to the registered client that sent it, or to one refusal.
//!
//! Unknown client, wrong certificate and wrong secret get the same answer; the log alone tells them apart.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    certificate::ClientCertificate,
    client::{ClientAuthenticationMethod, ClientRegistration, ClientRegistry, ClientSecretDigest},
    error::{ErrorCode, OAuthError},
    form::FormParameters,
};

/// What a request offers as proof of who sent it. `Debug` shows no secret.
#[derive(Clone)]
pub struct ClientCredentials<'a> {
    client_id: Cow<'a, str>,
    secret: Option<PresentedSecret<'a>>,
    certificate: Option<&'a ClientCertificate>,
}

#[derive(Clone)]
enum PresentedSecret<'a> {
    Basic(Cow<'a, str>),
    Body,
}

impl<'a> ClientCredentials<'a> {
    /// Gathers the credentials of a request: its `Authorization` header, its form, its connection's certificate.
    ///
    /// # Errors
    ///
    /// [`AuthenticationError`] where the request names no client, uses two methods at once, or sends an
    /// `Authorization` header that is not well-formed HTTP Basic.
    ///
    /// [RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3), RFC 8705 §2
    pub fn from_request(
        authorization: Option<&'a str>,
        form: &'a FormParameters<'_>,
        certificate: Option<&'a ClientCertificate>,
    ) -> Result<Self, AuthenticationError> {
        let in_body = form.value("client_secret").map(|_| PresentedSecret::Body);
        let has_assertion =
            form.value("client_assertion").is_some() || form.value("client_assertion_type").is_some();
        match authorization {
            Some(_) if in_body.is_some() || has_assertion => Err(AuthenticationError::TwoMethods),
            Some(header) => {
                let (client_id, secret) = parse_basic(header)?;
                if form
                    .value("client_id")
                    .is_some_and(|in_form| in_form != client_id)
                {
                    return Err(AuthenticationError::TwoClientIds);
                }
                Ok(Self {
                    client_id,
                    secret: Some(PresentedSecret::Basic(secret)),
                    certificate,
                })
            }
            None if in_body.is_some() && has_assertion => Err(AuthenticationError::TwoMethods),
            None => {
                let client_id = form.value("client_id").ok_or(AuthenticationError::NoClientId)?;
                Ok(Self {
                    client_id: Cow::Borrowed(client_id),
                    secret: in_body,
                    certificate,
                })
            }
        }
    }

    /// The client the request claims to come from: not proven before [`authenticate`].
    pub fn unverified_client_id(&self) -> &str {
        &self.client_id
    }
}

impl fmt::Debug for ClientCredentials<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientCredentials")
            .field("client_id", &self.client_id)
            .field(
                "certificate",
                &self.certificate.map(ClientCertificate::thumbprint),
            )
            .finish_non_exhaustive()
    }
}

/// Name and secret of an HTTP Basic header; both were form-encoded before base64.
///
/// RFC 6749 §2.3.1
fn parse_basic(header: &str) -> Result<(Cow<'static, str>, Cow<'static, str>), AuthenticationError> {
    let (scheme, encoded) = header.split_once(' ').ok_or(AuthenticationError::NotBasic)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(AuthenticationError::NotBasic);
    }
    let decoded = STANDARD
        .decode(encoded.trim())
        .map_err(|_| AuthenticationError::MalformedBasic)?;
    let decoded = String::from_utf8(decoded).map_err(|_| AuthenticationError::MalformedBasic)?;
    let (client_id, secret) = decoded
        .split_once(':')
        .ok_or(AuthenticationError::MalformedBasic)?;
    Ok((
        Cow::Owned(form_decode(client_id)?),
        Cow::Owned(form_decode(secret)?),
    ))
}

fn form_decode(text: &str) -> Result<String, AuthenticationError> {
    // `&` and `=` are what a form decoder would split at; behind `name=` only `&` still is, and it must be encoded.
    if text.contains('&') {
        return Err(AuthenticationError::MalformedBasic);
    }
    let pair = format!("value={text}");
    let decoded = form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned());
    decoded
        .filter(|value| !value.contains(char::REPLACEMENT_CHARACTER))
        .ok_or(AuthenticationError::MalformedBasic)
}

/// Finds the client that `credentials` prove.
///
/// # Errors
///
/// [`AuthenticationError`]; its [`oauth_error`](AuthenticationError::oauth_error) is the answer.
///
/// [RFC 8705 §2.1](https://www.rfc-editor.org/rfc/rfc8705#section-2.1), RFC 6749 §2.3.1
pub fn authenticate<'r>(
    credentials: &ClientCredentials<'_>,
    registry: &'r ClientRegistry,
) -> Result<&'r ClientRegistration, AuthenticationError> {
    let client = registry
        .find(&credentials.client_id)
        .ok_or(AuthenticationError::UnknownClient)?;
    match (&client.authentication, &credentials.secret) {
        (ClientAuthenticationMethod::TlsClientAuth(subject), None) => {
            let certificate = credentials
                .certificate
                .ok_or(AuthenticationError::NoCertificate)?;
            if subject.matches(certificate) {
                Ok(client)
            } else {
                Err(AuthenticationError::OtherSubject)
            }
        }
        (ClientAuthenticationMethod::TlsClientAuth(_), Some(_)) => match credentials.certificate {
            Some(_) => Err(AuthenticationError::TwoMethods),
            None => Err(AuthenticationError::OtherMethod),
        },
        (ClientAuthenticationMethod::ClientSecretBasic(digest), Some(PresentedSecret::Basic(secret))) => {
            if *digest == ClientSecretDigest::of(secret) {
                Ok(client)
            } else {
                Err(AuthenticationError::WrongSecret)
            }
        }
        (ClientAuthenticationMethod::ClientSecretBasic(_), _) => Err(AuthenticationError::OtherMethod),
    }
}

/// Why a client was not authenticated: for the log. The caller sees [`oauth_error`](Self::oauth_error).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// No `client_id`: a client is never guessed from its certificate. RFC 8705 §2
    #[error("the request names no client_id")]
    NoClientId,
    /// The form and the header name different clients.
    #[error("the request names two different clients")]
    TwoClientIds,
    /// More than one authentication method. RFC 6749 §2.3
    #[error("the request uses more than one client authentication method")]
    TwoMethods,
    /// An `Authorization` header of another scheme.
    #[error("the Authorization header is not HTTP Basic")]
    NotBasic,
    /// HTTP Basic that cannot be read.
    #[error("the HTTP Basic credentials cannot be read")]
    MalformedBasic,
    /// Not registered, or disabled.
    #[error("no such client, or it is disabled")]
    UnknownClient,
    /// The connection has no client certificate.
    #[error("the client authenticates by certificate and the connection presented none")]
    NoCertificate,
    /// The certificate carries another name than the registered one.
    #[error("the certificate's name is not the one registered for the client")]
    OtherSubject,
    /// The client is registered for another method than the one it used.
    #[error("the client is registered for another authentication method")]
    OtherMethod,
    /// The secret is wrong.
    #[error("wrong client secret")]
    WrongSecret,
}

impl AuthenticationError {
    /// The answer: one and the same for every credential that does not prove the client.
    ///
    /// RFC 6749 §5.2
    pub const fn oauth_error(self) -> OAuthError {
        match self {
            Self::NoClientId => OAuthError::invalid_request("client_id is missing"),
            Self::TwoClientIds | Self::TwoMethods => {
                OAuthError::invalid_request("use one client authentication method for one client")
            }
            Self::NotBasic
            | Self::MalformedBasic
            | Self::UnknownClient
            | Self::NoCertificate
            | Self::OtherSubject
            | Self::OtherMethod
            | Self::WrongSecret => OAuthError::new(ErrorCode::InvalidClient, "client authentication failed"),
        }
    }
}

#[cfg(test)]
mod tests;
