//! Whatever we take for an answer, hyper's client takes for the same: a second reader, written by others.

use hyper::client::conn;
use hyper_util::rt::TokioIo;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tokio::runtime::{Builder, Runtime};

use super::*;

/// What hyper's client makes of these bytes.
async fn hypers(method: &Method, pieces: &[&[u8]]) -> Option<Seen> {
    let (gateway, api) = duplex(PIPE);
    let (mut sender, connection) = conn::http1::Builder::new()
        .max_buf_size(response_head::LONGEST)
        .handshake(TokioIo::new(gateway))
        .await
        .unwrap();
    let reading = async {
        let answer = sender.send_request(request(method.clone())).await;
        let seen = Seen::of(answer.ok()?).await;
        drop(sender);
        seen
    };
    let (seen, (), _ended) = tokio::join!(reading, say(api, pieces), connection);
    seen
}

fn part(parts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    select(parts).prop_map(|part| part.as_bytes().to_vec())
}

/// Answers of parts that belong together, nearly, and not at all.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let interim = part(&[
        "",
        "",
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Hints\r\nA: 1\r\n\r\n",
    ]);
    let line = part(&[
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 Own words\r\n",
        "HTTP/1.1 404\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 304 Not Modified\r\n",
        "\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n",
    ]);
    let field = part(&[
        "Content-Length: 4\r\n",
        "Content-Length: 4\r\n",
        "Content-Length: 4, 4\r\n",
        "Content-Length: 04\r\n",
        "Content-Length: 5\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "transfer-encoding:\tChunked \r\n",
        "Connection: close\r\n",
        "A: 1\r\n",
        "a:2\n",
        "B: \u{e4}\r\n",
        "C:\r\n",
    ]);
    let chunk = part(&[
        "4\r\nbody\r\n",
        "4\r\nbody\r\n",
        "1;a=\"b\"\r\nx\r\n",
        "02 \t\r\n{}\r\n",
        "a\r\n0123456789\r\n",
        "A ;x\r\n0123456789\r\n",
        "4\nbody\r\n",
        "4\r\nbody\n",
        "5\r\nbody\r\n",
    ]);
    let end = part(&[
        "",
        "body",
        "0\r\n\r\n",
        "0\r\n\r\n",
        "0\r\na: 1\r\nb: 2\r\n\r\n",
        "00;x\r\n\r\n",
        "0\r\na: 1\n\r\n",
        "0\r\n a: 1\r\n\r\n",
        "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ]);
    let fields = vec(field, 0..4).prop_map(|fields| fields.concat());
    let chunks = vec(chunk, 0..4).prop_map(|chunks| chunks.concat());
    (interim, line, fields, Just(b"\r\n".to_vec()), chunks, end).prop_map(
        |(interim, line, fields, empty, chunks, end)| [interim, line, fields, empty, chunks, end].concat(),
    )
}

/// Bytes put in place of others, here and there.
fn changes() -> impl Strategy<Value = Vec<(Index, Vec<u8>, usize)>> {
    let bytes = prop_oneof![
        part(&[
            "\r", "\n", "\r\n", " ", "\t", ":", ",", ";", "0", "9", "f", "-", "+", "\0", "x"
        ]),
        vec(any::<u8>(), 0..3),
    ];
    vec((any::<Index>(), bytes, 0..3_usize), 0..3)
}

fn changed(mut answer: Vec<u8>, changes: Vec<(Index, Vec<u8>, usize)>) -> Vec<u8> {
    for (place, bytes, replaced) in changes {
        let start = place.index(answer.len() + 1);
        let end = answer.len().min(start + replaced);
        answer.splice(start..end, bytes);
    }
    answer
}

fn pieces<'a>(answer: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(answer.len() + 1)).collect();
    cuts.extend([0, answer.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &answer[cut[0]..cut[1]]).collect()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// Returns whether it is an answer to us.
fn verify(runtime: &Runtime, method: &Method, answer: &[u8], cuts: &[Index]) -> Result<bool, TestCaseError> {
    let pieces = pieces(answer, cuts);
    let read = runtime.block_on(ours(method, &pieces));
    let at_once = runtime.block_on(ours(method, &[answer]));
    prop_assert_eq!(
        &read,
        &at_once,
        "however it is cut: {:?}",
        answer.escape_ascii().to_string()
    );
    if read.is_some() {
        let mut second = runtime.block_on(hypers(method, &pieces));
        // What is to be passed on of lengths is no matter of reading.
        if let Some(seen) = &mut second {
            settle_content_length(&mut seen.fields);
        }
        prop_assert_eq!(&read, &second, "{}", answer.escape_ascii().to_string());
    }
    Ok(read.is_some())
}

/// RFC 9112 §6.3.
#[test]
fn what_is_accepted_is_read_by_hyper_as_the_same() {
    let (runtime, accepted) = (runtime(), std::cell::Cell::new(0));
    let cases = ProptestConfig::with_cases(3000);
    let case = (
        answer(),
        changes(),
        vec(any::<Index>(), 0..5),
        select(&[Method::GET, Method::GET, Method::HEAD]),
    );
    proptest::test_runner::TestRunner::new(cases)
        .run(&case, |(answer, changes, cuts, method)| {
            let is_accepted = verify(&runtime, &method, &changed(answer, changes), &cuts)?;
            accepted.set(accepted.get() + u32::from(is_accepted));
            Ok(())
        })
        .unwrap();
    let accepted = accepted.get();
    assert!(
        (300..2700).contains(&accepted),
        "{accepted} of 3000 are answers: the rest proves nothing"
    );
}
