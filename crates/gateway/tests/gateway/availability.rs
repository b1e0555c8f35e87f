//! An authorization server in trouble, and a gateway that keeps it from more: what still stands, and for how long.

use std::time::Duration;

use pki::Member;

use crate::support::{Answer, DEADLINE, Harness, Variation, get_plain, reason_of};

async fn serving_stale(max_age: &'static str) -> Harness {
    Harness::start_with(Variation {
        max_age,
        timeout: "2s",
        cache: "stale_while_unavailable = \"60s\"",
        ..Variation::default()
    })
    .await
}

/// Users 37, P10: what was said before stands while there is no answer; for its holder alone, and for nobody new.
#[tokio::test]
async fn a_known_token_is_let_in_while_the_authorization_server_gives_no_answer() {
    for trouble in [Answer::Status(503), Answer::Silence] {
        let harness = serving_stale("0s").await;
        harness.stubs.issue("opaque", Member::Example);
        assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
        harness.stubs.answer("opaque", trouble.clone());
        harness.stubs.answer("new", trouble.clone());
        assert_eq!(
            harness.call(Member::Example, "opaque").await.status,
            200,
            "{trouble:?}"
        );
        assert_eq!(
            harness.call(Member::Other, "opaque").await.status,
            401,
            "{trouble:?}"
        );
        assert!(
            harness.call(Member::Example, "new").await.status >= 503,
            "{trouble:?}"
        );
        let metrics = get_plain(harness.admin, "/metrics").await.body;
        assert!(
            metrics.contains(r#"token_lookups_total{result="stale"}"#),
            "{metrics}"
        );
    }
}

/// Users 37: off unless it is configured.
#[tokio::test]
async fn no_token_is_let_in_unasked_by_default() {
    let harness = Harness::start_with(Variation {
        max_age: "0s",
        ..Variation::default()
    })
    .await;
    harness.stubs.issue("opaque", Member::Example);
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
    harness.stubs.answer("opaque", Answer::Status(503));
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 503);
}

/// Users 34, 37: a no is an answer, and an answer that makes no sense is no outage.
#[tokio::test]
async fn neither_a_no_nor_a_fault_is_an_outage() {
    let harness = serving_stale("0s").await;
    for token in ["revoked", "faulty"] {
        harness.stubs.issue(token, Member::Example);
        assert_eq!(harness.call(Member::Example, token).await.status, 200);
    }
    harness.stubs.answer("revoked", Answer::Inactive);
    assert_eq!(harness.call(Member::Example, "revoked").await.status, 401);
    harness.stubs.answer("revoked", Answer::Status(503));
    assert_eq!(harness.call(Member::Example, "revoked").await.status, 401);
    for fault in [
        Answer::Status(500),
        Answer::Status(401),
        Answer::Typed("text/html", String::new()),
    ] {
        harness.stubs.answer("faulty", fault.clone());
        assert_eq!(
            harness.call(Member::Example, "faulty").await.status,
            502,
            "{fault:?}"
        );
    }
}

/// I12, Users 38: never past the token's end.
#[tokio::test]
async fn no_token_is_let_in_past_its_end() {
    let harness = serving_stale("0s").await;
    let mut claims = harness.stubs.claims(Some(Member::Example));
    // Within the leeway, so that it is accepted when it is asked for.
    claims.exp = claims.iat.minus(Duration::from_secs(1));
    let jwt = claims.sign(&harness.stubs.signing_key).unwrap();
    harness.stubs.answer("opaque", Answer::Jwt(jwt));
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
    harness.stubs.answer("opaque", Answer::Status(503));
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 503);
}

/// P15, Users 36: a burst of made-up tokens reaches the authorization server so far and no further, and costs known
/// tokens nothing.
#[tokio::test]
async fn beyond_so_many_lookups_at_once_nobody_is_asked() {
    let harness = Harness::start_with(Variation {
        introspection: "concurrency = 2".to_owned(),
        ..Variation::default()
    })
    .await;
    harness.stubs.issue("known", Member::Example);
    assert_eq!(harness.call(Member::Example, "known").await.status, 200);
    for token in ["made-up-1", "made-up-2"] {
        harness.stubs.answer(token, Answer::Silence);
    }
    let waiting = async {
        tokio::join!(
            harness.call(Member::Example, "made-up-1"),
            harness.call(Member::Example, "made-up-2")
        )
    };
    let meanwhile = async {
        while harness.stubs.introspections.lock().unwrap().len() < 3 {
            tokio::task::yield_now().await;
        }
        let answered = harness.call(Member::Example, "made-up-3").await;
        assert_eq!(answered.status, 503);
        assert!(answered.header("retry-after").is_some());
        assert_eq!(reason_of(&answered), "introspection_busy");
        assert_eq!(harness.stubs.introspections_of("made-up-3"), 0);
        assert_eq!(harness.call(Member::Example, "known").await.status, 200);
    };
    let both = async { tokio::join!(waiting, meanwhile) };
    let ((one, two), ()) = tokio::time::timeout(DEADLINE, both).await.unwrap();
    assert_eq!((one.status, two.status), (504, 504));
    assert_eq!(
        harness.call(Member::Example, "made-up-3").await.status,
        401,
        "asked now"
    );
}

/// Users 37, P10: what was said stands too where every lookup at once waits for a server that does not answer.
#[tokio::test]
async fn a_known_token_is_let_in_while_all_lookups_wait_in_vain() {
    let harness = Harness::start_with(Variation {
        max_age: "0s",
        timeout: "2s",
        introspection: "concurrency = 1".to_owned(),
        cache: "stale_while_unavailable = \"60s\"",
        ..Variation::default()
    })
    .await;
    harness.stubs.issue("known", Member::Example);
    assert_eq!(harness.call(Member::Example, "known").await.status, 200);
    for token in ["known", "made-up-1", "made-up-2"] {
        harness.stubs.answer(token, Answer::Silence);
    }
    assert_eq!(harness.call(Member::Example, "made-up-1").await.status, 504);
    let meanwhile = async {
        while harness.stubs.introspections_of("made-up-2") == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(harness.call(Member::Example, "known").await.status, 200);
        assert_eq!(
            harness.stubs.introspections_of("known"),
            1,
            "nobody could be asked"
        );
    };
    let both = async { tokio::join!(harness.call(Member::Example, "made-up-2"), meanwhile) };
    let (answered, ()) = tokio::time::timeout(DEADLINE, both).await.unwrap();
    assert_eq!(answered.status, 504);
}
