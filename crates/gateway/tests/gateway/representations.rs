//! What the authorization server is asked to answer with, how the gateway proves who it is, and what the API gets.

use std::time::Duration;

use oauth_core::confirmation::Confirmation;
use oauth_core::introspection::{ActiveToken, IntrospectionResponse};
use oauth_core::jwt::IntrospectionClaims;
use pki::{KeyAlgorithm, Member, PrivateKey};
use serde_json::{Value, json};

use crate::support::{Answer, Answered, Harness, ISSUER, Variation, certificate_of, reason_of, with_token};

const OWN_FIELDS: [&str; 4] = [
    "token-introspection",
    "token-introspection-client-id",
    "token-introspection-subject",
    "token-introspection-scope",
];

async fn with_introspection(lines: &str) -> Harness {
    Harness::start_with(Variation {
        introspection: lines.to_owned(),
        ..Variation::default()
    })
    .await
}

fn active(harness: &Harness, member: Member) -> IntrospectionResponse {
    let claims = harness.stubs.claims(Some(member));
    let token = ActiveToken {
        scope: claims.scope,
        client_id: claims.client_id,
        token_type: "Bearer".to_owned(),
        exp: claims.exp,
        iat: claims.iat,
        sub: "subject".to_owned(),
        aud: "api.example.com".to_owned(),
        iss: claims.iss,
        jti: claims.jti,
        cnf: Some(Confirmation::of(&certificate_of(member))),
    };
    IntrospectionResponse {
        active: true,
        token: Some(token),
    }
}

fn json_answer(answer: &Value) -> Answer {
    Answer::Typed("application/json; charset=utf-8", answer.to_string())
}

fn answer_with(harness: &Harness, change: &Value) -> Value {
    let mut answer = serde_json::to_value(active(harness, Member::Example)).unwrap();
    let members = answer.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::String(text) if text == "absent" => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    answer
}

fn told(answered: &Answered) -> [Vec<String>; 4] {
    OWN_FIELDS.map(|name| answered.forwarded(name))
}

/// I10, M35, M36, P9: the API is told what the authorization server said, and never the opaque token; whatever the
/// caller says in those fields is gone.
#[tokio::test]
async fn with_json_the_api_is_told_in_words() {
    let harness = with_introspection("representation = \"json\"").await;
    let answer = answer_with(&harness, &json!({}));
    harness.stubs.answer("opaque", json_answer(&answer));
    let lies = "Token-Introspection: untrue\nToken_Introspection_Client_Id: untrue\nToken-Introspection-Scope: untrue\n\
                Token-Introspection-Roles: untrue\n";
    let request = with_token("GET /api/transactions", "opaque", lies);
    let answered = harness.exchange(Member::Example, &request).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let expected = [&[][..], &["partner-client"], &["subject"], &["transactions"]];
    assert_eq!(told(&answered), expected);
    assert_eq!(answered.forwarded("authorization"), [] as [String; 0]);
    assert!(!answered.body.contains("opaque") && !answered.body.contains("untrue"));
    assert_eq!(harness.call(Member::Other, "opaque").await.status, 401);
    let introspections = harness.stubs.introspections.lock().unwrap();
    assert_eq!(introspections[0].0["accept"], "application/json");
}

/// I5, I10, P10, M39, X2: inactive is the caller's, a token bound otherwise too; everything else the server's.
#[tokio::test]
async fn json_that_does_not_say_enough_is_the_authorization_servers_fault() {
    let harness = with_introspection("representation = \"json\"").await;
    for (change, status, reason) in [
        (json!({}), 200, ""),
        (json!({"iss": "absent"}), 200, ""),
        (json!({"aud": ["x", "api.example.com"]}), 200, ""),
        (json!({"active": false}), 401, "token_inactive"),
        (json!({"cnf": {"jkt": "x"}}), 401, "token_bound_otherwise"),
        (json!({"cnf": "absent"}), 401, "token_not_bound"),
        (json!({"aud": "other"}), 401, "audience_mismatch"),
        (json!({"exp": 1}), 401, "token_expired"),
        (json!({"scope": "absent"}), 403, "scope_insufficient"),
        (json!({"active": "true"}), 502, "introspection_failed"),
        (json!({"active": "absent"}), 502, "introspection_failed"),
        (json!({"exp": "absent"}), 502, "introspection_failed"),
        (json!({"exp": "soon"}), 502, "introspection_failed"),
        (json!({"aud": "absent"}), 502, "introspection_failed"),
        (
            json!({"iss": "https://other.example.com"}),
            502,
            "introspection_failed",
        ),
        (json!({"client_id": "a\nb"}), 502, "introspection_failed"),
    ] {
        let token = change
            .to_string()
            .replace(|byte: char| !byte.is_ascii_alphanumeric(), "-");
        harness
            .stubs
            .answer(&token, json_answer(&answer_with(&harness, &change)));
        let answered = harness.call(Member::Example, &token).await;
        assert_eq!(answered.status, status, "{change}");
        if status != 200 {
            assert_eq!(reason_of(&answered), reason, "{change}");
        }
    }
}

/// J13, P10: none is accepted where another is expected; not even 204, which says inactive in place of a JWT alone.
#[tokio::test]
async fn accepts_no_other_representation_than_the_configured_one() {
    for representation in ["access-token-jwt", "introspection-jwt", "json"] {
        let lines = format!("representation = \"{representation}\"");
        let harness = with_introspection(&lines).await;
        let answer = active(&harness, Member::Example);
        let signed = signed(&harness, "gateway", &answer);
        let jwt = harness.stubs.issue("jwt", Member::Example);
        for (token, media_type, text, accepted_as) in [
            (
                "1",
                "application/json",
                serde_json::to_string(&answer).unwrap(),
                "json",
            ),
            ("2", "application/jwt", jwt.clone(), "access-token-jwt"),
            (
                "3",
                "application/token-introspection+jwt",
                signed.clone(),
                "introspection-jwt",
            ),
            (
                "4",
                "application/jwt",
                signed.clone(),
                "none: an answer is no access token",
            ),
            (
                "5",
                "application/token-introspection+jwt",
                jwt,
                "none: an access token is no answer",
            ),
            ("6", "text/html", "<html>".to_owned(), "none"),
        ] {
            harness.stubs.answer(token, Answer::Typed(media_type, text));
            let expected = if accepted_as == representation { 200 } else { 502 };
            let answered = harness.call(Member::Example, token).await;
            assert_eq!(answered.status, expected, "{representation}, {media_type}");
        }
        harness.stubs.answer("7", Answer::Inactive);
        let expected = if representation == "access-token-jwt" {
            401
        } else {
            502
        };
        assert_eq!(
            harness.call(Member::Example, "7").await.status,
            expected,
            "{representation}"
        );
    }
}

fn signed(harness: &Harness, audience: &str, answer: &IntrospectionResponse) -> String {
    let claims = IntrospectionClaims {
        iss: ISSUER,
        aud: vec![audience],
        iat: harness.stubs.claims(None).iat,
        token_introspection: answer,
    };
    claims.sign(&harness.stubs.signing_key).unwrap()
}

/// J1, J2, J4, P9: the API gets the signed answer, and no `Authorization`: an answer is no access token.
#[tokio::test]
async fn with_a_signed_answer_the_api_gets_that() {
    let harness =
        with_introspection("representation = \"introspection-jwt\"\nresponse_audience = \"api.example.com\"")
            .await;
    let typed = |answer: String| Answer::Typed("application/token-introspection+jwt", answer);
    let active = active(&harness, Member::Example);
    let answer = signed(&harness, "api.example.com", &active);
    harness.stubs.answer("opaque", typed(answer.clone()));
    let answered = harness.call(Member::Example, "opaque").await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(
        told(&answered),
        [vec![answer], Vec::new(), Vec::new(), Vec::new()]
    );
    assert_eq!(answered.forwarded("authorization"), [] as [String; 0]);
    assert_eq!(harness.call(Member::Other, "opaque").await.status, 401);

    let inactive = signed(&harness, "api.example.com", &IntrospectionResponse::INACTIVE);
    harness.stubs.answer("inactive", typed(inactive));
    assert_eq!(harness.call(Member::Example, "inactive").await.status, 401);
    let for_another = signed(&harness, "other.example.com", &active);
    harness.stubs.answer("for-another", typed(for_another));
    assert_eq!(harness.call(Member::Example, "for-another").await.status, 502);
}

/// I10, X2: an endpoint that narrows by itself, by an explicit key.
#[tokio::test]
async fn an_answer_without_audience_is_for_the_one_that_is_configured() {
    for (audience, status) in [("api.example.com", 200), ("other.example.com", 401)] {
        let lines = format!("representation = \"json\"\naudience_if_absent = \"{audience}\"");
        let harness = with_introspection(&lines).await;
        let answer = answer_with(&harness, &json!({"aud": "absent"}));
        harness.stubs.answer("opaque", json_answer(&answer));
        assert_eq!(harness.call(Member::Example, "opaque").await.status, status);
    }
}

/// I3, O8, X7: the secret goes where it belongs, and the form names no client besides.
#[tokio::test]
async fn proves_itself_with_a_secret() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "pass:word\n").unwrap();
    let lines = format!(
        "endpoint_auth_method = \"client_secret_basic\"\nclient_secret_file = {:?}",
        file.path()
    );
    let harness = with_introspection(&lines).await;
    harness.stubs.issue("opaque", Member::Example);
    assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
    let introspections = harness.stubs.introspections.lock().unwrap();
    // gateway:pass%3Aword
    assert_eq!(
        introspections[0].0["authorization"],
        "Basic Z2F0ZXdheTpwYXNzJTNBd29yZA=="
    );
    assert_eq!(introspections[0].1, "token=opaque");
}

/// K1, K3, K5, K7.
#[tokio::test]
async fn proves_itself_with_a_fresh_assertion_each_time() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap().pem();
    std::fs::write(file.path(), key).unwrap();
    let lines = format!(
        "endpoint_auth_method = \"private_key_jwt\"\nclient_assertion_key = {:?}",
        file.path()
    );
    let harness = with_introspection(&lines).await;
    for token in ["one", "two"] {
        harness.stubs.issue(token, Member::Example);
        assert_eq!(harness.call(Member::Example, token).await.status, 200);
    }
    let introspections = harness.stubs.introspections.lock().unwrap();
    let assertion = |form: &str| {
        let kind = "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        assert!(form.contains(kind) && !form.contains("client_id"), "{form}");
        form.split_once("&client_assertion=").unwrap().1.to_owned()
    };
    let [one, two] = introspections.as_slice() else {
        panic!("{introspections:?}")
    };
    assert_ne!(assertion(&one.1), assertion(&two.1));
    assert!(!one.0.contains_key("authorization"));
}

/// I12: an authorization server that forbids to keep answers is asked each time, unless the configuration says otherwise.
#[tokio::test]
async fn an_answer_that_must_not_be_kept_is_not() {
    for (lines, introspections) in [("", 3), ("cache_control = \"ignore\"", 1)] {
        let harness = with_introspection(lines).await;
        harness.stubs.issue("opaque", Member::Example);
        harness.stubs.forbid_keeping();
        for _ in 0..3 {
            assert_eq!(harness.call(Member::Example, "opaque").await.status, 200);
        }
        assert_eq!(
            harness.stubs.introspections_of("opaque"),
            introspections,
            "{lines}"
        );
    }
}

/// I12: what expires is not kept, whatever the authorization server allows.
#[tokio::test]
async fn an_answer_about_a_token_that_ends_is_not_kept_beyond() {
    let harness = with_introspection("representation = \"json\"").await;
    let now = harness.stubs.claims(None).iat;
    let ended = json!({"exp": now.minus(Duration::from_secs(3))});
    harness
        .stubs
        .answer("opaque", json_answer(&answer_with(&harness, &ended)));
    for _ in 0..2 {
        assert_eq!(
            harness.call(Member::Example, "opaque").await.status,
            200,
            "within the leeway"
        );
    }
    assert_eq!(harness.stubs.introspections_of("opaque"), 2);
}
