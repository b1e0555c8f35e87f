//! Reading an answer of the one representation that is configured.

use jwks::RemoteJwks;
use oauth_core::introspection::Representation;
use oauth_core::jwt::IntrospectionVerifier;
use oauth_core::time::Timestamp;
use oauth_core::token_facts::{Introspected, TokenFacts};

use crate::accepted_token::AcceptedToken;
use crate::audiences::LiveVerifier;
use crate::token_error::{TokenError, TokenRefusal};

/// How answers are read, and what must be true of them.
#[derive(Debug)]
pub(crate) enum AnswerReader {
    /// The access token as a JWT, which travels on.
    AccessTokenJwt {
        keys: RemoteJwks,
        verifier: LiveVerifier,
    },
    /// What the authorization server says of the token, signed by it. RFC 9701
    IntrospectionJwt {
        keys: RemoteJwks,
        verifier: IntrospectionVerifier,
        members: MemberRules,
    },
    /// What it says unsigned: believed for the sake of the TLS connection. RFC 7662 §2.2
    Json(MemberRules),
}

/// What must be true of an answer's members.
#[derive(Clone, Debug)]
pub(crate) struct MemberRules {
    /// The `iss`, where there is one: RFC 7662 leaves it open.
    pub(crate) issuer: String,
    /// The audience of tokens whose answer names none; without it they are not accepted.
    pub(crate) audience_if_absent: Option<String>,
}

impl AnswerReader {
    /// The one representation that can be read.
    pub(crate) const fn representation(&self) -> Representation {
        match self {
            Self::AccessTokenJwt { .. } => Representation::AccessTokenJwt,
            Self::IntrospectionJwt { .. } => Representation::IntrospectionJwt,
            Self::Json(_) => Representation::Json,
        }
    }

    /// Reads and verifies an answer.
    ///
    /// # Errors
    ///
    /// [`TokenError::Refused`] where the answer says no; every other where it says nothing that can be believed.
    pub(crate) async fn read(&self, answer: &[u8], now: Timestamp) -> Result<AcceptedToken, TokenError> {
        let token = match self {
            Self::AccessTokenJwt { keys, verifier } => {
                let jwt = text(answer)?;
                let verified = keys.verify(&verifier.now(), jwt, now).await;
                AcceptedToken::from_jwt(verified.map_err(TokenError::of_answer)?.into(), jwt)
            }
            Self::IntrospectionJwt {
                keys,
                verifier,
                members,
            } => {
                let jwt = text(answer)?;
                let verified = keys.verify_with(|keys| verifier.verify(jwt, keys, now)).await;
                let facts = members.facts(verified.map_err(TokenError::of_answer)?)?;
                AcceptedToken::from_introspection_jwt(facts, jwt)
            }
            Self::Json(members) => AcceptedToken::from_json(members.facts(Introspected::from_json(answer)?)?),
        };
        token.ok_or(TokenError::NotText)
    }
}

fn text(answer: &[u8]) -> Result<&str, TokenError> {
    str::from_utf8(answer).map_err(|_| TokenError::NotText)
}

impl MemberRules {
    fn facts(&self, introspected: Introspected) -> Result<TokenFacts, TokenError> {
        let mut facts = match introspected {
            Introspected::Active(facts) => facts,
            Introspected::Inactive => return Err(TokenRefusal::Inactive.into()),
            Introspected::BoundOtherwise => return Err(TokenRefusal::BoundOtherwise.into()),
        };
        let grant = &mut facts.grant;
        if grant.iss.as_ref().is_some_and(|issuer| *issuer != self.issuer) {
            return Err(TokenError::OtherIssuer);
        }
        if grant.aud.is_empty() {
            let audience = self.audience_if_absent.clone().ok_or(TokenError::NoAudience)?;
            grant.aud = vec![audience];
        }
        Ok(facts)
    }
}

#[cfg(test)]
mod tests {
    use oauth_core::token_facts::Grant;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

    fn reader(audience_if_absent: Option<&str>) -> AnswerReader {
        AnswerReader::Json(MemberRules {
            issuer: "https://issuer.example.com".to_owned(),
            audience_if_absent: audience_if_absent.map(str::to_owned),
        })
    }

    async fn read(reader: &AnswerReader, members: &str) -> Result<Grant, TokenError> {
        let answer = format!(r#"{{"active":true,"exp":2000{members}}}"#);
        let token = reader.read(answer.as_bytes(), NOW).await?;
        Ok(token.grant().clone())
    }

    /// X2, I10: an audience that is not named is nobody's, unless the configuration says whose it is.
    #[tokio::test]
    async fn an_answer_names_an_audience_or_the_configuration_does() {
        let (strict, lenient) = (reader(None), reader(Some("api.example.com")));
        for members in ["", r#","aud":[]"#] {
            assert!(matches!(
                read(&strict, members).await,
                Err(TokenError::NoAudience)
            ));
            assert_eq!(read(&lenient, members).await.unwrap().aud, ["api.example.com"]);
        }
        for reader in [strict, lenient] {
            let grant = read(&reader, r#","aud":"other""#).await.unwrap();
            assert_eq!(grant.aud, ["other"], "what is named is not replaced");
        }
    }

    /// I10: `iss` is optional in an answer, and if it is there it must be the issuer's.
    #[tokio::test]
    async fn an_answer_is_of_the_configured_issuer() {
        let reader = reader(Some("api"));
        assert!(read(&reader, "").await.is_ok());
        assert!(
            read(&reader, r#","iss":"https://issuer.example.com""#)
                .await
                .is_ok()
        );
        for issuer in ["https://issuer.example.com/", "https://other.example.com", ""] {
            let answered = read(&reader, &format!(r#","iss":"{issuer}""#)).await;
            assert!(matches!(answered, Err(TokenError::OtherIssuer)), "{issuer}");
        }
    }

    /// M39.
    #[tokio::test]
    async fn a_token_bound_to_a_key_is_refused_and_not_taken_for_unbound() {
        let answered = read(&reader(Some("api")), r#","cnf":{"jkt":"x"}"#).await;
        assert!(matches!(
            answered,
            Err(TokenError::Refused(TokenRefusal::BoundOtherwise))
        ));
    }
}
