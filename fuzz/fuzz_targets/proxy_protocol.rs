//! The PROXY header before everything else. Whatever follows it stays unread.
//!
//! What was read is written as one header, which is read as the same; a header that is not one is never passed over.

#![no_main]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use mtls::proxy_protocol::{Ends, ProxyProtocolError, looks_like_a_header, read};

fuzz_target!(|data: &[u8]| {
    let (ends, rest) = read_all(data);
    assert!(data.ends_with(rest));
    let Ok(ends) = ends else { return };
    assert!(looks_like_a_header(data), "nothing else is taken for a header");
    let length = usize::from(u16::from_be_bytes([data[14], data[15]]));
    assert_eq!(
        data.len() - rest.len(),
        16 + length,
        "the header and not a byte more"
    );
    let Some(ends) = ends else { return };
    let written = [ends.header(), rest.to_vec()].concat();
    let (read_anew, rest_anew) = read_all(&written);
    assert_eq!(
        (read_anew.expect("our own header"), rest_anew),
        (Some(ends), rest)
    );
    assert_eq!(ends.source.ip(), ends.source.ip().to_canonical());
});

fn read_all(mut bytes: &[u8]) -> (Result<Option<Ends>, ProxyProtocolError>, &[u8]) {
    let polled = pin!(read(&mut bytes)).poll(&mut Context::from_waker(Waker::noop()));
    match polled {
        Poll::Ready(ends) => (ends, bytes),
        Poll::Pending => unreachable!("the bytes are there at once"),
    }
}
