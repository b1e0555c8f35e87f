use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "api.example.com";

fn signing_key() -> SigningKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der = STANDARD.encode(pair.to_pkcs8v1().unwrap());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
    SigningKey::from_pkcs8_pem(pem.as_bytes(), SignatureAlgorithm::ES256).unwrap()
}

fn verify(answer: &str, key: &SigningKey) -> Result<Introspected, VerificationError> {
    let jwks = json!({ "keys": [key.public_jwk().unwrap()] });
    let keys = VerificationKeys::from_jwks(jwks.to_string().as_bytes()).unwrap();
    let verifier = IntrospectionVerifier {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithms: SignatureAlgorithm::ALL.to_vec(),
    };
    verifier.verify(answer, &keys, NOW)
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": NOW,
        "token_introspection": {"active": true, "exp": NOW.plus(Duration::from_secs(900)), "client_id": "partner"},
    })
}

/// J1, J2, J3.
#[test]
fn believes_what_the_authorization_server_signed() {
    let key = signing_key();
    let claims = IntrospectionClaims {
        iss: ISSUER,
        aud: vec![AUDIENCE],
        iat: NOW,
        token_introspection: &IntrospectionResponse::INACTIVE,
    };
    let answer = claims.sign(&key).unwrap();
    assert_eq!(verify(&answer, &key), Ok(Introspected::Inactive));
}

/// J2.
#[test]
fn reads_an_active_token_out_of_it() {
    let key = signing_key();
    let several_audiences = json!({ "aud": ["x", AUDIENCE] });
    for change in [json!({}), several_audiences] {
        let mut claims = claims();
        claims
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let Ok(Introspected::Active(facts)) = verify(&key.sign(TYP, &claims).unwrap(), &key) else {
            panic!("{claims}")
        };
        assert_eq!(facts.grant.client_id.as_deref(), Some("partner"));
    }
}

/// J13.
#[test]
fn refuses_other_types_of_jwt() {
    let key = signing_key();
    for typ in ["at+jwt", "JWT", ""] {
        let answer = key.sign(typ, &claims()).unwrap();
        assert_eq!(verify(&answer, &key), Err(VerificationError::OtherType), "{typ}");
    }
    assert!(
        verify(
            &key.sign("application/Token-Introspection+JWT", &claims())
                .unwrap(),
            &key
        )
        .is_ok()
    );
}

/// J2: from whom, for whom, and when.
#[test]
fn refuses_answers_of_others_for_others_and_old_ones() {
    let key = signing_key();
    let seconds = Duration::from_secs;
    for (change, error) in [
        (
            json!({"iss": "https://login.example.com/"}),
            VerificationError::OtherIssuer,
        ),
        (json!({"aud": "other"}), VerificationError::OtherAudience),
        (json!({"aud": []}), VerificationError::OtherAudience),
        (json!({"iat": NOW.minus(seconds(71))}), VerificationError::Expired),
        (
            json!({"iat": NOW.plus(seconds(11))}),
            VerificationError::NotYetValid,
        ),
        (json!({"exp": NOW.minus(seconds(11))}), VerificationError::Expired),
        (json!({"iat": null}), VerificationError::Claims),
        (json!({"token_introspection": {}}), VerificationError::Claims),
        (
            json!({"token_introspection": {"active": true}}),
            VerificationError::Claims,
        ),
        (json!({"token_introspection": null}), VerificationError::Claims),
    ] {
        let mut claims = claims();
        claims
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        assert_eq!(
            verify(&key.sign(TYP, &claims).unwrap(), &key),
            Err(error),
            "{change}"
        );
    }
    assert_eq!(
        verify(&signing_key().sign(TYP, &claims()).unwrap(), &key),
        Err(VerificationError::UnknownKey)
    );
}
