//! Whether a certificate, request or revocation list was signed by a key, and whether a key is strong enough to count.
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
        Decode as _, Encode,
        asn1::{BitString, ObjectIdentifier, Uint},
    },
};

use crate::error::Error;

/// Bounds RSA keys from below, against whoever factors them, and from above, against whoever makes verifying slow.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

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

/// Decides whether a key may be certified, before anything it has signed is looked at.
pub(crate) fn verify_key(key: &SubjectPublicKeyInfo) -> Result<(), Error> {
    match key.algorithm.oid.to_string().as_str() {
        RSA => match rsa_bits(key).ok_or(Error::UnsupportedKey)? {
            bits if bits < *RSA_BITS.start() => Err(Error::WeakKey(bits)),
            bits if bits > *RSA_BITS.end() => Err(Error::UnsupportedKey),
            _ => Ok(()),
        },
        ED25519_KEY => Ok(()),
        EC => match curve(key).map(|curve| curve.to_string()).as_deref() {
            Some(P256 | P384) => Ok(()),
            _ => Err(Error::UnsupportedKey),
        },
        _ => Err(Error::UnsupportedKey),
    }
}

/// The length of the modulus. RFC 8017 §A.1.1
fn rsa_bits(key: &SubjectPublicKeyInfo) -> Option<usize> {
    let numbers = Vec::<Uint>::from_der(key.subject_public_key.as_bytes()?).ok()?;
    let modulus = numbers.first()?.as_bytes();
    Some((modulus.len() * 8).saturating_sub(modulus.first()?.leading_zeros() as usize))
}

fn curve(key: &SubjectPublicKeyInfo) -> Option<ObjectIdentifier> {
    key.algorithm.parameters.as_ref()?.decode_as().ok()
}

fn verification_algorithm(
    algorithm: &AlgorithmIdentifier,
    key: &SubjectPublicKeyInfo,
) -> Option<&'static dyn VerificationAlgorithm> {
    Some(
        match (
            algorithm.oid.to_string().as_str(),
            key.algorithm.oid.to_string().as_str(),
        ) {
            ("1.2.840.113549.1.1.11", RSA) => &RSA_PKCS1_2048_8192_SHA256,
            ("1.2.840.113549.1.1.12", RSA) => &RSA_PKCS1_2048_8192_SHA384,
            ("1.2.840.113549.1.1.13", RSA) => &RSA_PKCS1_2048_8192_SHA512,
            (ED25519_KEY, ED25519_KEY) => &ED25519,
            (hash, EC) => match (hash, curve(key)?.to_string().as_str()) {
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
/// Names the key and its signatures alike. RFC 8410 §3
const ED25519_KEY: &str = "1.3.101.112";
const EC: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
