//! What can be read of a token before anything is verified: fit to choose how it is verified, and for nothing else.

use serde::Deserialize;

use super::json_object;

/// Whether `token` has the form of a JWS in compact serialization: three parts in base64url, the first of them a JSON
/// object that names an algorithm. An opaque token has not, and neither has an encrypted JWT, which has five parts.
///
/// Says nothing of whether the token is to be believed.
///
/// [RFC 7515 §3.1](https://www.rfc-editor.org/rfc/rfc7515#section-3.1), §9
pub fn is_compact_jws(token: &str) -> bool {
    #[derive(Deserialize)]
    struct UnverifiedHeader {
        #[serde(rename = "alg")]
        _alg: String,
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_base64url = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    is_base64url(payload)
        && is_base64url(signature)
        && json_object(header).is_some_and(|header| serde_json::from_str::<UnverifiedHeader>(&header).is_ok())
}

/// The `iss` of a JWT of which nothing has been checked: fit to look up an issuer one trusts, and for nothing else.
///
/// RFC 7519 §4.1.1
pub fn unverified_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Unverified {
        iss: String,
    }
    let claims = json_object(token.split('.').nth(1)?)?;
    let Unverified { iss } = serde_json::from_str(&claims).ok()?;
    Some(iss)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    fn encoded(json: &serde_json::Value) -> String {
        URL_SAFE_NO_PAD.encode(json.to_string())
    }

    /// Users 40.
    #[test]
    fn tells_a_signed_jwt_by_its_form() {
        let header = encoded(&json!({"alg": "ES256"}));
        let payload = encoded(&json!({"iss": "https://issuer.example.com"}));
        let token = format!("{header}.{payload}.c2ln");
        assert!(is_compact_jws(&token));
        assert_eq!(
            unverified_issuer(&token).as_deref(),
            Some("https://issuer.example.com")
        );
        let unsigned = format!("{}.{payload}.", encoded(&json!({"alg": "none"})));
        assert!(is_compact_jws(&unsigned), "refused as a JWT, and not asked for");
    }

    /// Users 40.
    #[test]
    fn takes_everything_else_as_opaque() {
        let header = encoded(&json!({"alg": "ES256"}));
        for token in [
            "opaque".to_owned(),
            "a.b.c".to_owned(),
            format!("{header}.e30"),
            format!("{header}.e30.c2ln.x.y"),
            format!("{header}.e+0.c2ln"),
            format!("{header}.e30.c2ln="),
            format!("{}.e30.c2ln", encoded(&json!({"typ": "JWT"}))),
            format!("{}.e30.c2ln", encoded(&json!("alg"))),
            format!("{}.e30.c2ln", encoded(&json!(["ES256"]))),
        ] {
            assert!(!is_compact_jws(&token), "{token}");
        }
    }

    #[test]
    fn names_no_issuer_where_there_is_none_or_two() {
        let with = |payload: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
        for payload in [
            "{}",
            r#"{"iss":1}"#,
            r#"{"iss":"a","iss":"b"}"#,
            "[]",
            r#"["a"]"#,
            "x",
        ] {
            assert_eq!(unverified_issuer(&with(payload)), None, "{payload}");
        }
    }
}
