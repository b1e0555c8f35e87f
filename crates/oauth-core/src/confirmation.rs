//! The confirmation `cnf`, and the check on which everything rests: the token's certificate is this connection's.
//!
//! Fails closed: a confirmation of any other shape than ours does not parse, so it can never pass as "not bound".

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{certificate::ClientCertificate, thumbprint::CertificateThumbprint};

/// `{"x5t#S256": "…"}`: the certificate whose holder may use the token. Unknown members are errors.
///
/// [RFC 8705 §3.1](https://www.rfc-editor.org/rfc/rfc8705#section-3.1), RFC 7800 §3.1
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Confirmation {
    /// SHA-256 thumbprint of the certificate.
    pub x5t_s256: CertificateThumbprint,
    spelling: Spelling,
}

/// How the thumbprint is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Spelling {
    Base64Url,
    /// As some issuers do against the RFC: understood, and confirming nothing unless that is accepted.
    Hex,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    #[serde(rename = "x5t#S256")]
    x5t_s256: String,
}

impl Confirmation {
    /// The confirmation of tokens issued to the holder of `certificate`.
    pub const fn of(certificate: &ClientCertificate) -> Self {
        Self::new(*certificate.thumbprint())
    }

    /// The confirmation by the certificate with this thumbprint.
    pub const fn new(x5t_s256: CertificateThumbprint) -> Self {
        Self {
            x5t_s256,
            spelling: Spelling::Base64Url,
        }
    }

    /// The same, worth as much if its thumbprint was written in hexadecimal digits; for the operator to decide.
    #[must_use]
    pub const fn accepting_hex(self) -> Self {
        Self::new(self.x5t_s256)
    }
}

impl Serialize for Confirmation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let x5t_s256 = match self.spelling {
            Spelling::Base64Url => self.x5t_s256.to_string(),
            Spelling::Hex => self.x5t_s256.to_hex(),
        };
        Members { x5t_s256 }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Confirmation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Members { x5t_s256: text } = Members::deserialize(deserializer)?;
        if let Ok(x5t_s256) = CertificateThumbprint::parse_hex(&text) {
            let spelling = Spelling::Hex;
            return Ok(Self { x5t_s256, spelling });
        }
        CertificateThumbprint::parse(&text)
            .map(Self::new)
            .map_err(de::Error::custom)
    }
}

/// For `cnf` members: absent is `None`, but `null` is as malformed as any other value that is no confirmation.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Confirmation>, D::Error> {
    Confirmation::deserialize(deserializer).map(Some)
}

/// What a route demands of the binding of its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BindingPolicy {
    /// Only bound tokens pass, and only with their certificate.
    #[default]
    Required,
    /// A bound token passes only with its certificate; an unbound one passes.
    IfBound,
    /// The binding is not looked at.
    Off,
}

/// Decides whether a token with `confirmation` may be used on a connection that presented `thumbprint`.
///
/// # Errors
///
/// [`BindingError`] names what is missing or different; to the caller all are one `invalid_token`.
///
/// [RFC 8705 §3](https://www.rfc-editor.org/rfc/rfc8705#section-3)
pub fn verify_binding(
    confirmation: Option<&Confirmation>,
    thumbprint: Option<&CertificateThumbprint>,
    policy: BindingPolicy,
) -> Result<(), BindingError> {
    match (policy, confirmation, thumbprint) {
        (BindingPolicy::Off, _, _) | (BindingPolicy::IfBound, None, _) => Ok(()),
        (BindingPolicy::Required, None, _) => Err(BindingError::NotBound),
        (_, Some(confirmation), _) if confirmation.spelling == Spelling::Hex => {
            Err(BindingError::HexThumbprint)
        }
        (_, Some(_), None) => Err(BindingError::CertificateMissing),
        (_, Some(confirmation), Some(thumbprint)) if confirmation.x5t_s256 == *thumbprint => Ok(()),
        (_, Some(_), Some(_)) => Err(BindingError::OtherCertificate),
    }
}

/// Why a token may not be used on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// The token has no `cnf`, and the policy demands one.
    #[error("the token is not bound to a certificate")]
    NotBound,
    /// The token is bound, and the connection has no client certificate.
    #[error("the token is bound to a certificate and the connection presented none")]
    CertificateMissing,
    /// The thumbprint is written in hexadecimal digits, and nobody said that this will do.
    #[error("the token's x5t#S256 is in hexadecimal digits")]
    HexThumbprint,
    /// The connection's certificate is not the token's.
    #[error("the token is bound to another certificate")]
    OtherCertificate,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirmation_of(der: &[u8]) -> Confirmation {
        Confirmation::new(CertificateThumbprint::of_der(der))
    }

    /// M35, M41.
    #[test]
    fn accepts_the_certificate_that_the_token_is_bound_to() {
        let (mine, thumbprint) = (confirmation_of(b"mine"), CertificateThumbprint::of_der(b"mine"));
        for policy in [
            BindingPolicy::Required,
            BindingPolicy::IfBound,
            BindingPolicy::Off,
        ] {
            assert_eq!(verify_binding(Some(&mine), Some(&thumbprint), policy), Ok(()));
        }
    }

    /// M36, M37.
    #[test]
    fn refuses_another_certificate_and_none() {
        let (mine, other) = (confirmation_of(b"mine"), CertificateThumbprint::of_der(b"other"));
        for policy in [BindingPolicy::Required, BindingPolicy::IfBound] {
            assert_eq!(
                verify_binding(Some(&mine), Some(&other), policy),
                Err(BindingError::OtherCertificate)
            );
            assert_eq!(
                verify_binding(Some(&mine), None, policy),
                Err(BindingError::CertificateMissing)
            );
        }
    }

    /// M38.
    #[test]
    fn refuses_an_unbound_token_only_where_binding_is_required() {
        let thumbprint = CertificateThumbprint::of_der(b"mine");
        assert_eq!(
            verify_binding(None, Some(&thumbprint), BindingPolicy::Required),
            Err(BindingError::NotBound)
        );
        assert_eq!(
            verify_binding(None, Some(&thumbprint), BindingPolicy::IfBound),
            Ok(())
        );
    }

    /// M40, W10: in either letter case, only where it is accepted, and never another certificate's.
    #[test]
    fn refuses_a_thumbprint_in_hexadecimal_digits_unless_it_is_accepted() {
        let (mine, other) = (
            CertificateThumbprint::of_der(b"mine"),
            CertificateThumbprint::of_der(b"other"),
        );
        for hex in [mine.to_hex(), mine.to_hex().to_uppercase()] {
            let json = serde_json::json!({ "x5t#S256": hex });
            let confirmation: Confirmation = serde_json::from_value(json).unwrap();
            for policy in [BindingPolicy::Required, BindingPolicy::IfBound] {
                let verify =
                    |confirmation, thumbprint| verify_binding(Some(&confirmation), Some(&thumbprint), policy);
                assert_eq!(verify(confirmation, mine), Err(BindingError::HexThumbprint));
                assert_eq!(verify(confirmation.accepting_hex(), mine), Ok(()));
                assert_eq!(
                    verify(confirmation.accepting_hex(), other),
                    Err(BindingError::OtherCertificate)
                );
            }
            let written = serde_json::to_value(confirmation).unwrap();
            assert_eq!(written, serde_json::json!({ "x5t#S256": mine.to_hex() }));
        }
    }

    /// M39.
    #[test]
    fn refuses_confirmations_of_another_kind() {
        let right = r#"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"#;
        assert!(serde_json::from_str::<Confirmation>(right).is_ok());
        for wrong in [
            "{}",
            "null",
            r#"{"jkt":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"#,
            r#"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0","jkt":"x"}"#,
            r#"{"x5t#S256":42}"#,
            r#"{"x5t#S256":""}"#,
            r#""{\"x5t#S256\":\"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0\"}""#,
        ] {
            assert!(serde_json::from_str::<Confirmation>(wrong).is_err(), "{wrong}");
        }
    }
}
