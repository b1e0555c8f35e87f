use crate::certificate::ClientCertificate;
use crate::client_cert_header::encode;

use super::*;

/// The header of the WSO2 page's call: version 1 of X.509, self-signed, expired in 2022.
const WSO2_SAMPLE: &str = include_str!("wso2_sample.txt");

fn wso2_pem() -> String {
    text(STANDARD.decode(WSO2_SAMPLE.trim_end()).unwrap()).unwrap()
}

fn wso2_der() -> Vec<u8> {
    pem(&wso2_pem(), '\n').unwrap().remove(0)
}

fn percent_encoded(text: &str, unencoded: &str) -> String {
    let encoded = |byte: u8| match char::from(byte) {
        character if character.is_ascii_alphanumeric() || "-._~".contains(character) => character.to_string(),
        character if unencoded.contains(character) => character.to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

/// The same certificate as each producer writes it.
fn every_encoding() -> [(HeaderEncoding, String); 8] {
    let (pem, base64) = (wso2_pem(), STANDARD.encode(wso2_der()));
    let quoted = percent_encoded(&pem, "");
    [
        (HeaderEncoding::Rfc9440, encode(&wso2_der())),
        (HeaderEncoding::Base64Der, base64.clone()),
        (HeaderEncoding::Base64Pem, WSO2_SAMPLE.trim_end().to_owned()),
        (HeaderEncoding::UrlEncodedPem, percent_encoded(&pem, "")),
        (HeaderEncoding::AwsAlb, percent_encoded(&pem, "+/=")),
        (HeaderEncoding::PemWithBlanks, pem.replace('\n', " ")),
        (HeaderEncoding::Traefik, percent_encoded(&base64, "")),
        (
            HeaderEncoding::EnvoyXfcc,
            format!(r#"By=spiffe://a;Subject="O=\"A;, B\",CN=c";URI=spiffe://b;Cert="{quoted}""#),
        ),
    ]
}

/// W4, W9.
#[test]
fn every_encoding_of_a_certificate_has_the_same_thumbprint() {
    for (encoding, value) in every_encoding() {
        let chain = encoding.decode(value.as_bytes()).unwrap();
        assert_eq!(chain.len(), 1, "{encoding}");
        let certificate = ClientCertificate::from_der(&chain.concat()).unwrap();
        let thumbprint = certificate.thumbprint();
        assert_eq!(
            thumbprint.to_string(),
            "gxUb0KcjxzJFjHQ7zbWd8Xa4hrlHMg6QJyYSRoJanqc",
            "{encoding}"
        );
        let hex = "83151bd0a723c732458c743bcdb59df176b886b947320e9027261246825a9ea7";
        assert!(is_hash_of(hex, &chain));
        assert_eq!(thumbprint, &CertificateThumbprint::of_der(&wso2_der()));
    }
}

/// W4, H10.
#[test]
fn no_encoding_is_taken_for_another_and_the_error_says_what_was_seen() {
    for (seen, value) in every_encoding() {
        for expected in HeaderEncoding::ALL {
            // What Traefik writes since version 2.9.4 is what HAProxy writes.
            let same = (expected, seen) == (HeaderEncoding::Traefik, HeaderEncoding::Base64Der);
            if expected == seen || same {
                assert!(expected.decode(value.as_bytes()).is_ok(), "{seen} as {expected}");
                continue;
            }
            let malformed = expected.decode(value.as_bytes()).unwrap_err();
            assert_eq!(malformed.expected, expected);
            assert_eq!(malformed.seen, Some(seen));
        }
    }
    let nginx = percent_encoded(&wso2_pem(), "");
    let message = HeaderEncoding::Rfc9440
        .decode(nginx.as_bytes())
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "the header holds no certificate encoded as rfc9440: it is encoded as url-encoded-pem"
    );
}

#[test]
fn names_are_those_of_configurations() {
    for encoding in HeaderEncoding::ALL {
        let json = format!("\"{encoding}\"");
        assert_eq!(serde_json::from_str::<HeaderEncoding>(&json).unwrap(), encoding);
    }
    assert!(serde_json::from_str::<HeaderEncoding>("\"pem\"").is_err());
}

#[test]
fn refuses_what_is_damaged_in_every_encoding() {
    for (encoding, value) in every_encoding() {
        let shortened = value.get(..value.len() / 2).unwrap();
        let doubled = format!("{value}, {value}");
        for damaged in [
            "", " ", "(null)", "%", "%4", "%zz", ":::", "\"", shortened, &doubled,
        ] {
            assert_eq!(
                encoding
                    .decode(damaged.as_bytes())
                    .map_err(|error| error.expected),
                Err(encoding),
                "{damaged}"
            );
        }
        assert!(encoding.decode(b"\xff").is_err());
        assert!(
            encoding.decode(format!("{value}x").as_bytes()).is_err(),
            "{encoding}"
        );
        if encoding != HeaderEncoding::EnvoyXfcc {
            assert!(
                encoding.decode(format!("x{value}").as_bytes()).is_err(),
                "{encoding}"
            );
        }
    }
}

/// The authorities between the certificate and the anchor come along in some encodings.
#[test]
fn reads_a_chain_where_the_producer_sends_one() {
    let (pem, base64) = (wso2_pem(), STANDARD.encode(wso2_der()));
    let chain = pem.repeat(2);
    for (encoding, value) in [
        (HeaderEncoding::AwsAlb, percent_encoded(&chain, "+/=")),
        (HeaderEncoding::UrlEncodedPem, percent_encoded(&chain, "")),
        (HeaderEncoding::Base64Pem, STANDARD.encode(&chain)),
        (HeaderEncoding::Traefik, format!("{base64},{base64}")),
        (
            HeaderEncoding::EnvoyXfcc,
            format!(
                r#"Cert="{}";Chain="{}""#,
                percent_encoded(&pem, ""),
                percent_encoded(&chain, "")
            ),
        ),
    ] {
        assert_eq!(encoding.decode(value.as_bytes()).unwrap().len(), 2, "{encoding}");
    }
}

/// An element for each proxy, or two certificates in one, leave open whose word counts.
#[test]
fn refuses_more_than_one_certificate_of_envoy_and_one_of_another_hash() {
    let cert = percent_encoded(&wso2_pem(), "");
    let hash = "83151bd0a723c732458c743bcdb59df176b886b947320e9027261246825a9ea7";
    let decode = |value: &str| HeaderEncoding::EnvoyXfcc.decode(value.as_bytes());
    assert!(decode(&format!(r#"Hash={hash};Cert="{cert}""#)).is_ok());
    for wrong in [
        format!(r#"Cert="{cert}",Cert="{cert}""#),
        format!(r#"By=a,Cert="{cert}""#),
        format!(r#"Cert="{cert}";Cert="{cert}""#),
        format!(r#"Hash={};Cert="{cert}""#, hash.replace('8', "9")),
        format!(r#"Cert="{cert}"#),
        format!("Hash={hash}"),
    ] {
        assert!(decode(&wrong).is_err(), "{wrong}");
    }
}
