//! The longest of many prefixes that a path has, found in one step for each of the path's segments.

use std::collections::BTreeMap;

/// Numbers by prefixes of whole segments, each of which starts with `/`; the empty one is every path's.
#[derive(Debug, Default)]
pub(crate) struct PrefixTree {
    number: Option<usize>,
    below: BTreeMap<Vec<u8>, Self>,
}

impl PrefixTree {
    /// Puts `number` at `prefix`.
    pub(crate) fn insert(&mut self, prefix: &str, number: usize) {
        let mut place = self;
        for segment in segments(prefix).skip(1) {
            place = place.below.entry(segment.to_owned()).or_default();
        }
        place.number = Some(number);
    }

    /// The number at the longest prefix of `path`.
    pub(crate) fn find(&self, path: &str) -> Option<usize> {
        let mut segments = segments(path);
        if segments.next() != Some(b"") {
            return None;
        }
        let (mut place, mut found) = (self, self.number);
        for segment in segments {
            let Some(below) = place.below.get(segment) else {
                break;
            };
            (place, found) = (below, below.number.or(found));
        }
        found
    }
}

/// In bytes, since segments are short, and searching a text for a character costs more than going through them.
fn segments(path: &str) -> impl Iterator<Item = &[u8]> {
    path.as_bytes().split(|byte| *byte == b'/')
}
