//! The client credentials grant, authenticated by the client certificate of the connection.

use std::time::Duration;

use mtls::ConnectTo;
use oauth_core::scope::Scope;
use reqwest::{StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::access_token::AccessToken;
use crate::error::{TokenError, printable};
use crate::transport::{Peer, Received, Transport, https_url};

/// Bounds the memory that a stranger in the authorization server's place can take.
const LARGEST_ANSWER: usize = 64 * 1024;

/// How long a token is used that comes without `expires_in`. RFC 6749 §5.1
const UNKNOWN_LIFETIME: Duration = Duration::from_secs(60);

/// Bounds what is used of `expires_in`: no clock counts further than it is asked to.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What to ask for.
pub(crate) struct TokenRequest<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) scope: &'a Scope,
    pub(crate) connect_to: &'a [ConnectTo],
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    token_type: String,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl TokenRequest<'_> {
    /// A token and its lifetime.
    ///
    /// [RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4), RFC 8705 §2
    pub(crate) async fn send(&self, transport: &Transport) -> Result<(AccessToken, Duration), TokenError> {
        let not_https = || TokenError::NotHttps {
            url: self.endpoint.to_owned(),
        };
        let url = https_url(self.endpoint).ok_or_else(not_https)?;
        let peer = Peer::of(&url, self.connect_to);
        let scope = self.scope.to_string();
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", self.client_id),
        ];
        if !scope.is_empty() {
            form.push(("scope", &scope));
        }
        let request = transport
            .http_client
            .post(url)
            .header(header::ACCEPT, "application/json")
            .form(&form);
        let answer = transport.send(request, &peer, LARGEST_ANSWER).await?;
        match answer.status {
            StatusCode::OK => parse_token(&answer.body, peer),
            _ => Err(self.refusal(&answer, peer)),
        }
    }

    fn refusal(&self, answer: &Received, peer: Peer) -> TokenError {
        match serde_json::from_slice::<ErrorAnswer>(&answer.body) {
            Ok(ErrorAnswer {
                error,
                error_description,
            }) => TokenError::Refused {
                code: printable(&error),
                description: printable(&error_description),
                client_id: self.client_id.to_owned(),
            },
            Err(_) => TokenError::Status {
                peer,
                status: answer.status,
            },
        }
    }
}

/// RFC 6749 §5.1
pub(crate) fn parse_token(body: &[u8], peer: Peer) -> Result<(AccessToken, Duration), TokenError> {
    let malformed = |reason| TokenError::Malformed { peer, reason };
    let Ok(answer) = serde_json::from_slice::<TokenAnswer>(body) else {
        return Err(malformed("it is not JSON with access_token and token_type"));
    };
    if !answer.token_type.eq_ignore_ascii_case("bearer") {
        return Err(malformed("its token_type is not Bearer"));
    }
    let token = answer.access_token.expose_secret();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("its access_token cannot stand in a header"));
    }
    let lifetime = answer
        .expires_in
        .map_or(UNKNOWN_LIFETIME, Duration::from_secs)
        .min(LONGEST_LIFETIME);
    Ok((AccessToken::new(answer.access_token), lifetime))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> Result<(AccessToken, Duration), TokenError> {
        parse_token(
            body.as_bytes(),
            Peer::of(&"https://login.example.com".parse().unwrap(), &[]),
        )
    }

    /// O14: the type's case does not matter. RFC 6749 §5.1
    #[test]
    fn accepts_the_token_type_in_any_case() {
        for token_type in ["Bearer", "bearer", "BEARER"] {
            let body = format!(
                r#"{{"access_token":"abc","token_type":"{token_type}","expires_in":900,"scope":"x"}}"#
            );
            let (token, lifetime) = parsed(&body).unwrap();
            assert_eq!((token.expose(), lifetime), ("abc", Duration::from_secs(900)));
        }
    }

    #[test]
    fn refuses_other_token_types_and_what_is_no_token() {
        for body in [
            r#"{"access_token":"abc","token_type":"DPoP"}"#,
            r#"{"access_token":"abc"}"#,
            r#"{"access_token":"","token_type":"Bearer"}"#,
            r#"{"access_token":"a\nb","token_type":"Bearer"}"#,
            "<html>",
        ] {
            assert!(
                matches!(parsed(body), Err(TokenError::Malformed { .. })),
                "{body}"
            );
        }
    }

    #[test]
    fn takes_no_lifetime_for_a_short_one_and_a_long_one_for_a_day() {
        let lifetime = |expires_in: &str| {
            parsed(&format!(
                r#"{{"access_token":"a","token_type":"Bearer"{expires_in}}}"#
            ))
            .unwrap()
            .1
        };
        assert_eq!(lifetime(""), UNKNOWN_LIFETIME);
        assert_eq!(
            lifetime(r#","expires_in":18446744073709551615"#),
            LONGEST_LIFETIME
        );
    }

    #[test]
    fn prints_no_control_characters_of_a_server() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a[2Jbc");
    }
}
