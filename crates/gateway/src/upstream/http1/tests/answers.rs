//! Where an answer ends, rule by rule: each that is refused beside one that is not.

use super::*;

async fn read(method: Method, answer: &str) -> Option<Seen> {
    ours(&method, &[answer.as_bytes()]).await
}

async fn body_of(answer: &str) -> Option<String> {
    let seen = read(Method::GET, answer).await?;
    Some(String::from_utf8(seen.body).unwrap())
}

fn with(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}")
}

/// RFC 9112 §6.3, 5 and 6.
#[tokio::test]
async fn a_length_is_one_number_in_digits() {
    for fields in [
        "Content-Length: 2\r\n",
        "Content-Length: 02\r\n",
        "Content-Length: 2\r\nContent-Length: 2\r\n",
        "Content-Length: 2, 2\r\n",
    ] {
        assert_eq!(
            body_of(&with(fields, "{}")).await.as_deref(),
            Some("{}"),
            "{fields}"
        );
    }
    for fields in [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2, 3\r\n",
        "Content-Length: 2,\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: -2\r\n",
        "Content-Length: 0x2\r\n",
        "Content-Length: 2.0\r\n",
        "Content-Length: 2 2\r\n",
        "Content-Length:\r\n",
        "Content-Length: \u{662}\r\n",
        "Content-Length: 18446744073709551618\r\n",
        "Content-Length: 18446744073709551615\r\n",
        "Content-Length: 2\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n",
    ] {
        assert_eq!(body_of(&with(fields, "{}")).await, None, "{fields}");
    }
}

/// RFC 9110 §8.6: where there is no body, a bad length does no harm here, and would to the caller.
#[tokio::test]
async fn of_lengths_one_goes_on_that_is_a_number_or_none() {
    for (lengths, passed_on) in [
        (&["2"][..], &["2"][..]),
        (&["02"], &["02"]),
        (&["2, 2"], &["2"]),
        (&["2", "2"], &["2"]),
        (&[], &[]),
        (&["2, 3"], &[]),
        (&["2", "3"], &[]),
        (&["x"], &[]),
        (&[""], &[]),
    ] {
        let lengths: String = lengths
            .iter()
            .map(|length| format!("Content-Length: {length}\r\n"))
            .collect();
        for (method, status, body) in [
            (Method::GET, "200 OK", "{}"),
            (Method::HEAD, "200 OK", ""),
            (Method::GET, "304 Not Modified", ""),
        ] {
            let answer = format!("HTTP/1.1 {status}\r\n{lengths}\r\n{body}");
            let Some(seen) = read(method.clone(), &answer).await else {
                assert!(!body.is_empty() && passed_on.is_empty(), "{method} {answer:?}");
                continue;
            };
            let fields = seen.fields.get_all("content-length").iter();
            assert!(fields.eq(passed_on), "{method} {answer:?} {:?}", seen.fields);
        }
    }
}

/// RFC 9112 §6.1, §6.3, 3 and 4.
#[tokio::test]
async fn the_one_coding_is_chunked() {
    const CHUNKS: &str = "2\r\n{}\r\n0\r\n\r\n";
    for fields in [
        "Transfer-Encoding: chunked\r\n",
        "transfer-encoding:CHUNKED \r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
    ] {
        assert_eq!(
            body_of(&with(fields, CHUNKS)).await.as_deref(),
            Some("{}"),
            "{fields}"
        );
    }
    for fields in [
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, gzip\r\nContent-Length: 14\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding:\r\nContent-Length: 2\r\n",
    ] {
        assert_eq!(body_of(&with(fields, CHUNKS)).await, None, "{fields}");
    }
    let old = format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKS}");
    assert_eq!(body_of(&old).await, None);
}

/// RFC 9112 §7.1.
#[tokio::test]
async fn chunks_are_told_apart_in_one_way() {
    let long = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(16 * 1024));
    let trailers: String = (0..101).map(|number| format!("a{number}: 1\r\n")).collect();
    let (many, large) = (
        format!("0\r\n{trailers}\r\n"),
        format!("0\r\na: {}\r\n\r\n", "x".repeat(16 * 1024)),
    );
    let read = async |chunks: &str| body_of(&with("Transfer-Encoding: chunked\r\n", chunks)).await;
    for chunks in [
        "2\r\n{}\r\n0\r\n\r\n",
        "1\r\n{\r\n1\r\n}\r\n000\r\n\r\n",
        "0000000000000002\r\n{}\r\n0\r\n\r\n",
        "2;name=value;other=\"quoted\"\r\n{}\r\n0;last\r\n\r\n",
        "2 \t\r\n{}\r\n0 ;last\r\n\r\n",
        "2\r\n{}\r\n0\r\nchecksum: 1\r\n\r\n",
    ] {
        assert_eq!(read(chunks).await.as_deref(), Some("{}"), "{chunks:?}");
    }
    // Some servers fill the size up with blanks, each time.
    let padded = "1     \r\nx\r\n".repeat(4000) + "0\r\n\r\n";
    assert_eq!(read(&padded).await.as_deref(), Some("x".repeat(4000).as_str()));
    for chunks in [
        "",
        "2\r\n{}\r\n",
        "2\r\n{}\r\n0\r\n",
        "2\r\n{}\r\n0\r\n\r",
        "3\r\n{}\r\n0\r\n\r\n",
        "1\r\n{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}\r\n0\n\r\n",
        "2\r\n{}\r\n0\r\n\n",
        "\r\n2\r\n{}\r\n0\r\n\r\n",
        " 2\r\n{}\r\n0\r\n\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "2\u{b}\r\n{}\r\n0\r\n\r\n",
        "2 name\r\n{}\r\n0\r\n\r\n",
        "2;a\rb\r\n{}\r\n0\r\n\r\n",
        "2\r\r\n{}\r\n0\r\n\r\n",
        ";name\r\n{}\r\n0\r\n\r\n",
        "00000000000000002\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}\r\n0\r\nchecksum 1\r\n\r\n",
        "2\r\n{}\r\n0\r\nchecksum: 1\n\r\n",
        "2\r\n{}\r\n0\r\nchecksum: 1\n\n",
        "2\r\n{}\r\n0\r\na: 1\r\n folded\r\n\r\n",
        "2\r\n{}\r\n0\r\na: \u{1}\r\n\r\n",
        &long,
        &many,
        &large,
    ] {
        assert_eq!(read(chunks).await, None, "{chunks:?}");
    }
}

#[tokio::test]
async fn trailers_are_read() {
    let answer = with(
        "Transfer-Encoding: chunked\r\n",
        "2\r\n{}\r\n0\r\na: 1\r\nB: 2\r\na: 3\r\n\r\n",
    );
    let trailers = read(Method::GET, &answer).await.unwrap().trailers.unwrap();
    let all: Vec<_> = trailers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    assert_eq!(all, [("a", &b"1"[..]), ("a", b"3"), ("b", b"2")]);
}

/// RFC 9112 §6.3, 8.
#[tokio::test]
async fn a_body_breaks_off_where_its_end_is_known_and_not_reached() {
    assert_eq!(body_of(&with("", "{}")).await.as_deref(), Some("{}"));
    assert_eq!(body_of("HTTP/1.0 200 OK\r\n\r\n{}").await.as_deref(), Some("{}"));
    assert_eq!(body_of(&with("Content-Length: 3\r\n", "{}")).await, None);
    assert_eq!(body_of(&with("Content-Length: 3\r\n", "")).await, None);
}

/// RFC 9112 §6.3, 1.
#[tokio::test]
async fn some_answers_have_no_body_whatever_they_say() {
    for (method, status) in [
        (Method::HEAD, "200 OK"),
        (Method::GET, "204 No Content"),
        (Method::GET, "304 Not Modified"),
    ] {
        for fields in ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
            let seen = read(method.clone(), &format!("HTTP/1.1 {status}\r\n{fields}\r\n")).await;
            assert_eq!(seen.unwrap().body, b"", "{method} {status} {fields}");
        }
    }
}

/// RFC 9112 §2.2, §4, §5.
#[tokio::test]
async fn a_head_is_one_of_http_1() {
    let fields: String = (0..99).map(|number| format!("a{number}: 1\r\n")).collect();
    let long = |length| {
        with(
            &format!("Content-Length: 2\r\na: {}\r\n", "x".repeat(length)),
            "{}",
        )
    };
    for answer in [
        with("Content-Length: 2\r\n", "{}"),
        with("Content-Length: 2\r\nA:\r\nb:\tx \r\n", "{}"),
        with(&format!("{fields}Content-Length: 2\r\n"), "{}"),
        "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        "HTTP/1.1 599 Own words\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        long(60 * 1024),
    ] {
        assert_eq!(body_of(&answer).await.as_deref(), Some("{}"), "{answer:?}");
    }
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        "HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\n Content-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nA: 1\rContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nA: \0\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 2\r\n\r\n{}",
        &with(&format!("{fields}b: 1\r\nContent-Length: 2\r\n"), "{}"),
        &long(70 * 1024),
    ] {
        assert_eq!(body_of(answer).await, None, "{answer:?}");
    }
}

/// RFC 9110 §15.2.
#[tokio::test]
async fn interim_answers_are_passed_over_and_do_not_go_on_for_ever() {
    let after = |interim: &str, times| interim.repeat(times) + &with("Content-Length: 2\r\n", "{}");
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 7\r\n\r\n",
    ] {
        let seen = read(Method::GET, &after(interim, 32)).await.unwrap();
        assert_eq!(
            (seen.body.as_slice(), seen.fields.len()),
            (&b"{}"[..], 1),
            "{interim}"
        );
        assert_eq!(body_of(&after(interim, 33)).await, None, "{interim}");
    }
    let switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    assert_eq!(body_of(&after(switching, 1)).await, None);
}

/// RFC 9112 §9.3.
#[tokio::test]
async fn a_connection_is_kept_only_where_nothing_can_be_left_on_it() {
    const GET: Method = Method::GET;
    for (method, answer) in [
        (GET, with("Content-Length: 2\r\n", "{}")),
        (GET, with("Content-Length: 0\r\n", "")),
        (GET, with("Connection: keep-alive\r\nContent-Length: 0\r\n", "")),
        (
            GET,
            with("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
        ),
        (GET, with("Transfer-Encoding: chunked\r\n", "0\r\na: 1\r\n\r\n")),
        (GET, "HTTP/1.1 204 No Content\r\n\r\n".to_owned()),
        (
            GET,
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_owned(),
        ),
        (Method::HEAD, with("Content-Length: 5\r\n", "")),
    ] {
        assert!(is_kept(method, &answer).await, "{answer:?}");
    }
    for (method, answer) in [
        (GET, with("Content-Length: 2\r\n", "{}{")),
        (GET, with("Content-Length: 0\r\n", "\r\n")),
        (GET, with("Transfer-Encoding: chunked\r\n", "0\r\n\r\nH")),
        (
            GET,
            with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
        ),
        (GET, with("Connection: close\r\nContent-Length: 0\r\n", "")),
        (
            GET,
            with("Connection: keep-alive, Close\r\nContent-Length: 0\r\n", ""),
        ),
        (
            GET,
            with(
                "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 0\r\n",
                "",
            ),
        ),
        (GET, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()),
        (
            GET,
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ),
        (
            GET,
            "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n".to_owned(),
        ),
        (
            GET,
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        ),
        (Method::HEAD, with("Transfer-Encoding: chunked\r\n", "")),
        (Method::HEAD, with("Content-Length: x\r\n", "")),
        (
            GET,
            "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
        ),
        (Method::HEAD, with("Content-Length: 1\r\n", "x")),
    ] {
        assert!(!is_kept(method, &answer).await, "{answer:?}");
    }
}
