//! A bounded memory of what was worked out not long ago: each key has one place, and the latest comer of those who share
//! it. It decides nothing, and whoever looks checks that what lies there is what was looked for.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

/// So many places, each free or taken.
pub(crate) struct Places<T>(Box<[Mutex<Option<T>>]>);

impl<T> Places<T> {
    pub(crate) fn so_many(number: usize) -> Self {
        Self((0..number.max(1)).map(|_| Mutex::default()).collect())
    }

    /// The place of everything whose `key` this is; keys are to be as good as random.
    pub(crate) fn of(&self, key: u64) -> MutexGuard<'_, Option<T>> {
        // The remainder is less than the length, and the length is that of something in memory.
        let number = (key % self.0.len() as u64) as usize;
        self.0[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frees every place.
    pub(crate) fn clear(&self) {
        for place in &self.0 {
            place.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

/// The key of a record by its id: the last 62 bits of a version 7 UUID are random.
pub(crate) const fn key_of(id: Uuid) -> u64 {
    id.as_u64_pair().1
}

/// Says nothing of what lies there.
impl<T> fmt::Debug for Places<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Places")
            .field("number", &self.0.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_place_for_keys_that_are_the_same_and_few_in_all() {
        let places = Places::so_many(4);
        *places.of(1) = Some("one");
        *places.of(6) = Some("six");
        assert_eq!((*places.of(1), *places.of(6)), (Some("one"), Some("six")));
        *places.of(5) = Some("five");
        assert_eq!(*places.of(1), Some("five"));
        places.clear();
        assert_eq!((*places.of(5), *places.of(6)), (None, None));
    }
}
