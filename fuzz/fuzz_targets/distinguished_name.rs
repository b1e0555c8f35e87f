//! Distinguished names as an operator registers them: two, one on each line.
//!
//! A name that was read matches itself after it was written, and two of them match both ways round.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth_core::distinguished_name::DistinguishedName;

fuzz_target!(|text: &str| {
    let names: Vec<_> = text.splitn(2, '\n').flat_map(DistinguishedName::parse).collect();
    for name in &names {
        verify_written(name);
    }
    if let [one, other] = names.as_slice() {
        assert_eq!(one.matches(other), other.matches(one));
    }
});

fn verify_written(name: &DistinguishedName) {
    let written = name.to_string();
    let read = DistinguishedName::parse(&written)
        .unwrap_or_else(|error| panic!("{written:?} cannot be read back: {error}"));
    assert!(name.matches(&read), "{written:?}");
    assert_eq!(read.to_string(), written);
}
