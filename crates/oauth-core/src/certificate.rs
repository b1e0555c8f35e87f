//! What the rules need to know of a client certificate, read once from its DER and kept.
//!
//! Nothing here decides whether the certificate is trusted: the TLS handshake did, or the connection does not exist.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
    ext::pkix::{ExtendedKeyUsage, SubjectAltName, name::GeneralName},
};

use crate::{
    distinguished_name::DistinguishedName, revocation::CertificateId, thumbprint::CertificateThumbprint,
    time::Timestamp,
};

/// id-kp-clientAuth. RFC 5280 §4.2.1.12
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

/// A client certificate: its bytes, its thumbprint, and the names a client may be registered under.
///
/// [RFC 8705 §2.1](https://www.rfc-editor.org/rfc/rfc8705#section-2.1)
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    der: Vec<u8>,
    thumbprint: CertificateThumbprint,
    subject: DistinguishedName,
    subject_alternative_names: SubjectAlternativeNames,
    extended_key_usage: Option<ExtendedKeyUsage>,
    serial: Vec<u8>,
    id: CertificateId,
    self_issued: bool,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl ClientCertificate {
    /// Reads a certificate from its DER encoding.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] where the bytes are not one X.509 certificate, or carry an extension that cannot be read:
    /// a certificate that is only half understood identifies nobody.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        let tbs = certificate.tbs_certificate();
        let names = tbs
            .get_extension::<SubjectAltName>()
            .map_err(|_| CertificateError::SubjectAltName)?;
        let usage = tbs
            .get_extension::<ExtendedKeyUsage>()
            .map_err(|_| CertificateError::ExtendedKeyUsage)?;
        Ok(Self {
            der: der.to_vec(),
            thumbprint: CertificateThumbprint::of_der(der),
            subject: DistinguishedName::from(tbs.subject()),
            subject_alternative_names: names
                .map(|(_, names)| SubjectAlternativeNames::from(&names))
                .unwrap_or_default(),
            extended_key_usage: usage.map(|(_, usage)| usage),
            serial: tbs.serial_number().as_bytes().to_vec(),
            id: CertificateId::new(
                &tbs.issuer().to_der().map_err(|_| CertificateError::Malformed)?,
                tbs.serial_number().as_bytes(),
            ),
            self_issued: tbs.issuer() == tbs.subject(),
            not_before: Timestamp::from(tbs.validity().not_before.to_system_time()),
            not_after: Timestamp::from(tbs.validity().not_after.to_system_time()),
        })
    }

    /// The certificate as it came.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of [`der`](Self::der): the `x5t#S256` of tokens bound to this certificate.
    ///
    /// RFC 8705 §3.1
    pub const fn thumbprint(&self) -> &CertificateThumbprint {
        &self.thumbprint
    }

    /// The subject's distinguished name; empty where the certificate has none.
    pub const fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// The names of the subjectAltName extension, by type.
    pub const fn subject_alternative_names(&self) -> &SubjectAlternativeNames {
        &self.subject_alternative_names
    }

    /// The serial number's bytes, big-endian, as encoded.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// What revocation lists know the certificate by.
    ///
    /// RFC 5280 §5.3
    pub const fn id(&self) -> CertificateId {
        self.id
    }

    /// Whether the certificate names itself as its issuer, as every self-signed one does: no authority vouches for
    /// the names in it.
    ///
    /// RFC 5280 §3.2
    pub const fn is_self_issued(&self) -> bool {
        self.self_issued
    }

    /// The first second of validity.
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The last second of validity.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether `now` lies in the certificate's validity; checked again on connections that live long.
    ///
    /// RFC 5280 §4.1.2.5
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Whether the extension extendedKeyUsage is present and lists clientAuth.
    ///
    /// RFC 5280 §4.2.1.12
    pub fn has_client_auth_usage(&self) -> bool {
        self.extended_key_usage
            .as_ref()
            .is_some_and(|usage| usage.0.iter().any(|purpose| purpose.to_string() == CLIENT_AUTH))
    }

    /// The purposes of the extension extendedKeyUsage, as dotted OIDs; `None` where it is absent.
    pub fn extended_key_usage(&self) -> Option<Vec<String>> {
        self.extended_key_usage
            .as_ref()
            .map(|usage| usage.0.iter().map(ToString::to_string).collect())
    }
}

/// The names of a subjectAltName extension, each type apart: a value of one type never matches another's.
///
/// RFC 5280 §4.2.1.6
#[derive(Clone, Debug, Default)]
pub struct SubjectAlternativeNames {
    dns_names: Vec<String>,
    uris: Vec<String>,
    ip_addresses: Vec<IpAddr>,
    email_addresses: Vec<String>,
}

impl SubjectAlternativeNames {
    /// The dNSName entries, as written.
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }

    /// The uniformResourceIdentifier entries, as written.
    pub fn uris(&self) -> &[String] {
        &self.uris
    }

    /// The iPAddress entries of four or sixteen bytes.
    pub fn ip_addresses(&self) -> &[IpAddr] {
        &self.ip_addresses
    }

    /// The rfc822Name entries, as written.
    pub fn email_addresses(&self) -> &[String] {
        &self.email_addresses
    }
}

impl From<&SubjectAltName> for SubjectAlternativeNames {
    fn from(names: &SubjectAltName) -> Self {
        let mut sorted = Self::default();
        for name in &names.0 {
            match name {
                GeneralName::DnsName(name) => sorted.dns_names.push(name.as_str().to_owned()),
                GeneralName::UniformResourceIdentifier(uri) => sorted.uris.push(uri.as_str().to_owned()),
                GeneralName::Rfc822Name(address) => sorted.email_addresses.push(address.as_str().to_owned()),
                GeneralName::IpAddress(bytes) => sorted.ip_addresses.extend(ip_address(bytes.as_bytes())),
                GeneralName::OtherName(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EdiPartyName(_)
                | GeneralName::RegisteredId(_) => {}
            }
        }
        sorted
    }
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
    let v6 = <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
    v4.or(v6).ok()
}

/// Why a certificate cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not the DER of one X.509 certificate.
    #[error("the bytes are not the DER encoding of an X.509 certificate")]
    Malformed,
    /// The subjectAltName extension is unreadable or stands twice.
    #[error("the certificate's subjectAltName extension is unreadable or stands twice")]
    SubjectAltName,
    /// The extendedKeyUsage extension is unreadable or stands twice.
    #[error("the certificate's extendedKeyUsage extension is unreadable or stands twice")]
    ExtendedKeyUsage,
}

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType, date_time_ymd,
        string::Ia5String,
    };

    use super::*;

    fn der(params: &CertificateParams) -> Vec<u8> {
        params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .der()
            .to_vec()
    }

    #[test]
    fn reads_names_usage_and_validity() {
        let mut params = CertificateParams::default();
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CountryName, "SE");
        params.distinguished_name.push(DnType::CommonName, "demo-partner");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![
            SanType::DnsName(Ia5String::try_from("a.example").unwrap()),
            SanType::Rfc822Name(Ia5String::try_from("a@example").unwrap()),
            SanType::URI(Ia5String::try_from("https://a.example").unwrap()),
            SanType::IpAddress("10.0.0.1".parse().unwrap()),
        ];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2030, 1, 1));
        let der = der(&params);
        let certificate = ClientCertificate::from_der(&der).unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=demo-partner,C=SE");
        assert_eq!(certificate.thumbprint(), &CertificateThumbprint::of_der(&der));
        let names = certificate.subject_alternative_names();
        assert_eq!(names.dns_names(), ["a.example"]);
        assert_eq!(names.email_addresses(), ["a@example"]);
        assert_eq!(names.uris(), ["https://a.example"]);
        assert_eq!(names.ip_addresses(), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(certificate.has_client_auth_usage());
        assert!(certificate.is_valid_at(Timestamp::from_unix_seconds(1_800_000_000)));
    }

    #[test]
    fn tells_server_only_and_silent_certificates_from_client_certificates() {
        let mut server_only = CertificateParams::default();
        server_only.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server_only = ClientCertificate::from_der(&der(&server_only)).unwrap();
        assert!(!server_only.has_client_auth_usage());
        assert_eq!(server_only.extended_key_usage().unwrap().len(), 1);
        let silent = ClientCertificate::from_der(&der(&CertificateParams::default())).unwrap();
        assert!(!silent.has_client_auth_usage() && silent.extended_key_usage().is_none());
    }

    /// T3, T4: also on a connection that outlives the handshake's check.
    #[test]
    fn is_valid_only_between_its_dates() {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        let certificate = ClientCertificate::from_der(&der(&params)).unwrap();
        let second = std::time::Duration::from_secs(1);
        assert!(
            certificate.is_valid_at(certificate.not_before())
                && certificate.is_valid_at(certificate.not_after())
        );
        assert!(!certificate.is_valid_at(certificate.not_before().minus(second)));
        assert!(!certificate.is_valid_at(certificate.not_after().plus(second)));
    }

    /// T11.
    #[test]
    fn refuses_what_is_no_certificate() {
        let right = der(&CertificateParams::default());
        let truncated = right.get(..right.len() - 1).unwrap();
        let trailing = [&right[..], b"x"].concat();
        for bytes in [&b""[..], b"\x30\x00", truncated, &trailing] {
            assert_eq!(
                ClientCertificate::from_der(bytes).unwrap_err(),
                CertificateError::Malformed
            );
        }
    }
}
