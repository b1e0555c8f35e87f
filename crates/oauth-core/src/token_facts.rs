//! What is known of an access token that was believed, whichever way it came: as a verified JWT, or in the answer of an
//! introspection endpoint, ours or anybody's.
//!
//! Servers differ in what they say; only what every decision needs is demanded. Fails closed: a token that is said to
//! be bound to anything but a certificate is never taken for one that is not bound.

use serde::{Deserialize, Deserializer};

use crate::{
    confirmation::Confirmation,
    jwt::{VerificationError, VerifiedAccessToken, verify_time},
    scope::Scope,
    time::Timestamp,
};

/// What is known of an access token.
///
/// [RFC 7662 §2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2), RFC 9068 §2.2
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// What it was issued for.
    pub grant: Grant,
    /// When it can be used.
    pub lifetime: Lifetime,
}

/// What a token was issued for. Each token of a client for one API has the same, as a rule: whoever keeps many of them
/// can keep it once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Who issued it, if that was said.
    pub iss: Option<String>,
    /// Who may be shown it; empty where nobody was named.
    pub aud: Vec<String>,
    /// On whose behalf, if that was said.
    pub sub: Option<String>,
    /// To whom it was issued, if that was said.
    pub client_id: Option<String>,
    /// The scope granted; empty where none was named.
    pub scope: Scope,
    /// The certificate it is bound to.
    pub cnf: Option<Confirmation>,
}

/// When a token can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// From when on it is worth nothing.
    pub exp: Timestamp,
    /// The later of `iat` and `nbf`, before which it is worth nothing; the epoch where neither was said.
    pub not_before: Timestamp,
}

impl Lifetime {
    fn new(exp: Timestamp, iat: Option<Timestamp>, nbf: Option<Timestamp>) -> Self {
        let not_before = iat.max(nbf).unwrap_or(Timestamp::from_unix_seconds(0));
        Self { exp, not_before }
    }

    /// Whether the token can be used at `now`.
    ///
    /// # Errors
    ///
    /// [`VerificationError::Expired`] or [`VerificationError::NotYetValid`].
    ///
    /// RFC 7519 §4.1.4, §4.1.5
    pub fn verify(&self, now: Timestamp) -> Result<(), VerificationError> {
        verify_time(self.exp, Some(self.not_before), now)
    }
}

impl From<VerifiedAccessToken> for TokenFacts {
    fn from(token: VerifiedAccessToken) -> Self {
        let claims = token.into_claims();
        Self {
            grant: Grant {
                iss: Some(claims.iss),
                aud: claims.aud,
                sub: Some(claims.sub),
                client_id: Some(claims.client_id),
                scope: claims.scope,
                cnf: claims.cnf,
            },
            lifetime: Lifetime::new(claims.exp, Some(claims.iat), claims.nbf),
        }
    }
}

/// What an introspection endpoint says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introspected {
    /// It can be used, as far as the endpoint knows.
    Active(TokenFacts),
    /// It cannot, or is not for whoever asks.
    Inactive,
    /// It can be used by whoever proves something else than possession of a certificate. RFC 7800 §3.1
    BoundOtherwise,
}

impl Introspected {
    /// Reads the JSON answer of an introspection endpoint.
    ///
    /// # Errors
    ///
    /// [`MalformedAnswer`] where it is none, or describes an active token without saying when that ends.
    ///
    /// RFC 7662 §2.2, RFC 8705 §3.2
    pub fn from_json(answer: &[u8]) -> Result<Self, MalformedAnswer> {
        serde_json::from_slice::<Answer>(answer)
            .map_err(|_| MalformedAnswer)?
            .introspected()
    }
}

/// The answer is none of an introspection endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an introspection answer: `active` and, of an active token, `exp` are needed, members of the types of RFC 7662"
)]
pub struct MalformedAnswer;

/// The members of an introspection answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    active: bool,
    #[serde(flatten)]
    members: Members,
}

impl Answer {
    pub(crate) fn introspected(self) -> Result<Introspected, MalformedAnswer> {
        if !self.active {
            return Ok(Introspected::Inactive);
        }
        match self.members.facts() {
            Ok(facts) => Ok(Introspected::Active(facts)),
            Err(NoFacts::BoundOtherwise) => Ok(Introspected::BoundOtherwise),
            Err(NoFacts::NoExpiry) => Err(MalformedAnswer),
        }
    }
}

/// What servers say of a token, be it in an answer or in a JWT of their own profile.
#[derive(Debug, Deserialize)]
pub(crate) struct Members {
    iss: Option<String>,
    exp: Option<Timestamp>,
    iat: Option<Timestamp>,
    nbf: Option<Timestamp>,
    aud: Option<Audience>,
    sub: Option<String>,
    client_id: Option<String>,
    /// How OIDC providers name the client.
    azp: Option<String>,
    scope: Option<Scope>,
    token_type: Option<String>,
    #[serde(default, deserialize_with = "any_confirmation")]
    cnf: Option<AnyConfirmation>,
}

impl Members {
    pub(crate) fn facts(self) -> Result<TokenFacts, NoFacts> {
        // Certificate-bound tokens are bearer tokens on the wire; what is not has another proof. RFC 8705 §3, RFC 9449 §6.2
        let is_bearer = |token_type: &String| token_type.eq_ignore_ascii_case("bearer");
        if !self.token_type.as_ref().is_none_or(is_bearer) {
            return Err(NoFacts::BoundOtherwise);
        }
        let cnf = match self.cnf {
            None => None,
            Some(AnyConfirmation::Certificate(confirmation)) => Some(confirmation),
            Some(AnyConfirmation::Other(_)) => return Err(NoFacts::BoundOtherwise),
        };
        let exp = self.exp.ok_or(NoFacts::NoExpiry)?;
        Ok(TokenFacts {
            grant: Grant {
                iss: self.iss,
                aud: self.aud.map(Vec::from).unwrap_or_default(),
                sub: self.sub,
                client_id: self.client_id.or(self.azp),
                scope: self.scope.unwrap_or_default(),
                cnf,
            },
            lifetime: Lifetime::new(exp, self.iat, self.nbf),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoFacts {
    NoExpiry,
    BoundOtherwise,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl From<Audience> for Vec<String> {
    fn from(audience: Audience) -> Self {
        match audience {
            Audience::One(one) => vec![one],
            Audience::Many(many) => many,
        }
    }
}

impl Audience {
    pub(crate) fn contains(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Many(many) => many.iter().any(|one| one == name),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum AnyConfirmation {
    Certificate(Confirmation),
    Other(serde::de::IgnoredAny),
}

/// `null` is a confirmation too, and none that a certificate meets.
fn any_confirmation<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<AnyConfirmation>, D::Error> {
    AnyConfirmation::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    const THUMBPRINT: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

    fn read(answer: &serde_json::Value) -> Result<Introspected, MalformedAnswer> {
        Introspected::from_json(answer.to_string().as_bytes())
    }

    fn facts(answer: &serde_json::Value) -> TokenFacts {
        match read(answer) {
            Ok(Introspected::Active(facts)) => facts,
            other => panic!("{other:?}"),
        }
    }

    /// I10, M33.
    #[test]
    fn reads_what_servers_say_of_an_active_token() {
        let answer = json!({
            "active": true, "iss": "https://issuer.example.com", "exp": 1_900, "iat": 1_000, "nbf": 1_001,
            "aud": ["api.example.com", "other"], "sub": "s", "client_id": "partner", "scope": "a b",
            "token_type": "Bearer", "unheard_of": {"x": []}, "cnf": {"x5t#S256": THUMBPRINT},
        });
        let TokenFacts { grant, lifetime } = facts(&answer);
        assert_eq!(grant.iss.as_deref(), Some("https://issuer.example.com"));
        assert_eq!(grant.aud, ["api.example.com", "other"]);
        assert_eq!(
            (grant.sub.as_deref(), grant.client_id.as_deref()),
            (Some("s"), Some("partner"))
        );
        assert_eq!(grant.scope, "b a".parse().unwrap());
        assert_eq!(grant.cnf.unwrap().x5t_s256.to_string(), THUMBPRINT);
        assert_eq!(lifetime.verify(NOW), Ok(()));
        assert_eq!(
            lifetime.verify(NOW.plus(Duration::from_secs(910))),
            Err(VerificationError::Expired)
        );
        assert_eq!(
            lifetime.verify(NOW.minus(Duration::from_secs(10))),
            Err(VerificationError::NotYetValid)
        );
    }

    /// I10: nothing but `active` and, here, `exp` is demanded.
    #[test]
    fn what_is_not_said_is_nothing() {
        let TokenFacts { grant, lifetime } =
            facts(&json!({"active": true, "exp": 1_900, "azp": "partner", "aud": "api", "scope": null}));
        assert_eq!(lifetime.verify(Timestamp::from_unix_seconds(0)), Ok(()));
        assert_eq!((grant.iss, grant.sub, grant.cnf), (None, None, None));
        assert_eq!(
            (grant.client_id.as_deref(), grant.aud),
            (Some("partner"), vec!["api".to_owned()])
        );
        assert!(grant.scope.is_empty());
    }

    /// I5.
    #[test]
    fn an_inactive_token_is_nothing_else() {
        for answer in [
            json!({"active": false}),
            json!({"active": false, "exp": 1_900, "scope": null}),
        ] {
            assert_eq!(read(&answer), Ok(Introspected::Inactive), "{answer}");
        }
    }

    /// M39, I11, W11: another confirmation never passes for none.
    #[test]
    fn a_token_bound_to_something_else_is_told_from_an_unbound_one() {
        for cnf in [
            json!(null),
            json!({}),
            json!({"jkt": THUMBPRINT}),
            json!({"x5t#S256": THUMBPRINT, "jkt": THUMBPRINT}),
            json!({"x5t#S256": 1}),
            json!(format!("{{\"x5t#S256\":\"{THUMBPRINT}\"}}")),
        ] {
            let answer = json!({"active": true, "exp": 1_900, "cnf": cnf});
            assert_eq!(read(&answer), Ok(Introspected::BoundOtherwise), "{answer}");
        }
        let typed = |token_type: &str| json!({"active": true, "exp": 1_900, "token_type": token_type});
        assert_eq!(read(&typed("DPoP")), Ok(Introspected::BoundOtherwise));
        assert!(matches!(read(&typed("bearer")), Ok(Introspected::Active(_))));
        let twice = format!(
            r#"{{"active":true,"exp":1900,"cnf":{{"x5t#S256":"{THUMBPRINT}","x5t#S256":"{THUMBPRINT}"}}}}"#
        );
        assert_eq!(
            Introspected::from_json(twice.as_bytes()),
            Ok(Introspected::BoundOtherwise)
        );
    }

    /// P10.
    #[test]
    fn refuses_answers_that_leave_open_what_the_token_is() {
        for answer in [
            "",
            "[]",
            "{}",
            r#"{"active":"true","exp":1900}"#,
            r#"{"active":1,"exp":1900}"#,
            r#"{"active":true}"#,
            r#"{"active":true,"exp":"1900"}"#,
            r#"{"active":true,"exp":-1}"#,
            r#"{"active":true,"exp":1900,"scope":["a"]}"#,
            r#"{"active":true,"exp":1900,"scope":"a  b"}"#,
            r#"{"active":true,"exp":1900,"aud":7}"#,
            r#"{"active":true,"exp":1900,"exp":1901}"#,
            r#"{"active":false,"active":true,"exp":1900}"#,
            r#"{"active":true,"exp":1900,"cnf":{},"cnf":{}}"#,
            r#"{"active":true,"exp":1900} x"#,
        ] {
            assert_eq!(
                Introspected::from_json(answer.as_bytes()),
                Err(MalformedAnswer),
                "{answer}"
            );
        }
    }
}
