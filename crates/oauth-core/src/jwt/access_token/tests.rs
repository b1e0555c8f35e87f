use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::*;
use crate::thumbprint::CertificateThumbprint;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const ISSUER: &str = "https://login.example.com/oauth/v2/oauth-anonymous";

fn pem(der: &[u8]) -> String {
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der)
    )
}

fn es256() -> SigningKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    SigningKey::from_pkcs8_pem(
        pem(pair.to_pkcs8v1().unwrap().as_ref()).as_bytes(),
        SignatureAlgorithm::ES256,
    )
    .unwrap()
}

fn keys(signing: &[&SigningKey]) -> VerificationKeys {
    let members: Vec<Value> = signing.iter().map(|key| key.public_jwk().unwrap()).collect();
    VerificationKeys::from_jwks(json!({ "keys": members }).to_string().as_bytes()).unwrap()
}

fn claims() -> AccessTokenClaims {
    AccessTokenClaims {
        iss: ISSUER.to_owned(),
        exp: NOW.plus(Duration::from_secs(900)),
        aud: vec!["api.example.com".to_owned()],
        sub: "partner-client".to_owned(),
        client_id: "partner-client".to_owned(),
        iat: NOW,
        nbf: None,
        jti: "1".to_owned(),
        scope: "transactions".parse().unwrap(),
        cnf: Some(Confirmation::new(CertificateThumbprint::of_der(b"certificate"))),
    }
}

fn verifier() -> AccessTokenVerifier {
    AccessTokenVerifier {
        issuer: ISSUER.to_owned(),
        audiences: vec!["api.example.com".to_owned()],
        algorithms: vec![SignatureAlgorithm::ES256, SignatureAlgorithm::EdDSA],
    }
}

fn verify(token: &str, key: &SigningKey) -> Result<VerifiedAccessToken, VerificationError> {
    verifier().verify(token, &keys(&[key]), NOW)
}

/// Replaces the header of a token; its signature is then wrong, which no refusal below may get as far as noticing.
fn with_header(token: &str, header: &Value) -> String {
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

/// A1, A2, A5, A8.
#[test]
fn believes_a_token_that_it_should() {
    let key = es256();
    let token = claims().sign(&key).unwrap();
    let verified = verify(&token, &key).unwrap();
    assert_eq!(verified.claims(), &claims());
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(
        (header.typ.as_deref(), header.kid.as_deref()),
        (Some("at+jwt"), Some(key.key_id()))
    );
}

/// A6.
#[test]
fn signs_and_verifies_with_ed25519_too() {
    let pkcs8 = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
    let key = SigningKey::from_pkcs8_pem(pem(pkcs8.as_ref()).as_bytes(), SignatureAlgorithm::EdDSA).unwrap();
    assert!(verify(&claims().sign(&key).unwrap(), &key).is_ok());
    assert!(SigningKey::from_pkcs8_pem(pem(pkcs8.as_ref()).as_bytes(), SignatureAlgorithm::ES256).is_err());
}

/// Whoever remembers a token holds all of the memory it was written into.
#[test]
fn writes_a_token_into_as_much_memory_as_it_takes() {
    let ed25519 = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
    let rsa = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let rsa: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
    let key = |pkcs8, algorithm| SigningKey::from_pkcs8_pem(pem(pkcs8).as_bytes(), algorithm).unwrap();
    for key in [
        es256(),
        key(ed25519.as_ref(), SignatureAlgorithm::EdDSA),
        key(rsa.as_ref(), SignatureAlgorithm::PS256),
    ] {
        let token = claims().sign(&key).unwrap();
        assert_eq!(token.capacity(), token.len());
    }
}

/// A7, J12.
#[test]
fn refuses_every_other_type() {
    let key = es256();
    for typ in ["JWT", "token-introspection+jwt", "dpop+jwt", "", "at+jwt+x"] {
        let token = key.sign(typ, &claims()).unwrap();
        assert_eq!(verify(&token, &key), Err(VerificationError::OtherType), "{typ}");
    }
    assert!(verify(&key.sign("application/at+jwt", &claims()).unwrap(), &key).is_ok());
    let untyped = with_header(
        &claims().sign(&key).unwrap(),
        &json!({"alg": "ES256", "kid": key.key_id()}),
    );
    assert_eq!(verify(&untyped, &key), Err(VerificationError::OtherType));
}

/// A8, F12.
#[test]
fn refuses_none_symmetric_and_unlisted_algorithms() {
    let key = es256();
    let token = claims().sign(&key).unwrap();
    let header = |alg: &str| json!({"alg": alg, "typ": "at+jwt", "kid": key.key_id()});
    assert_eq!(
        verify(&with_header(&token, &header("none")), &key),
        Err(VerificationError::Malformed)
    );
    for alg in ["HS256", "RS256", "ES384", "EdDSA"] {
        let forged = with_header(&token, &header(alg));
        assert_eq!(
            verify(&forged, &key),
            Err(VerificationError::AlgorithmNotAccepted),
            "{alg}"
        );
    }
}

/// A8, A9.
#[test]
fn refuses_foreign_and_missing_keys_and_never_takes_one_from_the_token() {
    let (key, foreign) = (es256(), es256());
    let token = claims().sign(&foreign).unwrap();
    assert_eq!(verify(&token, &key), Err(VerificationError::UnknownKey));
    let claimed =
        json!({"alg": "ES256", "typ": "at+jwt", "kid": key.key_id(), "jwk": foreign.public_jwk().unwrap()});
    assert_eq!(
        verify(&with_header(&token, &claimed), &key),
        Err(VerificationError::Signature)
    );
    let anonymous = with_header(&token, &json!({"alg": "ES256", "typ": "at+jwt"}));
    assert_eq!(verify(&anonymous, &key), Err(VerificationError::NoKeyId));
}

/// A10.
#[test]
fn refuses_critical_headers_and_repeated_members() {
    let key = es256();
    let token = claims().sign(&key).unwrap();
    let critical = json!({"alg": "ES256", "typ": "at+jwt", "kid": key.key_id(), "crit": ["x"], "x": 1});
    assert_eq!(
        verify(&with_header(&token, &critical), &key),
        Err(VerificationError::CriticalHeader)
    );
    let repeated = r#"{"alg":"ES256","alg":"ES256","typ":"at+jwt"}"#;
    let rest = token.split_once('.').unwrap().1;
    let repeated = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(repeated));
    assert_eq!(verify(&repeated, &key), Err(VerificationError::Malformed));
}

/// A8, X2.
#[test]
fn refuses_another_issuer_and_another_audience() {
    let key = es256();
    let other_issuer = AccessTokenClaims {
        iss: format!("{ISSUER}/"),
        ..claims()
    };
    assert_eq!(
        verify(&other_issuer.sign(&key).unwrap(), &key),
        Err(VerificationError::OtherIssuer)
    );
    let other_audience = AccessTokenClaims {
        aud: vec!["other.example.com".to_owned()],
        ..claims()
    };
    assert_eq!(
        verify(&other_audience.sign(&key).unwrap(), &key),
        Err(VerificationError::OtherAudience)
    );
    let several = AccessTokenClaims {
        aud: vec!["other".to_owned(), "api.example.com".to_owned()],
        ..claims()
    };
    assert!(verify(&several.sign(&key).unwrap(), &key).is_ok());
}

/// A8, F8.
#[test]
fn refuses_expired_and_not_yet_valid_tokens_beyond_the_leeway() {
    let key = es256();
    let at = |exp: u64, iat: u64, nbf: Option<u64>| {
        let at = Timestamp::from_unix_seconds;
        AccessTokenClaims {
            exp: at(exp),
            iat: at(iat),
            nbf: nbf.map(at),
            ..claims()
        }
        .sign(&key)
        .unwrap()
    };
    let now = NOW.as_unix_seconds();
    assert!(verify(&at(now - 9, now - 900, None), &key).is_ok());
    assert_eq!(
        verify(&at(now - 10, now - 900, None), &key),
        Err(VerificationError::Expired)
    );
    assert!(verify(&at(now + 900, now + 10, None), &key).is_ok());
    assert_eq!(
        verify(&at(now + 900, now + 61, None), &key),
        Err(VerificationError::NotYetValid)
    );
    assert_eq!(
        verify(&at(now + 900, now, Some(now + 61)), &key),
        Err(VerificationError::NotYetValid)
    );
    let verified = verify(&at(now + 900, now, None), &key).unwrap();
    let later = NOW.plus(Duration::from_secs(910));
    assert_eq!(verified.verify_time(later), Err(VerificationError::Expired));
}

/// A2, M39, W11.
#[test]
fn refuses_missing_claims_and_confirmations_of_another_kind() {
    let key = es256();
    let complete = serde_json::to_value(claims()).unwrap();
    for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        let mut incomplete = complete.clone();
        incomplete.as_object_mut().unwrap().remove(claim);
        let token = key.sign(TYP, &incomplete).unwrap();
        assert_eq!(verify(&token, &key), Err(VerificationError::Claims), "{claim}");
    }
    for cnf in [
        json!(null),
        json!({}),
        json!({"jkt": "x"}),
        json!({"x5t#S256": 1}),
        json!("{}"),
    ] {
        let mut other = complete.clone();
        other["cnf"] = cnf.clone();
        let token = key.sign(TYP, &other).unwrap();
        assert_eq!(verify(&token, &key), Err(VerificationError::Claims), "{cnf}");
    }
    let mut textual = complete;
    textual["exp"] = json!("1900000000");
    assert_eq!(
        verify(&key.sign(TYP, &textual).unwrap(), &key),
        Err(VerificationError::Claims)
    );
}

/// A8.
#[test]
fn refuses_a_changed_payload_and_what_is_no_jwt() {
    let key = es256();
    let token = claims().sign(&key).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let payload = URL_SAFE_NO_PAD.encode(
        serde_json::to_string(&claims())
            .unwrap()
            .replace("transactions", "admin"),
    );
    let changed = format!("{}.{payload}.{}", parts[0], parts[2]);
    assert_eq!(verify(&changed, &key), Err(VerificationError::Signature));
    for text in [
        "",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        &format!("{}.{}.", parts[0], parts[1]),
    ] {
        assert!(verify(text, &key).is_err(), "{text}");
    }
}

/// D8: only the public half is published, with `kid`, `use` and `alg`.
#[test]
fn publishes_only_the_public_half_of_a_key() {
    let jwk = es256().public_jwk().unwrap();
    assert_eq!(
        (jwk["kty"].as_str(), jwk["use"].as_str(), jwk["alg"].as_str()),
        (Some("EC"), Some("sig"), Some("ES256"))
    );
    assert!(jwk["kid"].is_string() && jwk.get("d").is_none());
}

/// A8: told before the signature is looked at.
#[test]
fn refuses_a_token_whose_claims_are_no_object_or_not_utf_8() {
    let key = es256();
    let token = claims().sign(&key).unwrap();
    let [header, _, signature] = *token.split('.').collect::<Vec<_>>() else {
        panic!("three parts")
    };
    let with = |claims: &[u8]| {
        let token = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims));
        verify(&token, &key).unwrap_err()
    };
    assert_eq!(with(b"{\"unread\":\"\xff\"}"), VerificationError::Malformed);
    assert_eq!(with(b"[\"unread\"]"), VerificationError::Malformed);
    assert_eq!(with(b"{\"unread\":\"\xc3\xbf\"}"), VerificationError::Signature);
}

/// F13.
#[test]
fn passes_over_keys_that_cannot_verify() {
    let key = es256();
    let mut encryption = key.public_jwk().unwrap();
    encryption["use"] = json!("enc");
    let symmetric = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256"});
    let short = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "r", "alg": "RS256"});
    let padded =
        json!({"kty": "RSA", "n": "A".repeat(340) + "AQAB", "e": "AQAB", "kid": "r", "alg": "RS256"});
    let jwks =
        |members: &[&Value]| VerificationKeys::from_jwks(json!({ "keys": members }).to_string().as_bytes());
    assert!(jwks(&[&encryption, &symmetric, &short, &padded]).is_err());
    assert!(
        jwks(&[&symmetric, &key.public_jwk().unwrap()])
            .unwrap()
            .contains(key.key_id())
    );
    assert!(VerificationKeys::from_jwks(b"[]").is_err());
}

#[test]
fn accepts_claims_of_the_issuers_own_and_refuses_a_repeated_one() {
    let key = es256();
    let further = |name: &str| Map::from_iter([(name.to_owned(), json!("x"))]);
    let token = claims().sign_with(&further("tenant"), &key).unwrap();
    assert_eq!(verify(&token, &key).unwrap().claims(), &claims());
    let token = claims().sign_with(&further("client_id"), &key).unwrap();
    assert_eq!(verify(&token, &key), Err(VerificationError::Claims));
}

/// A7: what an issuer of another profile may write, by an explicit switch.
#[test]
fn believes_a_plain_jwt_where_that_is_asked_for_alone() {
    let key = es256();
    let plain = json!({"iss": ISSUER, "aud": "api.example.com", "exp": NOW.plus(Duration::from_secs(900)), "azp": "c"});
    let verify_plain = |token: &str| verifier().verify_plain(token, &keys(&[&key]), NOW);
    let token = key.sign("JWT", &plain).unwrap();
    assert_eq!(
        verify_plain(&token).unwrap().grant.client_id.as_deref(),
        Some("c")
    );
    assert_eq!(verify(&token, &key), Err(VerificationError::OtherType));
    let at_jwt = claims().sign(&key).unwrap();
    assert_eq!(
        verify_plain(&at_jwt).unwrap(),
        TokenFacts::from(verify(&at_jwt, &key).unwrap())
    );
    let mut untyped = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    (untyped.typ, untyped.kid) = (None, Some(key.key_id().to_owned()));
    assert!(verify_plain(&key.sign_with_header(&untyped, &plain).unwrap()).is_ok());
}

/// A7, A8, M39, J12.
#[test]
fn refuses_a_plain_jwt_of_another_type_issuer_audience_time_or_binding() {
    let key = es256();
    let plain = json!({"iss": ISSUER, "aud": "api.example.com", "exp": NOW.plus(Duration::from_secs(900))});
    let verify_plain = |token: &str| verifier().verify_plain(token, &keys(&[&key]), NOW).map(|_| ());
    for typ in ["token-introspection+jwt", "dpop+jwt", "logout+jwt", ""] {
        let token = key.sign(typ, &plain).unwrap();
        assert_eq!(verify_plain(&token), Err(VerificationError::OtherType), "{typ}");
    }
    for (change, error) in [
        (json!({"iss": "https://x"}), VerificationError::OtherIssuer),
        (json!({"iss": null}), VerificationError::OtherIssuer),
        (json!({"aud": "other"}), VerificationError::OtherAudience),
        (json!({"aud": null}), VerificationError::OtherAudience),
        (
            json!({"exp": NOW.minus(CLOCK_LEEWAY)}),
            VerificationError::Expired,
        ),
        (json!({"exp": null}), VerificationError::Claims),
        (
            json!({"nbf": NOW.plus(Duration::from_secs(11))}),
            VerificationError::NotYetValid,
        ),
        (json!({"cnf": {"jkt": "x"}}), VerificationError::Claims),
        (json!({"cnf": null}), VerificationError::Claims),
    ] {
        let mut claims = plain.clone();
        claims
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        assert_eq!(
            verify_plain(&key.sign("JWT", &claims).unwrap()),
            Err(error),
            "{change}"
        );
    }
    let foreign = es256().sign("JWT", &plain).unwrap();
    assert_eq!(verify_plain(&foreign), Err(VerificationError::UnknownKey));
}
