//! Answers of APIs over HTTP/1.1, cut into pieces. The first byte says where, and whether `HEAD` was asked.
//!
//! However an answer is cut it is read as the same; its body is as long as it says, and of lengths one is passed on that
//! is a number; nothing follows an answer on its connection that says two things about its end.

#![no_main]

use gateway::fuzzing::{Answer, upstream_answer};
use http::Method;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((how, answer)) = data.split_first() else {
        return;
    };
    let method = if how & 1 == 0 { Method::GET } else { Method::HEAD };
    let length = usize::from(how >> 1).max(1);
    let pieces: Vec<&[u8]> = answer.chunks(length).collect();
    let cut = upstream_answer(method.clone(), &pieces);
    let whole = upstream_answer(method.clone(), &[answer]);
    // Whether it is kept hangs on what has come by then.
    let without_end = |answer: &Answer| Answer {
        is_kept: false,
        ..answer.clone()
    };
    assert_eq!(cut.as_ref().map(without_end), whole.as_ref().map(without_end));
    if let Some(answer) = whole {
        verify(&method, &answer);
    }
});

fn verify(method: &Method, answer: &Answer) {
    let values = |name: &str| {
        let values = answer.fields.get_all(name).iter();
        values.map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    let is_bodiless = method == Method::HEAD || matches!(answer.status, 204 | 304);
    assert!(lengths.len() <= 1);
    assert!(lengths.iter().flatten().all(u8::is_ascii_digit));
    if is_bodiless {
        // Whatever it says of one.
        assert!(answer.body.is_empty());
    } else {
        assert!(codings.len() <= 1);
        assert!(
            codings
                .iter()
                .all(|coding| coding.eq_ignore_ascii_case(b"chunked"))
        );
        if let ([length], []) = (&lengths[..], &codings[..]) {
            let digits = str::from_utf8(length).expect("digits are ASCII");
            assert_eq!(digits.parse(), Ok(answer.body.len()));
        }
        assert!(answer.trailers.is_none() || !codings.is_empty());
    }
    if answer.is_kept {
        let is_delimited = match is_bodiless {
            true => codings.is_empty(),
            false => lengths.is_empty() != codings.is_empty(),
        };
        assert!(
            is_delimited,
            "nothing follows where the end is not known for certain"
        );
        let closes = values("connection").concat().to_ascii_lowercase();
        assert_ne!(closes, b"close");
    }
}
