//! Client authentication: from what a request carries to the registered client that sent it, or to one refusal.
//!
//! Unknown client, wrong certificate and wrong secret get the same answer; the log alone tells them apart.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    certificate::ClientCertificate,
    client::{
        CertificateAnchors, ClientAuthenticationMethod, ClientKeys, ClientRegistration, ClientRegistry,
        ClientSecretDigest, PublishedKeys, RegisteredCertificates,
    },
    error::{ErrorCode, OAuthError},
    form::FormParameters,
    jwt::{AssertionError, VerifiedAssertion, unverified_subject},
    time::Timestamp,
};

/// The one type of client assertion. RFC 7523 §2.2
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a request offers as proof of who sent it. `Debug` shows no secret.
#[derive(Clone)]
pub struct ClientCredentials<'a> {
    client_id: Cow<'a, str>,
    proof: PresentedProof<'a>,
    certificate: Option<&'a ClientCertificate>,
}

/// What a request brings beside its connection's certificate.
#[derive(Clone)]
enum PresentedProof<'a> {
    Nothing,
    BasicSecret(Cow<'a, str>),
    BodySecret,
    Assertion(&'a str),
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
        let in_body = form.value("client_secret");
        let has_assertion =
            form.value("client_assertion").is_some() || form.value("client_assertion_type").is_some();
        let (client_id, proof) = match (authorization, in_body, has_assertion) {
            (Some(header), None, false) => {
                let (client_id, secret) = parse_basic(header)?;
                (client_id, PresentedProof::BasicSecret(secret))
            }
            (None, None, true) => {
                let assertion = assertion(form)?;
                let subject = unverified_subject(assertion).ok_or(AssertionError::Malformed)?;
                (Cow::Owned(subject), PresentedProof::Assertion(assertion))
            }
            // Told apart before anybody looks the client up: the answer must not depend on whether there is one.
            (None, Some(_), false) if certificate.is_some() => return Err(AuthenticationError::TwoMethods),
            (None, secret, false) => {
                let client_id = form.value("client_id").ok_or(AuthenticationError::NoClientId)?;
                let proof = secret.map_or(PresentedProof::Nothing, |_| PresentedProof::BodySecret);
                (Cow::Borrowed(client_id), proof)
            }
            _ => return Err(AuthenticationError::TwoMethods),
        };
        let in_form = form.value("client_id");
        if in_form.is_some_and(|in_form| in_form != client_id) {
            return Err(match proof {
                PresentedProof::Assertion(_) => AssertionError::OtherClient.into(),
                _ => AuthenticationError::TwoClientIds,
            });
        }
        Ok(Self {
            client_id,
            proof,
            certificate,
        })
    }

    /// Whether a secret is among them that might be a guess.
    pub const fn try_a_secret(&self) -> bool {
        matches!(self.proof, PresentedProof::BasicSecret(_))
    }

    /// The client the request claims to come from: not proven before [`authenticate`].
    pub fn unverified_client_id(&self) -> &str {
        &self.client_id
    }

    fn certificate(&self) -> Result<&'a ClientCertificate, AuthenticationError> {
        self.certificate.ok_or(AuthenticationError::NoCertificate)
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

/// The assertion of a request, which must say what it is.
///
/// RFC 7521 §4.2
fn assertion<'a>(form: &'a FormParameters<'_>) -> Result<&'a str, AuthenticationError> {
    if form.value("client_assertion_type") != Some(ASSERTION_TYPE) {
        return Err(AuthenticationError::AssertionType);
    }
    form.value("client_assertion")
        .ok_or(AuthenticationError::AssertionType)
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

/// A client that has proven who it is, but for what the rules alone cannot see.
#[derive(Clone, Debug)]
#[must_use = "something may be outstanding"]
pub struct Authentication<'r> {
    /// The client.
    pub client: &'r ClientRegistration,
    /// What is still to be proven, by whoever can.
    pub outstanding: Outstanding,
}

/// What is still to be proven before a client may be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outstanding {
    /// Nothing.
    Nothing,
    /// That the certificate's chain ends in one of the client's own anchors. RFC 8705 §7.4
    ClientsAnchor,
    /// That the assertion has not been used before. RFC 7523 §3
    FirstUse(VerifiedAssertion),
    /// All that the keys prove which the client publishes: [`authenticate_by_published`] says, once they are at hand.
    /// RFC 7591 §2
    PublishedKeys,
}

/// Finds the client that `credentials` prove to the authorization server `issuer`.
///
/// # Errors
///
/// [`AuthenticationError`]; its [`oauth_error`](AuthenticationError::oauth_error) is the answer.
///
/// [RFC 8705 §2](https://www.rfc-editor.org/rfc/rfc8705#section-2), RFC 6749 §2.3.1, RFC 7523 §3
pub fn authenticate<'r>(
    credentials: &ClientCredentials<'_>,
    registry: &'r ClientRegistry,
    issuer: &str,
    now: Timestamp,
) -> Result<Authentication<'r>, AuthenticationError> {
    let client = registry
        .find(&credentials.client_id)
        .ok_or(AuthenticationError::UnknownClient)?;
    let outstanding = match (&client.authentication, &credentials.proof) {
        (ClientAuthenticationMethod::TlsClientAuth(subject, anchors), PresentedProof::Nothing) => {
            let certificate = vouched_for(credentials.certificate()?)?;
            if !subject.matches(certificate) {
                return Err(AuthenticationError::OtherSubject);
            }
            match anchors {
                CertificateAnchors::Servers => Outstanding::Nothing,
                CertificateAnchors::Clients => Outstanding::ClientsAnchor,
            }
        }
        (ClientAuthenticationMethod::SelfSignedTlsClientAuth(keys), PresentedProof::Nothing) => {
            let certificate = credentials.certificate()?;
            match keys {
                ClientKeys::Registered(registered) => verify_among(registered, certificate)?,
                // Nobody is asked about a certificate that can be none of the client's own.
                ClientKeys::Published(_) if !certificate.is_self_issued() => {
                    return Err(AuthenticationError::OtherCertificate);
                }
                ClientKeys::Published(_) => Outstanding::PublishedKeys,
            }
        }
        (ClientAuthenticationMethod::PrivateKeyJwt(keys), PresentedProof::Assertion(assertion)) => match keys
        {
            ClientKeys::Registered(keys) => {
                Outstanding::FirstUse(keys.verify(assertion, &client.client_id, issuer, now)?)
            }
            ClientKeys::Published(_) => Outstanding::PublishedKeys,
        },
        (ClientAuthenticationMethod::ClientSecretBasic(digest), PresentedProof::BasicSecret(secret)) => {
            if *digest != ClientSecretDigest::of(secret) {
                return Err(AuthenticationError::WrongSecret);
            }
            Outstanding::Nothing
        }
        _ => return Err(AuthenticationError::OtherMethod),
    };
    Ok(Authentication { client, outstanding })
}

/// What is still to be proven of `client`, whose [`Outstanding::PublishedKeys`] are `keys`.
///
/// # Errors
///
/// As [`authenticate`]. Newer keys may know better where [`AuthenticationError::is_of_unknown_key`] says so.
///
/// RFC 7591 §2, RFC 8705 §2.2, RFC 7523 §3
pub fn authenticate_by_published(
    keys: &PublishedKeys,
    credentials: &ClientCredentials<'_>,
    client: &ClientRegistration,
    issuer: &str,
    now: Timestamp,
) -> Result<Outstanding, AuthenticationError> {
    match (&client.authentication, &credentials.proof) {
        (ClientAuthenticationMethod::SelfSignedTlsClientAuth(_), PresentedProof::Nothing) => {
            verify_among(&keys.certificates, credentials.certificate()?)
        }
        (ClientAuthenticationMethod::PrivateKeyJwt(_), PresentedProof::Assertion(assertion)) => {
            let verified = keys
                .assertion_keys
                .verify(assertion, &client.client_id, issuer, now)?;
            Ok(Outstanding::FirstUse(verified))
        }
        _ => Err(AuthenticationError::OtherMethod),
    }
}

/// RFC 8705 §2.2
fn verify_among(
    certificates: &RegisteredCertificates,
    certificate: &ClientCertificate,
) -> Result<Outstanding, AuthenticationError> {
    if certificates.contains(certificate) {
        Ok(Outstanding::Nothing)
    } else {
        Err(AuthenticationError::OtherCertificate)
    }
}

/// A self-signed certificate is let in for the one client it is registered for; the names that it gives itself are
/// worth nothing.
///
/// RFC 8705 §2.1
fn vouched_for(certificate: &ClientCertificate) -> Result<&ClientCertificate, AuthenticationError> {
    if certificate.is_self_issued() {
        Err(AuthenticationError::SelfSigned)
    } else {
        Ok(certificate)
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
    /// A certificate that vouches for itself, where an authority is to.
    #[error("the certificate is self-signed, and the client authenticates by one that an authority issued")]
    SelfSigned,
    /// Another certificate than the registered ones.
    #[error("the certificate is none of those registered for the client")]
    OtherCertificate,
    /// The certificate's chain ends in another anchor than the client's. RFC 8705 §7.4
    #[error("the certificate was not issued under the trust anchors registered for the client")]
    OtherAnchor,
    /// An assertion without its type, of another type, or a type without assertion. RFC 7521 §4.2
    #[error("client_assertion and the client_assertion_type jwt-bearer are not both there")]
    AssertionType,
    /// The assertion proves nothing.
    #[error("{0}")]
    Assertion(#[from] AssertionError),
    /// The client is registered for another method than the one it used.
    #[error("the client is registered for another authentication method")]
    OtherMethod,
    /// The secret is wrong.
    #[error("wrong client secret")]
    WrongSecret,
}

impl AuthenticationError {
    /// Whether the client may have changed its keys since those at hand: they know none that fits. A key that is
    /// replaced by one of the same `kid`, or of none, shows by its signature alone.
    pub const fn is_of_unknown_key(self) -> bool {
        matches!(
            self,
            Self::OtherCertificate
                | Self::Assertion(
                    AssertionError::UnknownKey | AssertionError::Algorithm | AssertionError::Signature
                )
        )
    }

    /// The answer: one and the same for every credential that does not prove the client.
    ///
    /// RFC 6749 §5.2
    pub const fn oauth_error(self) -> OAuthError {
        match self {
            Self::NoClientId => OAuthError::invalid_request("client_id is missing"),
            Self::TwoClientIds | Self::TwoMethods => {
                OAuthError::invalid_request("use one client authentication method for one client")
            }
            Self::AssertionType => OAuthError::invalid_request(
                "send client_assertion with the client_assertion_type of RFC 7523",
            ),
            Self::NotBasic
            | Self::MalformedBasic
            | Self::UnknownClient
            | Self::NoCertificate
            | Self::OtherSubject
            | Self::SelfSigned
            | Self::OtherCertificate
            | Self::OtherAnchor
            | Self::Assertion(_)
            | Self::OtherMethod
            | Self::WrongSecret => OAuthError::new(ErrorCode::InvalidClient, "client authentication failed"),
        }
    }
}

#[cfg(test)]
mod tests;
