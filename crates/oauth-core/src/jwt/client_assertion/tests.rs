use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const ISSUER: &str = "https://login.example.com/oauth/v2/oauth-anonymous";
const TOKEN_ENDPOINT: &str = "https://login.example.com/oauth/v2/oauth-token-mutual-tls";

fn signing_key(pkcs8: &[u8], algorithm: SignatureAlgorithm) -> SigningKey {
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(pkcs8)
    );
    SigningKey::from_pkcs8_pem(pem.as_bytes(), algorithm).unwrap()
}

fn es256() -> SigningKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    signing_key(pair.to_pkcs8v1().unwrap().as_ref(), SignatureAlgorithm::ES256)
}

fn jwk(key: &SigningKey) -> Map<String, Value> {
    key.public_jwk().unwrap().as_object().unwrap().clone()
}

fn keys(jwks: &[Map<String, Value>]) -> AssertionKeys {
    let mut keys = AssertionKeys::default();
    for jwk in jwks {
        keys.add(jwk).unwrap();
    }
    keys
}

fn claims() -> ClientAssertionClaims {
    ClientAssertionClaims {
        iss: "partner-client".to_owned(),
        sub: "partner-client".to_owned(),
        aud: ISSUER.to_owned(),
        exp: NOW.plus(Duration::from_secs(60)),
        iat: Some(NOW),
        nbf: None,
        jti: "1".to_owned(),
    }
}

fn verify(assertion: &str, key: &SigningKey) -> Result<VerifiedAssertion, AssertionError> {
    keys(&[jwk(key)]).verify(assertion, "partner-client", ISSUER, NOW)
}

/// What becomes of the claims when they are signed as they are.
fn verdict(claims: &impl Serialize) -> Result<VerifiedAssertion, AssertionError> {
    let key = es256();
    verify(&key.sign(TYP, claims).unwrap(), &key)
}

fn changed(change: impl FnOnce(&mut ClientAssertionClaims)) -> Result<VerifiedAssertion, AssertionError> {
    let mut claims = claims();
    change(&mut claims);
    verdict(&claims)
}

fn with_header(assertion: &str, header: &Value) -> String {
    let rest = assertion.split_once('.').unwrap().1;
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

/// K1, K5, F7.
#[test]
fn believes_an_assertion_for_this_issuer_and_says_what_to_remember() {
    let once = verdict(&claims()).unwrap();
    assert_eq!(
        (once.algorithm, once.expires_at),
        (SignatureAlgorithm::ES256, claims().exp)
    );
    assert_eq!(once.jti, "1");
}

/// K3.
#[test]
fn refuses_an_assertion_of_or_for_another_client() {
    for result in [
        changed(|claims| claims.iss = "other-client".to_owned()),
        changed(|claims| claims.sub = "other-client".to_owned()),
    ] {
        assert_eq!(result, Err(AssertionError::OtherClient));
    }
}

/// K5, F7: an audience that others share is how one server replays at another.
#[test]
fn refuses_every_audience_but_the_issuer_as_one_string() {
    for audience in [
        TOKEN_ENDPOINT,
        "https://login.example.com",
        "",
        &format!("{ISSUER}/"),
    ] {
        assert_eq!(
            changed(|claims| claims.aud = audience.to_owned()),
            Err(AssertionError::OtherAudience)
        );
    }
    let mut listed = serde_json::to_value(claims()).unwrap();
    for audience in [json!([ISSUER]), json!([ISSUER, TOKEN_ENDPOINT]), json!(null)] {
        listed["aud"] = audience;
        assert_eq!(verdict(&listed), Err(AssertionError::Claims), "{listed}");
    }
}

/// K4.
#[test]
fn refuses_expired_endless_and_distant_assertions_and_accepts_five_minutes() {
    let until = |exp| changed(|claims| claims.exp = exp);
    assert!(until(NOW.plus(LONGEST_ASSERTION_LIFETIME)).is_ok());
    assert_eq!(
        until(NOW.plus(LONGEST_ASSERTION_LIFETIME + Duration::from_secs(1))),
        Err(AssertionError::TooLong)
    );
    assert_eq!(until(NOW), Err(AssertionError::Expired));
    assert!(until(NOW.plus(Duration::from_secs(1))).is_ok());
}

/// K4, F8.
#[test]
fn accepts_a_clock_ten_seconds_ahead_and_refuses_one_a_minute_ahead() {
    let ahead = |seconds| Some(NOW.plus(Duration::from_secs(seconds)));
    assert!(changed(|claims| (claims.iat, claims.nbf) = (ahead(10), ahead(10))).is_ok());
    assert!(changed(|claims| (claims.iat, claims.nbf) = (None, None)).is_ok());
    for result in [
        changed(|claims| claims.iat = ahead(61)),
        changed(|claims| claims.nbf = ahead(61)),
    ] {
        assert_eq!(result, Err(AssertionError::NotYetValid));
    }
}

/// K3, K4, K7.
#[test]
fn refuses_an_assertion_without_a_claim_that_it_needs() {
    for claim in ["iss", "sub", "aud", "exp", "jti"] {
        let mut incomplete = serde_json::to_value(claims()).unwrap();
        incomplete.as_object_mut().unwrap().remove(claim);
        assert_eq!(verdict(&incomplete), Err(AssertionError::Claims), "{claim}");
    }
    assert_eq!(
        changed(|claims| claims.jti = String::new()),
        Err(AssertionError::Claims)
    );
}

/// K6.
#[test]
fn refuses_signatures_and_algorithms_that_are_not_the_registered_keys() {
    let (key, foreign) = (es256(), es256());
    let assertion = claims().sign(&key).unwrap();
    let header = |alg: &str| json!({ "alg": alg, "kid": key.key_id() });
    for alg in ["HS256", "RS256", "PS256", "ES384"] {
        assert_eq!(
            verify(&with_header(&assertion, &header(alg)), &key),
            Err(AssertionError::Algorithm),
            "{alg}"
        );
    }
    assert_eq!(
        verify(&with_header(&assertion, &header("none")), &key),
        Err(AssertionError::Malformed)
    );
    assert_eq!(
        verify(&claims().sign(&foreign).unwrap(), &key),
        Err(AssertionError::UnknownKey)
    );
    let unnamed = json!({ "alg": "ES256" });
    let forged = with_header(&claims().sign(&foreign).unwrap(), &unnamed);
    assert_eq!(verify(&forged, &key), Err(AssertionError::Signature));
    assert_eq!(verify("x.y.z", &key), Err(AssertionError::Malformed));
}

/// K6, F13: keys may share an id, and a set of one needs none.
#[test]
fn accepts_whichever_registered_key_made_the_signature() {
    let (one, two) = (es256(), es256());
    let mut same_id = jwk(&two);
    same_id.insert("kid".to_owned(), json!(one.key_id()));
    let registered = keys(&[jwk(&one), same_id.clone()]);
    let signed = claims().sign(&one).unwrap();
    assert!(registered.verify(&signed, "partner-client", ISSUER, NOW).is_ok());
    same_id.remove("kid");
    let mut anonymous = jwk(&one);
    anonymous.remove("kid");
    let unnamed = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    let unnamed = one.sign_with_header(&unnamed, &claims()).unwrap();
    let registered = keys(&[same_id, anonymous]);
    assert!(registered.verify(&unnamed, "partner-client", ISSUER, NOW).is_ok());
}

/// K6, F12: RSA keys can be used with two algorithms, and say which.
#[test]
fn takes_an_rsa_key_only_with_its_algorithm() {
    let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let [ps256, rs256] = [SignatureAlgorithm::PS256, SignatureAlgorithm::RS256]
        .map(|algorithm| signing_key(pkcs8.as_ref(), algorithm));
    let signed = |key| claims().sign(key).unwrap();
    assert!(verify(&signed(&ps256), &ps256).is_ok());
    assert_eq!(verify(&signed(&rs256), &ps256), Err(AssertionError::Algorithm));
    let mut ambiguous = jwk(&ps256);
    ambiguous.remove("alg");
    assert_eq!(
        AssertionKeys::default().add(&ambiguous),
        Err(AssertionKeyError::Algorithm)
    );
}

/// F12.
#[test]
fn refuses_to_register_keys_that_sign_nothing_here() {
    let with = |member: &str, value: &str| {
        let mut jwk = jwk(&es256());
        jwk.insert(member.to_owned(), json!(value));
        AssertionKeys::default().add(&jwk)
    };
    assert_eq!(with("use", "enc"), Err(AssertionKeyError::OtherUse));
    assert_eq!(with("alg", "ES384"), Err(AssertionKeyError::Algorithm));
    assert_eq!(with("alg", "HS256"), Err(AssertionKeyError::Algorithm));
    assert_eq!(with("crv", "P-384"), Err(AssertionKeyError::Unsupported));
    assert_eq!(with("kty", "oct"), Err(AssertionKeyError::Unsupported));
    for short in ["AQAB".to_owned(), "A".repeat(340) + "AQAB"] {
        let short = json!({ "kty": "RSA", "alg": "PS256", "n": short, "e": "AQAB" });
        assert_eq!(
            AssertionKeys::default().add(short.as_object().unwrap()),
            Err(AssertionKeyError::Unsupported)
        );
    }
}

/// K8.
#[test]
fn accepts_its_own_type_and_none_and_refuses_other_explicit_types() {
    let key = es256();
    for typ in [
        "client-authentication+jwt",
        "application/client-authentication+jwt",
        "JWT",
        "jwt",
    ] {
        assert!(verify(&key.sign(typ, &claims()).unwrap(), &key).is_ok(), "{typ}");
    }
    for typ in ["at+jwt", "dpop+jwt", "token-introspection+jwt", ""] {
        let assertion = key.sign(typ, &claims()).unwrap();
        assert_eq!(verify(&assertion, &key), Err(AssertionError::OtherType), "{typ}");
    }
    let mut untyped = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    untyped.typ = None;
    assert!(verify(&key.sign_with_header(&untyped, &claims()).unwrap(), &key).is_ok());
}

/// K8, A10.
#[test]
fn refuses_critical_headers() {
    let key = es256();
    let critical = json!({ "alg": "ES256", "crit": ["x"], "x": 1 });
    let assertion = with_header(&claims().sign(&key).unwrap(), &critical);
    assert_eq!(verify(&assertion, &key), Err(AssertionError::CriticalHeader));
}

/// K3.
#[test]
fn reads_the_subject_of_what_is_not_yet_verified() {
    let assertion = claims().sign(&es256()).unwrap();
    assert_eq!(unverified_subject(&assertion).as_deref(), Some("partner-client"));
    assert_eq!(unverified_subject("x.y.z"), None);
}
