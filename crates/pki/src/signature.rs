//! Whether a certificate, request or revocation list was signed by a key.
//!
//! SHA-1, RSA under 2048 bits and everything not listed here fail closed: unknown counts as unsigned.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use x509_cert::{
    AlgorithmIdentifier, SubjectPublicKeyInfo,
    der::{
        Encode,
        asn1::{BitString, ObjectIdentifier},
    },
};

/// Whether `signature` over the DER of `signed` verifies under `key`.
pub(crate) fn is_valid(
    signed: &impl Encode,
    algorithm: &AlgorithmIdentifier,
    signature: &BitString,
    key: &SubjectPublicKeyInfo,
) -> bool {
    let (Some(algorithm), Ok(message)) = (verification_algorithm(algorithm, key), signed.to_der()) else {
        return false;
    };
    let (Some(key), Some(signature)) = (key.subject_public_key.as_bytes(), signature.as_bytes()) else {
        return false;
    };
    UnparsedPublicKey::new(algorithm, key)
        .verify(&message, signature)
        .is_ok()
}

fn verification_algorithm(
    algorithm: &AlgorithmIdentifier,
    key: &SubjectPublicKeyInfo,
) -> Option<&'static dyn VerificationAlgorithm> {
    let curve = || {
        key.algorithm
            .parameters
            .as_ref()?
            .decode_as::<ObjectIdentifier>()
            .ok()
    };
    Some(
        match (
            algorithm.oid.to_string().as_str(),
            key.algorithm.oid.to_string().as_str(),
        ) {
            ("1.2.840.113549.1.1.11", RSA) => &RSA_PKCS1_2048_8192_SHA256,
            ("1.2.840.113549.1.1.12", RSA) => &RSA_PKCS1_2048_8192_SHA384,
            ("1.2.840.113549.1.1.13", RSA) => &RSA_PKCS1_2048_8192_SHA512,
            ("1.3.101.112", "1.3.101.112") => &ED25519,
            (hash, EC) => match (hash, curve()?.to_string().as_str()) {
                (ECDSA_SHA256, P256) => &ECDSA_P256_SHA256_ASN1,
                (ECDSA_SHA384, P256) => &ECDSA_P256_SHA384_ASN1,
                (ECDSA_SHA256, P384) => &ECDSA_P384_SHA256_ASN1,
                (ECDSA_SHA384, P384) => &ECDSA_P384_SHA384_ASN1,
                _ => return None,
            },
            _ => return None,
        },
    )
}

const RSA: &str = "1.2.840.113549.1.1.1";
const EC: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
