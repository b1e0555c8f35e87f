//! An access token the gateway believes: what is known of it, and what of it travels on to the API.
//!
//! An opaque token never travels on. A JWT does, in `Authorization`, be it the one a caller presented or the one an
//! opaque token stands for. Where introspection gives no JWT of the token itself, the API gets no `Authorization`, but
//! what the authorization server said, in fields of which none of a caller's ever gets through:
//!
//! | field | what |
//! |---|---|
//! | `Token-Introspection` | with `introspection-jwt`: the authorization server's signed answer, RFC 9701 |
//! | `Token-Introspection-Client-Id` | with `json`: the client the token was issued to, where the answer names it |
//! | `Token-Introspection-Subject` | with `json`: on whose behalf, where the answer names it |
//! | `Token-Introspection-Scope` | with `json`: the token's scope; empty where it has none |

use std::fmt;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use oauth_core::jwt::VerificationError;
use oauth_core::time::Timestamp;
use oauth_core::token_facts::{Grant, Lifetime, TokenFacts};

use crate::grants::Grants;

const INTROSPECTION: HeaderName = HeaderName::from_static("token-introspection");
const CLIENT_ID: HeaderName = HeaderName::from_static("token-introspection-client-id");
const SUBJECT: HeaderName = HeaderName::from_static("token-introspection-subject");
const SCOPE: HeaderName = HeaderName::from_static("token-introspection-scope");

/// An access token that is believed; `Debug` does not show what travels on, and clones share it.
// Caches hold many: a test of `token_cache` holds its size.
#[derive(Clone)]
pub(crate) struct AcceptedToken {
    grant: Arc<Grant>,
    lifetime: Lifetime,
    told: Told,
}

/// What the API is told of a token, ready to be sent.
#[derive(Clone)]
enum Told {
    /// In `Authorization`.
    Jwt(Arc<str>),
    Fields(Arc<[(HeaderName, HeaderValue)]>),
}

impl AcceptedToken {
    /// A token that travels on as `jwt`; `None` where that is not text fit for a field.
    pub(crate) fn from_jwt(facts: TokenFacts, jwt: &str) -> Option<Self> {
        field_value(jwt)?;
        Some(Self::new(facts, Told::Jwt(jwt.into())))
    }

    /// A token of which the API is told what the authorization server signed; `None` as above.
    pub(crate) fn from_introspection_jwt(facts: TokenFacts, answer: &str) -> Option<Self> {
        Self::from_fields(facts, [(INTROSPECTION, answer.to_owned())])
    }

    /// A token of which the API is told in plain words; `None` as above.
    pub(crate) fn from_json(facts: TokenFacts) -> Option<Self> {
        let grant = &facts.grant;
        let client_id = grant.client_id.clone().map(|client_id| (CLIENT_ID, client_id));
        let subject = grant.sub.clone().map(|subject| (SUBJECT, subject));
        let scope = (SCOPE, grant.scope.to_string());
        Self::from_fields(facts, client_id.into_iter().chain(subject).chain([scope]))
    }

    fn from_fields(
        facts: TokenFacts,
        fields: impl IntoIterator<Item = (HeaderName, String)>,
    ) -> Option<Self> {
        let fields = fields
            .into_iter()
            .map(|(name, value)| Some((name, field_value(&value)?)));
        let told = Told::Fields(fields.collect::<Option<_>>()?);
        Some(Self::new(facts, told))
    }

    fn new(facts: TokenFacts, told: Told) -> Self {
        let TokenFacts { grant, lifetime } = facts;
        Self {
            grant: Arc::new(grant),
            lifetime,
            told,
        }
    }

    /// The same token, its grant held in common with all that have the same.
    pub(crate) fn sharing(self, grants: &Grants) -> Self {
        Self {
            grant: grants.shared(self.grant),
            ..self
        }
    }

    /// What it was issued for.
    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// When it ends.
    pub(crate) const fn expires_at(&self) -> Timestamp {
        self.lifetime.exp
    }

    /// Whether it can be used at `now`: to be asked whenever it is used.
    ///
    /// # Errors
    ///
    /// As [`Lifetime::verify`].
    pub(crate) fn verify_time(&self, now: Timestamp) -> Result<(), VerificationError> {
        self.lifetime.verify(now)
    }

    /// The JWT as which it travels on, where it does.
    pub(crate) fn jwt(&self) -> Option<&str> {
        match &self.told {
            Told::Jwt(jwt) => Some(jwt),
            Told::Fields(_) => None,
        }
    }

    /// Tells the API of the token in fields, where it does not travel on.
    pub(crate) fn tell_api(&self, fields: &mut HeaderMap) {
        if let Told::Fields(told) = &self.told {
            for (name, value) in told.iter() {
                fields.insert(name, value.clone());
            }
        }
    }
}

/// Visible ASCII, with blanks only inside: everything else is read in more than one way, or as something else.
fn field_value(text: &str) -> Option<HeaderValue> {
    if !text.is_ascii() || text.trim() != text {
        return None;
    }
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for AcceptedToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AcceptedToken")
            .field("client_id", &self.grant.client_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use oauth_core::token_facts::Introspected;

    use super::*;

    fn facts(members: &str) -> TokenFacts {
        let answer = format!(r#"{{"active":true,"exp":2000{members}}}"#);
        match Introspected::from_json(answer.as_bytes()).unwrap() {
            Introspected::Active(facts) => facts,
            other => panic!("{other:?}"),
        }
    }

    fn told(token: &AcceptedToken) -> Vec<(String, String)> {
        let mut fields = HeaderMap::new();
        token.tell_api(&mut fields);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        fields
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect()
    }

    #[test]
    fn tells_the_api_what_is_known_and_nothing_else() {
        let token = AcceptedToken::from_json(facts(r#","client_id":"c","sub":"s","scope":"b a""#));
        let field = |name: &HeaderName, value: &str| (name.to_string(), value.to_owned());
        assert_eq!(
            told(&token.unwrap()),
            [field(&CLIENT_ID, "c"), field(&SUBJECT, "s"), field(&SCOPE, "a b")]
        );
        let token = AcceptedToken::from_json(facts("")).unwrap();
        assert_eq!(told(&token), [field(&SCOPE, "")]);
        let token = AcceptedToken::from_introspection_jwt(facts(""), "a.b.c").unwrap();
        assert_eq!(told(&token), [field(&INTROSPECTION, "a.b.c")]);
    }

    #[test]
    fn refuses_what_no_field_can_carry() {
        for members in [
            r#","client_id":"a\nb""#,
            r#","sub":"\u00e4""#,
            r#","sub":"a\u0000""#,
        ] {
            assert!(AcceptedToken::from_json(facts(members)).is_none(), "{members}");
        }
        assert!(AcceptedToken::from_jwt(facts(""), "a\nb").is_none());
    }
}
