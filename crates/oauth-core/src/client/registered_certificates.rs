//! The self-signed certificates a client is registered with: each in the `x5c` of a JWK, and of that JWK's key.
//!
//! A certificate is compared as a whole, byte for byte. That it vouches for itself says nothing; that an operator
//! registered it, and that the peer holds its key, is what counts.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value};
use x509_cert::{
    Certificate,
    der::{Decode as _, Reader as _, SliceReader, asn1::ObjectIdentifier, asn1::UintRef},
};

use crate::{
    certificate::ClientCertificate, jwt::SHORTEST_RSA_MODULUS_BYTES, thumbprint::CertificateThumbprint,
};

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The certificates of a `self_signed_tls_client_auth` client.
///
/// [RFC 8705 §2.2](https://www.rfc-editor.org/rfc/rfc8705#section-2.2)
#[derive(Clone, Debug)]
pub struct RegisteredCertificates(Vec<CertificateThumbprint>);

impl RegisteredCertificates {
    /// Whether `certificate` is one of them: the certificate, not merely its key.
    ///
    /// RFC 8705 §2.2
    pub fn contains(&self, certificate: &ClientCertificate) -> bool {
        self.0.contains(certificate.thumbprint())
    }

    /// Their thumbprints.
    pub fn thumbprints(&self) -> &[CertificateThumbprint] {
        &self.0
    }

    /// The certificate in the `x5c` of a JWK, whose key must be the JWK's own.
    ///
    /// RFC 8705 §2.2.2, RFC 7517 §4.7
    pub(super) fn certificate_of(
        jwk: &Map<String, Value>,
    ) -> Result<CertificateThumbprint, RegisteredCertificateError> {
        let x5c = jwk.get("x5c").ok_or(RegisteredCertificateError::Absent)?;
        let der = x5c
            .get(0)
            .and_then(Value::as_str)
            .and_then(|text| STANDARD.decode(text).ok())
            .ok_or(RegisteredCertificateError::Malformed)?;
        let certificate =
            ClientCertificate::from_der(&der).map_err(|_| RegisteredCertificateError::Malformed)?;
        if !certificate.is_self_issued() {
            return Err(RegisteredCertificateError::NotSelfSigned);
        }
        let key = PublicKey::of_certificate(&der)?;
        if Some(&key) != PublicKey::of_jwk(jwk).as_ref() {
            return Err(RegisteredCertificateError::OtherKey);
        }
        if key.is_weak() {
            return Err(RegisteredCertificateError::WeakKey);
        }
        Ok(*certificate.thumbprint())
    }
}

impl FromIterator<CertificateThumbprint> for RegisteredCertificates {
    fn from_iter<I: IntoIterator<Item = CertificateThumbprint>>(thumbprints: I) -> Self {
        Self(thumbprints.into_iter().collect())
    }
}

/// A public key by its numbers, whichever of the two notations they came in.
#[derive(PartialEq, Eq)]
enum PublicKey {
    EllipticCurve { curve: ObjectIdentifier, point: Vec<u8> },
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ed25519(Vec<u8>),
}

impl PublicKey {
    /// RFC 7518 §6.2.1 and §6.3.1, RFC 8037 §2
    fn of_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |member| jwk.get(member).and_then(Value::as_str);
        let bytes = |member| text(member).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        match (text("kty")?, text("crv")) {
            ("EC", Some(curve)) => Some(Self::EllipticCurve {
                curve: match curve {
                    "P-256" => P256,
                    "P-384" => P384,
                    _ => return None,
                },
                point: [&[UNCOMPRESSED][..], &bytes("x")?, &bytes("y")?].concat(),
            }),
            ("RSA", _) => Some(Self::Rsa {
                modulus: bytes("n")?,
                exponent: bytes("e")?,
            }),
            ("OKP", Some("Ed25519")) => Some(Self::Ed25519(bytes("x")?)),
            _ => None,
        }
    }

    /// RFC 5480 §2, RFC 8017 Appendix A.1.1, RFC 8410 §4
    fn of_certificate(der: &[u8]) -> Result<Self, RegisteredCertificateError> {
        let certificate = Certificate::from_der(der).map_err(|_| RegisteredCertificateError::Malformed)?;
        let key = certificate.tbs_certificate().subject_public_key_info();
        let bytes = key.subject_public_key.raw_bytes();
        match key.algorithm.oid {
            EC_PUBLIC_KEY => key
                .algorithm
                .parameters
                .as_ref()
                .and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok())
                .map(|curve| Self::EllipticCurve {
                    curve,
                    point: bytes.to_vec(),
                })
                .ok_or(RegisteredCertificateError::UnknownKeyType),
            RSA_ENCRYPTION => rsa(bytes).map_err(|_| RegisteredCertificateError::Malformed),
            ED25519 => Ok(Self::Ed25519(bytes.to_vec())),
            _ => Err(RegisteredCertificateError::UnknownKeyType),
        }
    }

    fn is_weak(&self) -> bool {
        matches!(self, Self::Rsa { modulus, .. } if modulus.len() < SHORTEST_RSA_MODULUS_BYTES)
    }
}

/// What an uncompressed point begins with. SEC 1 §2.3.3
const UNCOMPRESSED: u8 = 4;

fn rsa(public_key: &[u8]) -> x509_cert::der::Result<PublicKey> {
    SliceReader::new(public_key)?.sequence(|fields| {
        let modulus = UintRef::decode(fields)?.as_bytes().to_vec();
        let exponent = UintRef::decode(fields)?.as_bytes().to_vec();
        Ok(PublicKey::Rsa { modulus, exponent })
    })
}

/// Why a JWK brings no certificate to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisteredCertificateError {
    /// No `x5c`.
    #[error("self_signed_tls_client_auth needs the certificate; add `x5c`")]
    Absent,
    /// The first member of `x5c` is no certificate.
    #[error("x5c[0] is not the base64 of a certificate's DER")]
    Malformed,
    /// The certificate names another as its issuer.
    #[error("x5c[0] is not self-signed; register a self-signed certificate, or use tls_client_auth")]
    NotSelfSigned,
    /// The JWK's own numbers are those of another key.
    #[error("x5c[0] is the certificate of another key than the JWK's own")]
    OtherKey,
    /// A key of a type that no handshake here takes.
    #[error("use an EC key on P-256 or P-384, an Ed25519 key or an RSA key")]
    UnknownKeyType,
    /// RSA below 2048 bits.
    #[error("the RSA key is shorter than 2048 bits; make a longer one")]
    WeakKey,
}

#[cfg(test)]
pub(super) mod tests;
