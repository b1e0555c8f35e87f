//! The first bytes of a connection to the gateway. The first byte says how they are cut into segments.
//!
//! However they are cut, the server name is the same one, and every byte read is kept for an upstream.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((cut, bytes)) = data.split_first() else {
        return;
    };
    let whole = gateway::fuzzing::client_hello(&[bytes]);
    if let Ok((name, received)) = &whole {
        assert!(
            bytes.starts_with(received) && received.first() == Some(&22),
            "a handshake record"
        );
        if let Some(name) = name {
            verify_name(name, bytes);
        }
    }
    let segments: Vec<&[u8]> = bytes.chunks(usize::from(*cut) + 1).collect();
    let segmented = gateway::fuzzing::client_hello(&segments);
    if let (Ok((name, _)), Ok((other_name, received))) = (&whole, &segmented) {
        assert_eq!(name, other_name);
        assert!(bytes.starts_with(received));
    }
    assert!(
        segmented.is_ok() || whole.is_err(),
        "{whole:?} whole, {segmented:?} in segments"
    );
});

fn verify_name(name: &str, bytes: &[u8]) {
    let stands_there = bytes
        .windows(name.len())
        .any(|window| window.eq_ignore_ascii_case(name.as_bytes()));
    // A name may lie across two records.
    assert!(
        stands_there || bytes.iter().filter(|byte| **byte == 22).count() > 1,
        "{name}"
    );
    if let Some(host) = gateway::fuzzing::host_name(name) {
        assert!(host.eq_ignore_ascii_case(name));
    }
}
