//! Scope: a set of case-sensitive tokens whose order means nothing.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A set of scope tokens; may be empty.
///
/// [RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)
// Each token once, sorted, as it is written: one piece of memory, for caches hold many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope(Box<str>);

impl Scope {
    /// Whether every token of `required` is in this scope.
    pub fn contains_all(&self, required: &Self) -> bool {
        required
            .tokens()
            .all(|required| self.tokens().any(|token| token == required))
    }

    /// The tokens that stand in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let others: BTreeSet<&str> = other.tokens().collect();
        Self::of(self.tokens().filter(|token| others.contains(token)))
    }

    /// Whether there is no token in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens, sorted, separated by single blanks.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tokens, sorted.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    fn of<'a>(tokens: impl Iterator<Item = &'a str>) -> Self {
        let tokens: Vec<&str> = tokens.collect::<BTreeSet<_>>().into_iter().collect();
        Self(tokens.join(" ").into())
    }
}

impl FromStr for Scope {
    type Err = MalformedScope;

    /// Reads tokens separated by single blanks; the empty text is the empty scope.
    fn from_str(text: &str) -> Result<Self, MalformedScope> {
        if text.is_empty() {
            Ok(Self::default())
        } else if text.split(' ').all(is_scope_token) {
            // As a scope writes itself.
            let is_in_order = text.split(' ').is_sorted_by(|one, next| one < next);
            Ok(if is_in_order {
                Self(text.into())
            } else {
                Self::of(text.split(' '))
            })
        } else {
            Err(MalformedScope)
        }
    }
}

/// `1*( %x21 / %x23-5B / %x5D-7E )`, RFC 6749 §3.3.
fn is_scope_token(token: &str) -> bool {
    !token.is_empty()
        && token
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// The text breaks the grammar of `scope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scope tokens are printable ASCII without blank, quote and backslash, separated by single blanks")]
pub struct MalformedScope;

#[cfg(test)]
mod tests {
    use super::*;

    /// O16.
    #[test]
    fn accepts_tokens_in_any_order_and_keeps_their_case() {
        let scope: Scope = "write read".parse().unwrap();
        assert_eq!(scope, "read write".parse().unwrap());
        assert!(scope.contains_all(&"read".parse().unwrap()));
        assert!(!scope.contains_all(&"Read".parse().unwrap()));
    }

    #[test]
    fn is_a_set_whatever_stands_twice_or_nowhere() {
        let scope = |text: &str| text.parse::<Scope>().unwrap();
        assert_eq!(scope("b a b").to_string(), "a b");
        assert_eq!(scope("c a b").intersection(&scope("b d c")), scope("b c"));
        let empty = scope("");
        assert!(empty.is_empty() && empty.tokens().next().is_none() && empty == Scope::default());
        assert!(scope("a").contains_all(&empty) && !empty.contains_all(&scope("a")));
        assert!(!scope("read-all").contains_all(&scope("read")));
    }

    /// O16.
    #[test]
    fn refuses_quotes_backslashes_controls_and_double_blanks() {
        for text in ["a  b", " a", "a ", "a\"b", "a\\b", "a\u{7}", "a\tb", "é"] {
            assert_eq!(text.parse::<Scope>(), Err(MalformedScope), "{text:?}");
        }
    }
}
