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
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use oauth_core::time::Timestamp;
use oauth_core::token_facts::TokenFacts;

const INTROSPECTION: HeaderName = HeaderName::from_static("token-introspection");
const CLIENT_ID: HeaderName = HeaderName::from_static("token-introspection-client-id");
const SUBJECT: HeaderName = HeaderName::from_static("token-introspection-subject");
const SCOPE: HeaderName = HeaderName::from_static("token-introspection-scope");

/// An access token that is believed; `Debug` does not show what travels on.
pub(crate) struct AcceptedToken {
    facts: TokenFacts,
    // One, as a rule: a map would be larger than all else.
    fields: Box<[(HeaderName, HeaderValue)]>,
    max_age: Option<Duration>,
}

impl AcceptedToken {
    /// A token that travels on as `jwt`; `None` where that is not text fit for a field.
    pub(crate) fn traveling_as_jwt(facts: TokenFacts, jwt: &str) -> Option<Self> {
        Self::with(facts, [(AUTHORIZATION, format!("Bearer {jwt}"))])
    }

    /// A token of which the API is told what the authorization server signed; `None` as above.
    pub(crate) fn traveling_as_answer(facts: TokenFacts, answer: &str) -> Option<Self> {
        Self::with(facts, [(INTROSPECTION, answer.to_owned())])
    }

    /// A token of which the API is told in plain words; `None` as above.
    pub(crate) fn traveling_in_words(facts: TokenFacts) -> Option<Self> {
        let client_id = facts.client_id.clone().map(|client_id| (CLIENT_ID, client_id));
        let subject = facts.sub.clone().map(|subject| (SUBJECT, subject));
        let scope = (SCOPE, facts.scope.to_string());
        Self::with(facts, client_id.into_iter().chain(subject).chain([scope]))
    }

    fn with(facts: TokenFacts, fields: impl IntoIterator<Item = (HeaderName, String)>) -> Option<Self> {
        let fields = fields
            .into_iter()
            .map(|(name, value)| Some((name, field_value(&value)?)));
        Some(Self {
            facts,
            fields: fields.collect::<Option<_>>()?,
            max_age: None,
        })
    }

    /// The token, for as long as the answer that told of it may be kept: `None` where it does not say.
    pub(crate) fn kept_at_most(self, max_age: Option<Duration>) -> Self {
        Self { max_age, ..self }
    }

    /// What is known of the token. Times are to be verified again whenever it is used.
    pub(crate) const fn facts(&self) -> &TokenFacts {
        &self.facts
    }

    /// Tells the API of the token.
    pub(crate) fn tell_api(&self, fields: &mut HeaderMap) {
        for (name, value) in self.fields.iter() {
            fields.insert(name, value.clone());
        }
    }

    /// For how long from `now` the token may be remembered: as long as `most`, the answer and the token all allow.
    ///
    /// RFC 7662 §4
    pub(crate) fn kept_for(&self, most: Duration, now: Timestamp) -> Duration {
        self.max_age
            .unwrap_or(most)
            .min(most)
            .min(now.until(self.facts.exp))
    }

    /// Whether the answer that told of it may be kept at all.
    pub(crate) fn may_be_kept(&self) -> bool {
        self.max_age != Some(Duration::ZERO)
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
            .field("client_id", &self.facts.client_id)
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
        let token = AcceptedToken::traveling_in_words(facts(r#","client_id":"c","sub":"s","scope":"b a""#));
        let field = |name: &HeaderName, value: &str| (name.to_string(), value.to_owned());
        assert_eq!(
            told(&token.unwrap()),
            [field(&CLIENT_ID, "c"), field(&SUBJECT, "s"), field(&SCOPE, "a b")]
        );
        let token = AcceptedToken::traveling_in_words(facts("")).unwrap();
        assert_eq!(told(&token), [field(&SCOPE, "")]);
        let token = AcceptedToken::traveling_as_answer(facts(""), "a.b.c").unwrap();
        assert_eq!(told(&token), [field(&INTROSPECTION, "a.b.c")]);
    }

    #[test]
    fn refuses_what_no_field_can_carry() {
        for members in [
            r#","client_id":"a\nb""#,
            r#","sub":"\u00e4""#,
            r#","sub":"a\u0000""#,
        ] {
            assert!(
                AcceptedToken::traveling_in_words(facts(members)).is_none(),
                "{members}"
            );
        }
        assert!(AcceptedToken::traveling_as_jwt(facts(""), "a\nb").is_none());
    }

    /// I12.
    #[test]
    fn is_kept_as_long_as_policy_answer_and_expiry_allow() {
        let (now, seconds) = (Timestamp::from_unix_seconds(1_900), Duration::from_secs);
        let token = |max_age: Option<u64>| {
            let token = AcceptedToken::traveling_in_words(facts("")).unwrap();
            token.kept_at_most(max_age.map(seconds))
        };
        assert_eq!(token(None).kept_for(seconds(60), now), seconds(60));
        assert_eq!(token(Some(30)).kept_for(seconds(60), now), seconds(30));
        assert_eq!(token(Some(300)).kept_for(seconds(600), now), seconds(100));
        assert_eq!(
            token(None).kept_for(seconds(60), now.plus(seconds(100))),
            seconds(0)
        );
        assert!(token(None).may_be_kept() && token(Some(1)).may_be_kept() && !token(Some(0)).may_be_kept());
    }
}
