//! A record in bytes, as it lies in the journal and in the file: fields in a row, as short as they can be and still be
//! told apart.
//!
//! The first byte names the layout. Older versions wrote JSON, which begins otherwise, and is read for as long as such
//! records lie in a file.

use std::fmt;

use oauth_core::access_token::{TokenDigest, TokenRecord};
use oauth_core::confirmation::Confirmation;
use oauth_core::revocation::CertificateId;
use oauth_core::thumbprint::CertificateThumbprint;
use oauth_core::time::Timestamp;
use uuid::Uuid;

use super::bucket::RecordError;

/// The first byte of this layout.
const LAYOUT: u8 = 1;
/// The first byte of a record of an older version.
const JSON: u8 = b'{';
/// The first byte of several of them.
const JSON_OF_SEVERAL: u8 = b'[';
/// Ends a text: no UTF-8 has this byte.
const END_OF_TEXT: u8 = 0xFF;
const NOTHING: u8 = 0;
const SOMETHING: u8 = 1;
/// More than most records take.
const USUAL_LENGTH: usize = 256;

/// A record in bytes, and what is to be known of it to put it in its place; `Debug` shows the bytes to nobody.
pub(super) struct EncodedRecord {
    pub(super) id: Uuid,
    pub(super) expires_at: Timestamp,
    bytes: Box<[u8]>,
}

impl fmt::Debug for EncodedRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EncodedRecord")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl EncodedRecord {
    pub(super) fn of(record: &TokenRecord) -> Self {
        let mut bytes = Vec::with_capacity(USUAL_LENGTH);
        bytes.push(LAYOUT);
        bytes.extend_from_slice(record.id.as_bytes());
        bytes.extend_from_slice(record.digest.as_bytes());
        for text in [&*record.client_id, record.scope.as_str(), &*record.audience] {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(END_OF_TEXT);
        }
        let confirmation = record.confirmation.as_ref();
        add_optional(
            &mut bytes,
            confirmation.map(|confirmation| confirmation.x5t_s256.as_bytes()),
        );
        add_optional(
            &mut bytes,
            record.certificate.as_ref().map(CertificateId::as_bytes),
        );
        bytes.extend_from_slice(&in_bytes(record.issued_at));
        bytes.extend_from_slice(&in_bytes(record.expires_at));
        add_optional(&mut bytes, record.revoked_at.map(in_bytes).as_ref());
        Self {
            id: record.id,
            expires_at: record.expires_at,
            bytes: bytes.into(),
        }
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn decode(&self) -> Result<TokenRecord, RecordError> {
        decode(&self.bytes)
    }
}

/// The record in these bytes, of this version or an older one.
pub(super) fn decode(bytes: &[u8]) -> Result<TokenRecord, RecordError> {
    if bytes.first() == Some(&JSON) {
        return serde_json::from_slice(bytes).map_err(|_| RecordError::Record);
    }
    let mut fields = Fields(bytes);
    let record = fields.record().ok_or(RecordError::Record)?;
    if fields.0.is_empty() {
        Ok(record)
    } else {
        Err(RecordError::Record)
    }
}

/// The records in these bytes, one behind the other, or as one array of an older version.
pub(super) fn decode_all(bytes: &[u8]) -> Result<Vec<TokenRecord>, RecordError> {
    if bytes.first() == Some(&JSON_OF_SEVERAL) {
        return serde_json::from_slice(bytes).map_err(|_| RecordError::Record);
    }
    let mut fields = Fields(bytes);
    let mut records = Vec::new();
    while !fields.0.is_empty() {
        records.push(fields.record().ok_or(RecordError::Record)?);
    }
    Ok(records)
}

const fn in_bytes(time: Timestamp) -> [u8; 8] {
    time.as_unix_seconds().to_be_bytes()
}

fn add_optional<const LENGTH: usize>(bytes: &mut Vec<u8>, field: Option<&[u8; LENGTH]>) {
    match field {
        Some(field) => {
            bytes.push(SOMETHING);
            bytes.extend_from_slice(field);
        }
        None => bytes.push(NOTHING),
    }
}

/// What has not been read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn record(&mut self) -> Option<TokenRecord> {
        let [LAYOUT] = self.array()? else {
            return None;
        };
        Some(TokenRecord {
            id: Uuid::from_bytes(self.array()?),
            digest: TokenDigest::from_bytes(self.array()?),
            client_id: self.text()?.to_owned(),
            scope: self.text()?.parse().ok()?,
            audience: self.text()?.to_owned(),
            confirmation: self
                .optional()?
                .map(|hash| Confirmation::new(CertificateThumbprint::from_bytes(hash))),
            certificate: self.optional()?.map(CertificateId::from_bytes),
            issued_at: time(self.array()?),
            expires_at: time(self.array()?),
            revoked_at: self.optional()?.map(time),
        })
    }

    fn array<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn text(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|byte| *byte == END_OF_TEXT)?;
        let (text, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(1..)?;
        str::from_utf8(text).ok()
    }

    /// Whether there is one, or nothing where that cannot be told.
    fn optional<const LENGTH: usize>(&mut self) -> Option<Option<[u8; LENGTH]>> {
        match self.array()? {
            [NOTHING] => Some(None),
            [SOMETHING] => self.array().map(Some),
            _ => None,
        }
    }
}

const fn time(bytes: [u8; 8]) -> Timestamp {
    Timestamp::from_unix_seconds(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> TokenRecord {
        TokenRecord {
            id: Uuid::from_u128(7),
            digest: TokenDigest::of("token"),
            client_id: "partner ü".to_owned(),
            scope: "accounts transactions".parse().unwrap(),
            audience: "api.example.com".to_owned(),
            confirmation: Some(Confirmation::new(CertificateThumbprint::of_der(b"certificate"))),
            certificate: Some(CertificateId::new(b"issuer", b"1")),
            issued_at: Timestamp::from_unix_seconds(1_000),
            expires_at: Timestamp::from_unix_seconds(1_900),
            revoked_at: Some(Timestamp::from_unix_seconds(1_100)),
        }
    }

    fn unbound() -> TokenRecord {
        TokenRecord {
            client_id: String::new(),
            scope: "".parse().unwrap(),
            confirmation: None,
            certificate: None,
            revoked_at: None,
            ..record()
        }
    }

    #[test]
    fn reads_back_what_it_wrote() {
        for record in [record(), unbound()] {
            let encoded = EncodedRecord::of(&record);
            assert_eq!((encoded.id, encoded.expires_at), (record.id, record.expires_at));
            assert_eq!(encoded.decode().unwrap(), record);
        }
        let in_a_row = [record(), unbound()]
            .map(|record| EncodedRecord::of(&record).bytes)
            .concat();
        assert_eq!(decode_all(&in_a_row).unwrap(), [record(), unbound()]);
        assert!(decode_all(b"").unwrap().is_empty());
    }

    #[test]
    fn reads_what_older_versions_wrote() {
        for record in [record(), unbound()] {
            assert_eq!(decode(&serde_json::to_vec(&record).unwrap()).unwrap(), record);
        }
    }

    /// Nothing that is missing passes for nothing that was said.
    #[test]
    fn refuses_what_is_cut_off_too_long_or_of_another_layout() {
        let whole = EncodedRecord::of(&record()).bytes;
        for end in 0..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "{end}");
        }
        assert!(decode(&[&whole[..], &[0]].concat()).is_err());
        assert!(decode_all(&[&whole[..], &[LAYOUT]].concat()).is_err());
        for (place, byte) in [
            (0, LAYOUT + 1),
            (1 + 16 + 32, b'\xC0'),
            (whole.len() - 9, SOMETHING + 1),
        ] {
            let mut other = whole.clone();
            assert_ne!(other[place], byte);
            other[place] = byte;
            assert!(decode(&other).is_err(), "{place}");
        }
    }
}
