//! Certificates that their authorities have revoked, and what becomes of the tokens that were issued to them.
//!
//! A certificate is known by its issuer and its serial number, as revocation lists know it; both are kept as one
//! digest, so that a record stays small whatever its certificate's names.

use std::{collections::HashSet, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::{
    access_token::{InactiveToken, TokenRecord},
    time::Timestamp,
};

/// SHA-256 over a certificate's issuer and serial number.
///
/// [RFC 5280 §4.1.2.2](https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.2)
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CertificateId([u8; 32]);

impl CertificateId {
    /// The certificate that the authority `issuer`, a name in DER, gave this serial number.
    pub fn new(issuer: &[u8], serial: &[u8]) -> Self {
        let mut hash = Sha256::new();
        // A name in DER says where it ends, so no other pair gives the same bytes.
        hash.update(issuer);
        hash.update(serial);
        Self(hash.finalize().into())
    }

    /// The id that was kept as these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for CertificateId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CertificateId({})", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Serialize for CertificateId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for CertificateId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(de::Error::custom)?;
        let bytes = bytes.try_into().map_err(|_| de::Error::custom("not 32 bytes"))?;
        Ok(Self(bytes))
    }
}

/// What the revocation lists in force say: 32 bytes for each certificate in them, and one look-up for each question.
///
/// RFC 5280 §5.3
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevokedCertificates {
    certificates: HashSet<CertificateId>,
    published_at: Option<Timestamp>,
}

impl RevokedCertificates {
    /// Adds what a list says that was published at `published_at`.
    pub fn add(&mut self, published_at: Timestamp, certificates: impl IntoIterator<Item = CertificateId>) {
        let before = self.certificates.len();
        self.certificates.extend(certificates);
        if self.certificates.len() > before {
            self.published_at = self.published_at.max(Some(published_at));
        }
    }

    /// Whether the token of `record` survives what the lists say.
    ///
    /// A record of an older version does not say which certificate its token is bound to. Fails closed: such a token
    /// is inactive once any certificate is on a list that was published after the token's issue.
    ///
    /// # Errors
    ///
    /// [`InactiveToken::CertificateRevoked`].
    pub fn verify(&self, record: &TokenRecord) -> Result<(), InactiveToken> {
        let is_revoked = match (&record.certificate, &record.confirmation) {
            (Some(certificate), _) => self.certificates.contains(certificate),
            (None, Some(_)) => self
                .published_at
                .is_some_and(|published_at| published_at >= record.issued_at),
            // Of a client that has no certificate.
            (None, None) => false,
        };
        if is_revoked {
            Err(InactiveToken::CertificateRevoked)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::{access_token::TokenDigest, confirmation::Confirmation, thumbprint::CertificateThumbprint};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);
    const REVOKED: Result<(), InactiveToken> = Err(InactiveToken::CertificateRevoked);

    fn record(certificate: Option<CertificateId>) -> TokenRecord {
        TokenRecord {
            id: Uuid::from_u128(1),
            digest: TokenDigest::of("token"),
            client_id: "partner-client".to_owned(),
            scope: "transactions".parse().unwrap(),
            audience: "api.example.com".to_owned(),
            confirmation: Some(Confirmation::new(CertificateThumbprint::of_der(b"certificate"))),
            certificate,
            issued_at: NOW,
            expires_at: NOW.plus(Duration::from_secs(900)),
            revoked_at: None,
        }
    }

    fn listing(published_at: Timestamp, certificates: &[CertificateId]) -> RevokedCertificates {
        let mut revoked = RevokedCertificates::default();
        revoked.add(published_at, certificates.iter().copied());
        revoked
    }

    /// I5.
    #[test]
    fn a_token_of_a_listed_certificate_is_inactive_and_no_other() {
        let (issuer, serial) = (b"issuer".as_slice(), b"1".as_slice());
        let certificate = CertificateId::new(issuer, serial);
        let others = [
            CertificateId::new(issuer, b"2"),
            CertificateId::new(b"namesake", serial),
        ];
        // Whenever the list was published.
        for published_at in [NOW.minus(Duration::from_secs(500)), NOW] {
            let revoked = listing(published_at, &[certificate]);
            assert_eq!(revoked.verify(&record(Some(certificate))), REVOKED);
            for other in others {
                assert_eq!(revoked.verify(&record(Some(other))), Ok(()));
            }
        }
        assert_eq!(
            RevokedCertificates::default().verify(&record(Some(certificate))),
            Ok(())
        );
    }

    /// I5: fails closed for what an older version has left, and for as little as that.
    #[test]
    fn a_bound_token_of_an_unknown_certificate_is_inactive_once_a_later_list_revokes_anybody() {
        let somebody = [CertificateId::new(b"issuer", b"1")];
        let earlier = NOW.minus(Duration::from_secs(1));
        assert_eq!(listing(NOW, &somebody).verify(&record(None)), REVOKED);
        assert_eq!(listing(earlier, &somebody).verify(&record(None)), Ok(()));
        assert_eq!(listing(NOW, &[]).verify(&record(None)), Ok(()));
        let unbound = TokenRecord {
            confirmation: None,
            ..record(None)
        };
        assert_eq!(listing(NOW, &somebody).verify(&unbound), Ok(()));
    }

    #[test]
    fn a_record_says_which_certificate_and_one_of_an_older_version_does_not() {
        let certificate = CertificateId::new(b"issuer", b"1");
        let json = serde_json::to_value(record(Some(certificate))).unwrap();
        assert_eq!(json["certificate"].as_str().unwrap().len(), 43);
        let read: TokenRecord = serde_json::from_value(json).unwrap();
        assert_eq!(read, record(Some(certificate)));
        let older = serde_json::to_value(record(None)).unwrap();
        assert!(older.get("certificate").is_none());
        assert_eq!(
            serde_json::from_value::<TokenRecord>(older).unwrap(),
            record(None)
        );
    }
}
