//! The revocation list, which is also the only record of what was revoked: read, add, sign again.
//!
//! A list is read only when this root signed it. Its number never falls, even when the file was lost: it is at least
//! the time of signing.

use oauth_core::time::Timestamp;
use rcgen::{CertificateRevocationListParams, RevokedCertParams, SerialNumber};
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::{crl::CertificateList, der::Decode as _, ext::pkix::CrlNumber};

use crate::{
    certificate::{Certificate, significant},
    error::Error,
    layout::{self, REVOCATION_LIST_ISSUER},
    pem,
    root::Root,
    signature,
    validity::{Days, date_time},
};

const PEM_LABEL: &str = "X509 CRL";

/// One entry of a revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCertificate {
    /// The certificate's serial number, without leading zeros.
    pub serial: Vec<u8>,
    /// When it was revoked.
    pub revoked_at: Timestamp,
}

/// A signed certificate revocation list.
///
/// [RFC 5280 §5](https://www.rfc-editor.org/rfc/rfc5280#section-5)
#[derive(Clone, Debug)]
pub struct RevocationList {
    der: Vec<u8>,
    number: u64,
    next_update: Timestamp,
    revoked: Vec<RevokedCertificate>,
}

impl RevocationList {
    /// The first list of a root, with nothing revoked.
    ///
    /// # Errors
    ///
    /// [`Error`] where it cannot be made.
    pub fn empty(root: &Root, lifetime: Days, now: Timestamp) -> Result<Self, Error> {
        Self::sign(Vec::new(), 0, root, lifetime, now)
    }

    /// Reads a list (PEM or DER) that `root` has signed.
    ///
    /// # Errors
    ///
    /// [`Error::NotARevocationList`]; [`Error::ForeignRevocationList`] where another key signed it;
    /// [`Error::CrlNumber`] where its number is absent or beyond what this tool counts to.
    pub fn from_pem_or_der(file: &[u8], root: &Root) -> Result<Self, Error> {
        let der = pem::der_of(file, &[PEM_LABEL]).ok_or(Error::NotARevocationList)?;
        let list = CertificateList::from_der(&der).map_err(|_| Error::NotARevocationList)?;
        if !is_signed_by(&list, root) {
            return Err(Error::ForeignRevocationList);
        }
        let entries = list.tbs_cert_list.revoked_certificates.iter().flatten();
        let revoked = entries.map(|entry| RevokedCertificate {
            serial: significant(entry.serial_number.as_bytes()).to_vec(),
            revoked_at: Timestamp::from(entry.revocation_date.to_system_time()),
        });
        Ok(Self {
            number: number_of(&list)?,
            revoked: revoked.collect(),
            // A list without nextUpdate promises nothing: it counts as overdue, so that it is signed again.
            next_update: list
                .tbs_cert_list
                .next_update
                .map_or(Timestamp::from_unix_seconds(0), |time| {
                    Timestamp::from(time.to_system_time())
                }),
            der,
        })
    }

    /// The same list with `certificate` in it; unchanged where it is there already.
    ///
    /// # Errors
    ///
    /// [`Error::NotIssuedHere`] where `root` did not issue the certificate, [`Error::RevokesAuthority`] where it is the
    /// root's own: who trusts a root looks for it in no list.
    ///
    /// RFC 5280 §5.1.2.6
    pub fn revoke(
        &self,
        certificate: &Certificate,
        root: &Root,
        lifetime: Days,
        now: Timestamp,
    ) -> Result<Self, Error> {
        if !root.has_issued(certificate) {
            return Err(Error::NotIssuedHere);
        }
        if certificate.is_ca() {
            return Err(Error::RevokesAuthority);
        }
        if self.lists(certificate) {
            return Ok(self.clone());
        }
        let mut revoked = self.revoked.clone();
        revoked.push(RevokedCertificate {
            serial: certificate.serial().to_vec(),
            revoked_at: now,
        });
        Self::sign(revoked, self.number, root, lifetime, now)
    }

    /// The same entries, signed again with fresh dates and the next number.
    ///
    /// # Errors
    ///
    /// [`Error`] where it cannot be made.
    pub fn renew(&self, root: &Root, lifetime: Days, now: Timestamp) -> Result<Self, Error> {
        Self::sign(self.revoked.clone(), self.number, root, lifetime, now)
    }

    /// Whether the list names the certificate's serial number.
    pub fn lists(&self, certificate: &Certificate) -> bool {
        self.revoked
            .iter()
            .any(|entry| entry.serial == certificate.serial())
    }

    /// Everything that is revoked, oldest first.
    pub fn revoked(&self) -> &[RevokedCertificate] {
        &self.revoked
    }

    /// The CRL number; each list has a larger one than the list before.
    ///
    /// RFC 5280 §5.2.3
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When a strict reader stops believing this list.
    pub const fn next_update(&self) -> Timestamp {
        self.next_update
    }

    /// The list as DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The list as PEM.
    ///
    /// # Errors
    ///
    /// [`Error::Encoding`] where it is too large for PEM.
    pub fn pem(&self) -> Result<String, Error> {
        pem::encode(PEM_LABEL, &self.der)
    }

    fn sign(
        revoked: Vec<RevokedCertificate>,
        previous_number: u64,
        root: &Root,
        lifetime: Days,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let number = previous_number.saturating_add(1).max(now.as_unix_seconds());
        let validity = crate::validity::Validity::starting(lifetime, now);
        let entries = revoked.iter().map(|entry| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&entry.serial),
                revocation_time: date_time(entry.revoked_at)?,
                reason_code: None,
                invalidity_date: None,
            })
        });
        let params = CertificateRevocationListParams {
            this_update: date_time(validity.not_before)?,
            next_update: date_time(validity.not_after)?,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: entries.collect::<Result<_, Error>>()?,
            key_identifier_method: root.key_identifier(),
        };
        let laid_out = root.with_issuer(|issuer| Ok(params.signed_by(issuer)?))?;
        let names = [(REVOCATION_LIST_ISSUER, root.certificate().tbs().subject())];
        let der = layout::sign(laid_out.der(), &names, root.key())?;
        Ok(Self {
            der,
            number,
            next_update: validity.not_after,
            revoked,
        })
    }
}

fn is_signed_by(list: &CertificateList, root: &Root) -> bool {
    let issuer = root.certificate().tbs();
    list.tbs_cert_list.issuer == *issuer.subject()
        && signature::is_valid(
            &list.tbs_cert_list,
            &list.signature_algorithm,
            &list.signature,
            issuer.subject_public_key_info(),
        )
}

fn number_of(list: &CertificateList) -> Result<u64, Error> {
    let extensions = list.tbs_cert_list.crl_extensions.iter().flatten();
    let extension = extensions
        .into_iter()
        .find(|extension| extension.extn_id == CrlNumber::OID);
    let number = extension
        .and_then(|extension| CrlNumber::from_der(extension.extn_value.as_bytes()).ok())
        .ok_or(Error::CrlNumber)?;
    let bytes = significant(number.0.as_bytes());
    if bytes.len() > size_of::<u64>() {
        return Err(Error::CrlNumber);
    }
    Ok(bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests;
