//! What was answered to introspections not long ago: an answer about the very same facts, under the same key, is the
//! same, and is neither written nor signed again.
//!
//! Whether a token is active, for whom, and until when, is decided with every request before anybody looks here. Held
//! in memory alone; of JWTs it holds what every gateway that asked holds as well, and only those bound to a certificate.

use std::sync::Arc;

use bytes::Bytes;
use oauth_core::access_token::TokenRecord;

use crate::places::{Places, key_of};

/// Bounds the memory, as a rule to 32 MiB of JWTs signed ES256, 42 MiB where an RSA key of 2048 bits signs.
const MOST_REMEMBERED: usize = 1 << 15;
/// A longer one, of a client with a long scope, is made anew each time. Its record is shorter than the answer is.
const LONGEST_REMEMBERED: usize = 2 * 1024;

/// Answers by what they were made of.
#[derive(Debug)]
pub(crate) struct Answers(Places<Answer>);

struct Answer {
    record: Arc<TokenRecord>,
    /// Whose signature it has; none has an empty id.
    key_id: Box<str>,
    body: Bytes,
}

impl Default for Answers {
    fn default() -> Self {
        Self(Places::so_many(MOST_REMEMBERED))
    }
}

impl Answers {
    /// The answer that says of a token what stands in `record`, signed with the key of that id, or not signed where it
    /// is empty: the remembered one, or a new one by `make`.
    pub(crate) fn get_or_make<E>(
        &self,
        record: &Arc<TokenRecord>,
        key_id: &str,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Bytes, E> {
        // Signed or not, and with a narrower scope: whoever asks for several finds them all, as a rule.
        let form = record.scope.as_str().len() as u64 * 2 + u64::from(key_id.is_empty());
        let place = key_of(record.id).wrapping_add(form);
        let remembered = self.0.of(place);
        if let Some(answer) = remembered.as_ref().filter(|answer| answer.is_of(record, key_id)) {
            return Ok(answer.body.clone());
        }
        drop(remembered);
        let mut body = make()?;
        body.shrink_to_fit();
        let body = Bytes::from(body);
        // Whoever got hold of a JWT that is bound to nothing could use it.
        let is_harmless = record.confirmation.is_some() || key_id.is_empty();
        if !is_harmless || body.len() > LONGEST_REMEMBERED {
            return Ok(body);
        }
        *self.0.of(place) = Some(Answer {
            record: Arc::clone(record),
            key_id: key_id.into(),
            body: body.clone(),
        });
        Ok(body)
    }
}

impl Answer {
    fn is_of(&self, record: &Arc<TokenRecord>, key_id: &str) -> bool {
        // The same record is equal to itself; comparing all of it is for one that was read anew.
        (Arc::ptr_eq(&self.record, record) || self.record == *record) && *self.key_id == *key_id
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::token_store::tests::record_issued_at;

    fn text(text: &str) -> impl FnOnce() -> Result<Vec<u8>, Infallible> {
        move || Ok(text.into())
    }

    #[test]
    fn makes_the_same_answer_once() {
        let (answers, record) = (Answers::default(), Arc::new(record_issued_at(1)));
        let Ok(first) = answers.get_or_make(&record, "key", text("first"));
        let read_again = Arc::new(TokenRecord::clone(&record));
        for record in [record, read_again] {
            let Ok(again) = answers.get_or_make(&record, "key", text("second"));
            assert_eq!(again, first);
        }
    }

    #[test]
    fn makes_another_answer_of_another_record_and_under_another_key() {
        let (answers, record) = (Answers::default(), Arc::new(record_issued_at(1)));
        let narrowed = Arc::new(TokenRecord {
            scope: "less".parse().unwrap(),
            ..TokenRecord::clone(&record)
        });
        let Ok(_) = answers.get_or_make(&record, "key", text("first"));
        for (record, key_id) in [(&narrowed, "key"), (&record, "other"), (&record, "")] {
            let Ok(other) = answers.get_or_make(record, key_id, text("other"));
            assert_eq!(other, "other");
        }
        let Ok(unsigned) = answers.get_or_make(&record, "", text("again"));
        assert_eq!(unsigned, "other");
    }

    #[test]
    fn remembers_neither_a_jwt_that_is_not_bound_nor_a_long_answer() {
        let answers = Answers::default();
        let bound = Arc::new(record_issued_at(1));
        let unbound = Arc::new(TokenRecord {
            confirmation: None,
            ..TokenRecord::clone(&bound)
        });
        let long = "x".repeat(LONGEST_REMEMBERED + 1);
        for (record, key_id, first, expected) in [
            (&unbound, "key", "first", "again"),
            (&unbound, "", "first", "first"),
            (&bound, "key", &long, "again"),
            (&bound, "other", &long[1..], &long[1..]),
        ] {
            let Ok(_) = answers.get_or_make(record, key_id, text(first));
            let Ok(again) = answers.get_or_make(record, key_id, text("again"));
            assert_eq!(again, expected);
        }
    }

    #[test]
    fn remembers_no_failure() {
        let (answers, record) = (Answers::default(), Arc::new(record_issued_at(1)));
        assert_eq!(
            answers.get_or_make(&record, "key", || Err("failed")),
            Err("failed")
        );
        let Ok(body) = answers.get_or_make(&record, "key", text("body"));
        assert_eq!(body, "body");
    }
}
