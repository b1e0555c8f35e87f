//! The connections to the APIs: kept, shared, renewed, and never the cause of a request sent twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http2::SendRequest;
use pki::Member;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::support::{
    API, Api, DEADLINE, Harness, Variation, connect_http2, harness, read_request, reason_of, serve,
    serve_http2, with_token,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

#[tokio::test]
async fn keeps_a_connection_for_the_requests_to_come() {
    let (address, connections) = serve(|mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let harness = harness(Api::At(address), "").await;
    for _ in 0..3 {
        assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_its_server_closed_is_replaced_and_no_caller_notices() {
    let (address, connections) = serve(|mut stream| async move {
        if read_request(&mut stream).await.is_some() {
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let harness = harness(Api::At(address), "").await;
    for _ in 0..20 {
        assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn a_request_that_was_sent_is_not_sent_again() {
    let requests = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&requests);
    let (address, _) = serve(move |mut stream| {
        let counter = Arc::clone(&counter);
        async move {
            while read_request(&mut stream).await.is_some() {
                if counter.fetch_add(1, Ordering::SeqCst) > 0 {
                    return;
                }
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let harness = harness(Api::At(address), "").await;
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 502);
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn speaks_http_2_to_servers_that_offer_it_unless_the_route_says_otherwise() {
    for (route, version) in [("", "HTTP/2.0"), ("upstream_http2 = false", "HTTP/1.1")] {
        let harness = harness(Api::Up, route).await;
        for _ in 0..2 {
            let answered = harness.call(Member::Example, "opaque").await;
            assert_eq!(answered.status, 200, "{answered:?}");
            assert_eq!(answered.json()["version"], version);
            let has_host = !answered.forwarded("host").is_empty();
            assert_eq!(has_host, version == "HTTP/1.1", "{answered:?}");
        }
    }
}

#[tokio::test]
async fn connects_anew_once_the_certificate_it_shows_was_read_again() {
    for route in ["", "upstream_http2 = false"] {
        let harness = harness(Api::Up, route).await;
        let peer = async || {
            let answered = harness.call(Member::Example, "opaque").await;
            answered.json()["peer"].as_str().unwrap().to_owned()
        };
        let first = peer().await;
        assert_eq!(peer().await, first);
        harness.reload();
        assert_ne!(peer().await, first);
    }
}

#[tokio::test]
async fn waits_for_an_answer_as_long_as_the_route_says() {
    let (address, _) =
        serve(|mut stream| async move { while read_request(&mut stream).await.is_some() {} }).await;
    let harness = harness(Api::At(address), "answer_timeout = \"100ms\"").await;
    let answered = harness.call(Member::Example, "opaque").await;
    assert_eq!(answered.status, 504);
    assert_eq!(answered.json()["error"], "gateway_timeout");
}

/// The twin: here it is the caller who is waited for.
#[tokio::test]
async fn waits_for_a_body_as_long_as_the_route_says() {
    let (address, _) =
        serve(|mut stream| async move { while read_request(&mut stream).await.is_some() {} }).await;
    let harness = harness(Api::At(address), "answer_timeout = \"100ms\"").await;
    let request = with_token("POST /api", "opaque", "Content-Length: 100\n");
    let answered = harness.exchange(Member::Example, &request).await;
    assert_eq!(answered.status, 408);
    assert_eq!(reason_of(&answered), "request_body_timeout");
}

/// Over HTTP/2, so that a thousand requests need few connections.
#[tokio::test]
async fn a_route_with_its_fill_of_a_server_is_busy_and_no_other_is() {
    const STREAMS: u32 = 100;
    let (api, arrived) = serve_http2(Vec::new()).await;
    let harness = harness(api, "").await;
    let uri = format!("https://{API}/api");
    let ask = async |caller: &mut SendRequest<_>| {
        let request = Request::get(&uri).header("authorization", "Bearer opaque");
        caller.ready().await.unwrap();
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        tokio::spawn(caller.send_request(request));
    };
    let arrive = async |requests| {
        timeout(DEADLINE, arrived.acquire_many(requests))
            .await
            .unwrap()
            .unwrap()
            .forget()
    };
    for _ in 0..10 {
        let mut caller = connect_http2(harness.public).await;
        // The first opens the connection that the others take.
        for requests in [1, STREAMS - 1] {
            for _ in 0..requests {
                ask(&mut caller).await;
            }
            arrive(requests).await;
        }
    }
    let answered = harness.call(Member::Example, "opaque").await;
    assert_eq!(answered.status, 503);
    assert_eq!(reason_of(&answered), "upstream_busy");
    let others = harness.call_at("/both", Member::Example, "opaque");
    tokio::select! {
        answered = others => panic!("{answered:?}"),
        () = arrive(1) => {}
    }
}

/// RFC 9112 §8: over both protocols, and for both kinds of body.
#[tokio::test]
async fn a_body_that_its_caller_breaks_off_is_not_the_apis_fault() {
    let harness = harness(Api::Up, "").await;
    let http1 = |text: &str| text.replace("path = \"/both\"\n", "path = \"/both\"\nupstream_http2 = false\n");
    harness.reconfigure(http1);
    for path in ["/api", "/both"] {
        for (last, status) in [("0\n\n", 200), ("no chunk\n\n", 400)] {
            let request = with_token(&format!("POST {path}"), "opaque", "Transfer-Encoding: chunked\n");
            let answered = harness
                .exchange(Member::Example, &(request + "4\nbody\n" + last))
                .await;
            assert_eq!(answered.status, status, "{path} {answered:?}");
            if status != 200 {
                assert_eq!(reason_of(&answered), "request_body_incomplete", "{path}");
            }
        }
    }
}

/// The twin: whoever breaks off while the body is awaited is the one at fault.
#[tokio::test]
async fn an_api_that_breaks_off_while_a_body_is_awaited_is_the_one_that_failed() {
    let (address, _) = serve(|mut stream| async move {
        read_request(&mut stream).await;
    })
    .await;
    let harness = harness(Api::At(address), "").await;
    let request = with_token("POST /api", "opaque", "Content-Length: 100\n");
    let answered = harness.exchange(Member::Example, &request).await;
    assert_eq!(answered.status, 502, "{answered:?}");
    assert_eq!(reason_of(&answered), "upstream_failed");
}

/// It is there, and another request, or another route's, may be answered in time.
#[tokio::test]
async fn a_server_that_does_not_answer_in_time_is_not_left_alone() {
    let (silent, _) =
        serve(|mut stream| async move { while read_request(&mut stream).await.is_some() {} }).await;
    let (prompt, _) = serve(|mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let harness = harness(Api::At(silent), "answer_timeout = \"500ms\"").await;
    let both = format!("upstream = [\"http://{silent}\", \"http://{prompt}\"]");
    harness.reconfigure(|text| text.replace(&format!("upstream = [\"http://{silent}\"]"), &both));
    for status in [504, 200, 504, 200] {
        assert_eq!(harness.call(Member::Example, "opaque").await.status, status);
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_502_and_nobody_elses_fault() {
    for garbage in [
        "no HTTP\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ] {
        let (address, _) = serve(move |mut stream| async move {
            read_request(&mut stream).await;
            stream.write_all(garbage.as_bytes()).await.unwrap();
        })
        .await;
        let harness = harness(Api::At(address), "").await;
        let answered = harness.call(Member::Example, "opaque").await;
        assert_eq!(answered.status, 502, "{garbage:?}");
        let foreign = harness.call(Member::Example, "unknown").await;
        assert_eq!(foreign.status, 401);
    }
}

/// With four workers, sixteen connections are hardly ever one worker's.
#[tokio::test]
async fn a_shutdown_lets_every_worker_finish_the_requests_in_hand() {
    let (arrived, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (at_api, released) = (Arc::clone(&arrived), Arc::clone(&release));
    let (address, _) = serve(move |mut stream| {
        let (at_api, released) = (Arc::clone(&at_api), Arc::clone(&released));
        async move {
            while read_request(&mut stream).await.is_some() {
                at_api.add_permits(1);
                released.acquire().await.unwrap().forget();
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let mut harness = Harness::start_with(Variation {
        api: Api::At(address),
        workers: 4,
        ..Variation::default()
    })
    .await;
    harness.stubs.issue("opaque", Member::Example);
    let calls = join_all((0..16).map(|_| harness.call(Member::Example, "opaque")));
    let shutdown = async {
        arrived.acquire_many(16).await.unwrap().forget();
        harness.shutdown.trigger();
        release.add_permits(16);
    };
    let (answers, ()) = tokio::join!(calls, shutdown);
    assert!(
        answers.iter().all(|answered| answered.status == 200),
        "{answers:?}"
    );
    timeout(DEADLINE, harness.finished()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_closes_every_connection_at_once_is_tried_once_for_each_request() {
    let (address, connections) = serve(|stream| async move { drop(stream) }).await;
    let harness = harness(Api::At(address), "").await;
    for _ in 0..3 {
        let answered = harness.call(Member::Example, "opaque").await;
        // Whether the end is seen before the request is written is a race.
        assert!(matches!(answered.status, 502 | 503), "{answered:?}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

/// What follows a request whose body is still under way would be taken for more of that body, and an answer that nobody
/// asked for would be the next caller's.
#[tokio::test]
async fn no_request_follows_one_that_is_not_over_or_an_answer_that_is_more_than_one() {
    const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    let answers = [OK.to_owned(), format!("{OK}{OK}"), format!("{SWITCHED}{OK}")];
    for (answer, status) in answers.into_iter().zip([200, 200, 502]) {
        let heads = Arc::<AtomicUsize>::default();
        let (counter, early) = (Arc::clone(&heads), answer.clone());
        let (address, connections) = serve(move |mut stream| {
            let (counter, early) = (Arc::clone(&counter), early.clone());
            async move {
                while let Some(request) = read_request(&mut stream).await {
                    assert!(request.starts_with("POST /api/"), "{request}");
                    counter.fetch_add(1, Ordering::SeqCst);
                    stream.write_all(early.as_bytes()).await.unwrap();
                }
            }
        })
        .await;
        let harness = harness(Api::At(address), "").await;
        // A body of which not a byte comes, unless the answer is what is wrong.
        let length = if answer == OK { 100 } else { 0 };
        let request = format!(
            "POST /api/transactions HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer opaque\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        let mut streams = Vec::new();
        for number in 1..=3 {
            let mut stream = harness.connect(Member::Example).await;
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut head = [0; 12];
            let read = timeout(DEADLINE, stream.read_exact(&mut head));
            read.await.unwrap().unwrap();
            assert_eq!(String::from_utf8_lossy(&head), format!("HTTP/1.1 {status}"));
            streams.push(stream);
            let counts = [&heads, &connections].map(|count| count.load(Ordering::SeqCst));
            assert_eq!(counts, [number; 2], "{answer:?}");
        }
    }
}

/// RFC 9112 §6.3: the chunks say where the body ends, and the length is not passed on.
#[tokio::test]
async fn an_answer_in_chunks_that_also_names_a_length_is_as_long_as_its_chunks() {
    let (address, _) = serve(|mut stream| async move {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
                      9\r\nall of it\r\n0\r\n\r\n";
        if read_request(&mut stream).await.is_some() {
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let harness = harness(Api::At(address), "").await;
    let answered = harness.call(Member::Example, "opaque").await;
    assert_eq!(answered.header("content-length"), None, "{answered:?}");
    assert!(answered.body.contains("all of it"), "{answered:?}");
}
