//! JWTs: access tokens and client assertions. Three lines: header, claims, signature.
//!
//! Made up, they prove nothing. With a right signature they are believed only where a second reader finds every claim
//! in place; a confirmation that was there is never lost; and no byte can be changed behind the signature's back.

#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certbound_fuzz::{AUDIENCE, CLIENTS, ISSUER, KEY_ID, NOW, jwks, signed};
use libfuzzer_sys::fuzz_target;
use oauth_core::client_authentication::{ClientCredentials, authenticate};
use oauth_core::form::FormParameters;
use oauth_core::jwt::{
    AccessTokenVerifier, CLOCK_LEEWAY, LONGEST_ASSERTION_LIFETIME, SignatureAlgorithm, VerificationKeys,
    VerifiedAccessToken, is_compact_jws, unverified_issuer, unverified_subject,
};
use serde_json::Value;

static KEYS: LazyLock<VerificationKeys> =
    LazyLock::new(|| VerificationKeys::from_jwks(jwks().to_string().as_bytes()).expect("a key"));

static VERIFIER: LazyLock<AccessTokenVerifier> = LazyLock::new(|| AccessTokenVerifier {
    issuer: ISSUER.to_owned(),
    audiences: vec![AUDIENCE.to_owned()],
    algorithms: SignatureAlgorithm::ALL.to_vec(),
});

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = str::from_utf8(data) {
        verify_proves_nothing(text);
    }
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (header, claims, signature) = (line(), line(), line());
    let [head, body, end] = [header, claims, signature].map(|part| URL_SAFE_NO_PAD.encode(part));
    verify_proves_nothing(&format!("{head}.{body}.{end}"));

    let token = signed(header, claims);
    verify_lookup(&token, claims);
    if let Ok(verified) = VERIFIER.verify(&token, &KEYS, NOW) {
        assert!(is_compact_jws(&token), "{token}");
        assert_eq!(unverified_issuer(&token).as_deref(), Some(ISSUER));
        verify_access_token(&verified, header, claims);
        verify_tampering(&token, signature);
    }
    if let Some(client) = believed_as(&token) {
        verify_assertion(&client, header, claims);
    }
});

fn verify_proves_nothing(token: &str) {
    assert!(VERIFIER.verify(token, &KEYS, NOW).is_err(), "{token}");
    assert_eq!(believed_as(token), None, "{token}");
    assert!(!is_compact_jws(token) || token.split('.').count() == 3, "{token}");
}

/// Whose keys are asked for is what a second reader finds; what is not signed in compact form is not looked up.
fn verify_lookup(token: &str, claims: &[u8]) {
    assert!(!is_compact_jws(&format!("{token}.")) && !is_compact_jws(&format!("{token}=")));
    if let Some(issuer) = unverified_issuer(token)
        && let Ok(json) = serde_json::from_slice::<Value>(claims)
    {
        assert_eq!(json["iss"], issuer);
    }
}

fn verify_access_token(verified: &VerifiedAccessToken, header: &[u8], claims: &[u8]) {
    let (Some(header), Some(json)) = (object(header), object(claims)) else {
        return;
    };
    let typ = header["typ"].as_str().expect("a typ").to_ascii_lowercase();
    assert!(["at+jwt", "application/at+jwt"].contains(&typ.as_str()));
    assert_eq!(
        (&header["alg"], &header["kid"]),
        (&"EdDSA".into(), &KEY_ID.into())
    );
    assert!(header.get("crit").is_none() && header.get("b64").is_none());
    assert_eq!(json["iss"], ISSUER);
    let names_us = |audience: &Value| audience == AUDIENCE;
    assert!(names_us(&json["aud"]) || json["aud"].as_array().is_some_and(|all| all.iter().any(names_us)));
    let seconds = |name: &str| json.get(name).map(|time| time.as_u64().expect("whole seconds"));
    let (exp, iat) = (seconds("exp").expect("an exp"), seconds("iat").expect("an iat"));
    let (now, leeway) = (NOW.as_unix_seconds(), CLOCK_LEEWAY.as_secs());
    assert!(now < exp.saturating_add(leeway) && iat <= now + leeway);
    assert!(seconds("nbf").is_none_or(|nbf| nbf <= now + leeway));
    assert_eq!(
        json.get("cnf").is_some(),
        verified.claims().cnf.is_some(),
        "a confirmation is lost"
    );
}

/// One bit of a token, chosen by the input.
fn verify_tampering(token: &str, chosen: &[u8]) {
    let [high, low, bit, ..] = *chosen else { return };
    let mut bytes = token.as_bytes().to_vec();
    let place = usize::from(u16::from_be_bytes([high, low])) % bytes.len();
    bytes[place] ^= 1 << (bit % 7);
    let tampered = String::from_utf8(bytes).expect("ASCII in seven bits");
    assert!(VERIFIER.verify(&tampered, &KEYS, NOW).is_err(), "{tampered}");
}

/// The client that a token request with this assertion comes from.
fn believed_as(assertion: &str) -> Option<String> {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_assertion", assertion)
        .append_pair(
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        )
        .finish();
    let form = FormParameters::parse(Some("application/x-www-form-urlencoded"), body.as_bytes()).ok()?;
    let credentials = ClientCredentials::from_request(None, &form, None).ok()?;
    let authenticated = authenticate(&credentials, &CLIENTS, ISSUER, NOW).ok()?;
    Some(authenticated.client.client_id.clone())
}

fn verify_assertion(client: &str, header: &[u8], claims: &[u8]) {
    let (Some(header), Some(claims)) = (object(header), object(claims)) else {
        return;
    };
    assert_eq!(client, "assertion");
    assert_eq!(header["alg"], "EdDSA");
    assert_eq!((&claims["iss"], &claims["sub"]), (&client.into(), &client.into()));
    assert_eq!(claims["aud"], ISSUER);
    assert!(claims["jti"].as_str().is_some_and(|id| !id.is_empty()));
    let exp = claims["exp"].as_u64().expect("whole seconds");
    let now = NOW.as_unix_seconds();
    assert!(now < exp && exp <= now + LONGEST_ASSERTION_LIFETIME.as_secs());
    let token = signed(b"{}", claims.to_string().as_bytes());
    assert!(unverified_subject(&token).is_none_or(|subject| subject == client));
}

/// `None` where a number is too large for this reader, in a member that nobody reads.
fn object(json: &[u8]) -> Option<Value> {
    let text = str::from_utf8(json).expect("UTF-8, since it was believed");
    let value: Value = serde_json::from_str(text).ok()?;
    assert!(value.is_object());
    Some(value)
}
