use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::KeySize,
};
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    PublicKeyData as _, SignatureAlgorithm,
};
use serde_json::json;

use super::*;
use crate::client::{ClientJwks, ClientJwksError};

const APPENDIX_A: &str = "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx\
    ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG\
    SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ\
    /Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID\
    SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV\
    bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=";

/// The JWK of RFC 8705 Appendix A, as a set.
pub(in crate::client) fn rfc_8705_appendix_a() -> Value {
    json!({ "keys": [{
        "kty": "EC",
        "crv": "P-256",
        "x": "1yfLHCpXqFjxCeHHHMVDTcLscpb07KUxudBmOMn8C7Q",
        "y": "8_coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8",
        "x5c": [APPENDIX_A],
    }] })
}

fn of(document: Value) -> Result<RegisteredCertificates, ClientJwksError> {
    ClientJwks::from(document).registered_certificates()
}

fn refusal(document: Value) -> RegisteredCertificateError {
    match of(document).unwrap_err() {
        ClientJwksError::Certificate { index: 0, reason } => reason,
        other => panic!("{other}"),
    }
}

/// The appendix's key with other members.
fn changed(members: &Value) -> Value {
    let mut document = rfc_8705_appendix_a();
    for (name, value) in members.as_object().unwrap() {
        document["keys"][0][name] = value.clone();
    }
    document
}

fn self_signed(key: &KeyPair) -> (ClientCertificate, String) {
    let signed = CertificateParams::default().self_signed(key).unwrap();
    (
        ClientCertificate::from_der(signed.der()).unwrap(),
        STANDARD.encode(signed.der()),
    )
}

fn key_pair(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).unwrap()
}

/// The JWK of an EC key whose coordinates have so many bytes.
fn ec_jwk(key: &KeyPair, curve: &str, length: usize, x5c: &str) -> Value {
    let (x, y) = key.der_bytes()[1..].split_at(length);
    json!({ "keys": [{
        "kty": "EC", "crv": curve, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y), "x5c": [x5c],
    }] })
}

/// M18, RFC 8705 Appendix A.
#[test]
fn accepts_the_certificate_of_the_jwks_own_key() {
    let registered = of(rfc_8705_appendix_a()).unwrap();
    assert_eq!(
        registered.thumbprints()[0].to_string(),
        "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"
    );
}

/// M16, M17: the certificate counts, not its key.
#[test]
fn holds_the_registered_certificate_and_no_other_of_the_same_key() {
    let key = key_pair(&PKCS_ECDSA_P384_SHA384);
    let (certificate, x5c) = self_signed(&key);
    let registered = of(ec_jwk(&key, "P-384", 48, &x5c)).unwrap();
    assert!(registered.contains(&certificate));
    let mut params = CertificateParams::default();
    params.serial_number = Some(7.into());
    let renewed = params.self_signed(&key).unwrap();
    assert!(!registered.contains(&ClientCertificate::from_der(renewed.der()).unwrap()));
}

/// M16.
#[test]
fn accepts_ed25519_and_rsa_keys() {
    let key = key_pair(&PKCS_ED25519);
    let (certificate, x5c) = self_signed(&key);
    let x = URL_SAFE_NO_PAD.encode(key.der_bytes());
    let document = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "x5c": [x5c] }] });
    assert!(of(document).unwrap().contains(&certificate));

    let key = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let key = KeyPair::try_from(pkcs8.as_ref()).unwrap();
    let (certificate, x5c) = self_signed(&key);
    let PublicKey::Rsa { modulus, exponent } = rsa(key.der_bytes()).unwrap() else {
        panic!("an RSA key")
    };
    let [n, e] = [modulus, exponent].map(|number| URL_SAFE_NO_PAD.encode(number));
    let document = json!({ "keys": [{ "kty": "RSA", "n": n, "e": e, "x5c": [x5c] }] });
    assert!(of(document).unwrap().contains(&certificate));
}

/// M18.
#[test]
fn refuses_a_key_that_is_not_its_certificates() {
    let other = "8_coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm4";
    for members in [
        json!({ "y": other }),
        json!({ "x": other }),
        json!({ "crv": "P-384" }),
        json!({ "kty": "OKP", "crv": "Ed25519" }),
        json!({ "x": "" }),
    ] {
        assert_eq!(
            refusal(changed(&members)),
            RegisteredCertificateError::OtherKey,
            "{members}"
        );
    }
}

/// M19.
#[test]
fn refuses_a_key_without_a_certificate() {
    let mut document = rfc_8705_appendix_a();
    document["keys"][0].as_object_mut().unwrap().remove("x5c");
    assert_eq!(refusal(document), RegisteredCertificateError::Absent);
    for x5c in [
        json!([]),
        json!(["?"]),
        json!([URL_SAFE_NO_PAD.encode("x")]),
        json!(APPENDIX_A),
    ] {
        assert_eq!(
            refusal(changed(&json!({ "x5c": x5c }))),
            RegisteredCertificateError::Malformed
        );
    }
}

/// M16: a certificate that an authority issued is verified by its chain, and registered by its name.
#[test]
fn refuses_a_certificate_that_another_signed() {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(rcgen::DnType::OrganizationName, "root");
    let issuer = Issuer::new(authority, KeyPair::generate().unwrap());
    let key = KeyPair::generate().unwrap();
    let issued = CertificateParams::default().signed_by(&key, &issuer).unwrap();
    let x5c = STANDARD.encode(issued.der());
    assert_eq!(
        refusal(ec_jwk(&key, "P-256", 32, &x5c)),
        RegisteredCertificateError::NotSelfSigned
    );
}

/// F13: what should be public must be.
#[test]
fn refuses_secret_keys_and_what_is_no_set() {
    for secret in SECRET {
        assert_eq!(
            of(changed(&json!({ secret: "AQ" }))).unwrap_err(),
            ClientJwksError::Secret { index: 0 }
        );
    }
    for malformed in [
        json!(null),
        json!({}),
        json!({ "keys": {} }),
        json!({ "keys": [1] }),
    ] {
        assert_eq!(of(malformed).unwrap_err(), ClientJwksError::Malformed);
    }
    let key = rfc_8705_appendix_a()["keys"][0].clone();
    for keys in [Vec::new(), vec![key; 17]] {
        assert_eq!(
            of(json!({ "keys": keys })).unwrap_err(),
            ClientJwksError::NumberOfKeys
        );
    }
}

const SECRET: [&str; 3] = ["d", "k", "oth"];

#[test]
fn reads_a_set_from_json_text_too_and_shows_nothing_of_it() {
    let text = json!(rfc_8705_appendix_a().to_string());
    let jwks: ClientJwks = serde_json::from_value(text).unwrap();
    assert_eq!(jwks.registered_certificates().unwrap().thumbprints().len(), 1);
    assert!(!format!("{jwks:?}").contains("P-256"));
    let broken: ClientJwks = serde_json::from_value(json!("{")).unwrap();
    assert_eq!(
        broken.registered_certificates().unwrap_err(),
        ClientJwksError::Malformed
    );
}
