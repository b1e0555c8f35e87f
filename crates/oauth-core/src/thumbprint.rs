//! The certificate thumbprint `x5t#S256`: SHA-256 over the certificate's DER, in base64url without padding.
//!
//! Parsing is strict: hex, padded or standard base64 of the right hash are other spellings, and are refused.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::hex;

/// Of the text: 32 bytes in base64url without padding.
const LENGTH: usize = 43;

/// SHA-256 of a certificate's DER encoding; compared in constant time.
///
/// [RFC 8705 §3.1](https://www.rfc-editor.org/rfc/rfc8705#section-3.1)
#[derive(Clone, Copy, Eq)]
pub struct CertificateThumbprint([u8; 32]);

impl CertificateThumbprint {
    /// The thumbprint of the certificate whose DER encoding is `der`.
    pub fn of_der(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Reads the 43 characters of an `x5t#S256` member.
    ///
    /// # Errors
    ///
    /// Anything but unpadded base64url of exactly 32 bytes is [`MalformedThumbprint`].
    ///
    /// RFC 8705 §3.1
    pub fn parse(text: &str) -> Result<Self, MalformedThumbprint> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| MalformedThumbprint)?;
        bytes.try_into().map(Self).map_err(|_| MalformedThumbprint)
    }

    /// Reads 64 hexadecimal digits, as some issuers write the hash; it is for the caller to decide whether that will do.
    ///
    /// # Errors
    ///
    /// Anything else is [`MalformedThumbprint`].
    pub fn parse_hex(text: &str) -> Result<Self, MalformedThumbprint> {
        let mut hash = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != hash.len() || !rest.is_empty() {
            return Err(MalformedThumbprint);
        }
        for (byte, digits) in hash.iter_mut().zip(pairs) {
            *byte = hex::byte(*digits).ok_or(MalformedThumbprint)?;
        }
        Ok(Self(hash))
    }

    /// The same in lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.map(|byte| format!("{byte:02x}")).concat()
    }

    /// The thumbprint whose 32 bytes were kept.
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for CertificateThumbprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for CertificateThumbprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for CertificateThumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; LENGTH];
        URL_SAFE_NO_PAD
            .encode_slice(self.0, &mut text)
            .map_err(|_| fmt::Error)?;
        formatter.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for CertificateThumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CertificateThumbprint({self})")
    }
}

impl Serialize for CertificateThumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CertificateThumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// The text is not an `x5t#S256`: 43 characters of base64url without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("x5t#S256 must be 43 characters of unpadded base64url")]
pub struct MalformedThumbprint;

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    /// The certificate of RFC 8705 Appendix A, base64 of its DER.
    const RFC8705_APPENDIX_A: &str = "\
        MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx\
        ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG\
        SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ\
        /Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID\
        SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV\
        bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=";

    /// M30, M31.
    #[test]
    fn equals_the_vector_of_rfc_8705_appendix_a() {
        let der = STANDARD.decode(RFC8705_APPENDIX_A).unwrap();
        let thumbprint = CertificateThumbprint::of_der(&der);
        assert_eq!(
            thumbprint.to_string(),
            "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"
        );
        assert_eq!(
            CertificateThumbprint::parse(&thumbprint.to_string()),
            Ok(thumbprint)
        );
    }

    /// M40, W10: by itself, and never in the place of the other.
    #[test]
    fn reads_hexadecimal_digits_where_it_is_asked_to() {
        let thumbprint = CertificateThumbprint::of_der(b"certificate");
        let hex = thumbprint.to_hex();
        for right in [hex.clone(), hex.to_uppercase()] {
            assert_eq!(CertificateThumbprint::parse_hex(&right), Ok(thumbprint));
        }
        let sample = "9a0c3570ac7392bee14a408ecb38978852a86d38cbc087feeeeaab2c9a07b9f1";
        assert_eq!(CertificateThumbprint::parse_hex(sample).unwrap().to_hex(), sample);
        for wrong in [
            thumbprint.to_string(),
            String::new(),
            format!("{hex}0"),
            format!("{hex}00"),
            hex.replacen(&hex[..1], "g", 1),
            hex.replacen(&hex[..2], "+1", 1),
            hex.replacen(&hex[..2], "é", 1),
        ] {
            assert_eq!(
                CertificateThumbprint::parse_hex(&wrong),
                Err(MalformedThumbprint),
                "{wrong:?}"
            );
        }
    }

    /// M40.
    #[test]
    fn refuses_every_other_spelling_of_the_right_hash() {
        let thumbprint = CertificateThumbprint::of_der(b"certificate");
        let hex = thumbprint.to_hex();
        let right = thumbprint.to_string();
        for wrong in [
            hex.clone(),
            hex.to_uppercase(),
            URL_SAFE.encode(thumbprint.as_bytes()),
            STANDARD.encode(thumbprint.as_bytes()),
            format!(" {right}"),
            format!("{right}\n"),
            right.replace(&right[..1], ""),
            String::new(),
        ] {
            assert_eq!(
                CertificateThumbprint::parse(&wrong),
                Err(MalformedThumbprint),
                "{wrong:?}"
            );
        }
        let other_case = right.to_lowercase();
        assert_ne!(CertificateThumbprint::parse(&other_case), Ok(thumbprint));
    }
}
