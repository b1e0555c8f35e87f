//! A certificate described for the one who registers it: every value exactly as it goes into the configuration.

use std::fmt;

use oauth_core::{certificate::ClientCertificate, distinguished_name::DistinguishedName, time::Timestamp};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use x509_cert::ext::pkix::{SubjectAltName, name::GeneralName};

use crate::{
    certificate::Certificate, error::Error, subject_alternative_name::SubjectAlternativeName,
    validity::date_time,
};

/// Extended key usages that have a name. RFC 5280 §4.2.1.12
const PURPOSES: [(&str, &str); 3] = [
    ("1.3.6.1.5.5.7.3.1", "serverAuth"),
    ("1.3.6.1.5.5.7.3.2", "clientAuth"),
    ("2.5.29.37.0", "anyExtendedKeyUsage"),
];

/// One value a client can be registered under.
///
/// [RFC 8705 §2.1.2](https://www.rfc-editor.org/rfc/rfc8705#section-2.1.2)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The registration key, such as `tls_client_auth_san_dns`.
    pub key: &'static str,
    /// Its value.
    pub value: String,
}

/// What a certificate says, as text.
#[derive(Clone, Debug)]
pub struct Description {
    subject: String,
    subject_alternative_names: Vec<String>,
    issuer: String,
    serial: String,
    not_before: String,
    not_after: String,
    state: &'static str,
    extended_key_usage: Option<Vec<String>>,
    serves_clients: bool,
    thumbprint: String,
    registrations: Vec<Registration>,
}

impl Description {
    /// Describes `certificate` as it is at `now`.
    ///
    /// # Errors
    ///
    /// [`Error::NotACertificate`] where an extension cannot be read.
    pub fn of(certificate: &Certificate, now: Timestamp) -> Result<Self, Error> {
        let read = ClientCertificate::from_der(certificate.der()).map_err(|_| Error::NotACertificate)?;
        let usages = read.extended_key_usage();
        let serves_clients = usages.is_none() || read.has_client_auth_usage();
        Ok(Self {
            subject: read.subject().to_string(),
            subject_alternative_names: subject_alternative_names(certificate)?,
            issuer: DistinguishedName::from(certificate.tbs().issuer()).to_string(),
            serial: certificate
                .serial()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            not_before: rfc3339(read.not_before())?,
            not_after: rfc3339(read.not_after())?,
            state: state(&read, now),
            serves_clients,
            extended_key_usage: usages.map(|usages| usages.into_iter().map(purpose_name).collect()),
            thumbprint: read.thumbprint().to_string(),
            registrations: if serves_clients {
                registrations(&read)
            } else {
                Vec::new()
            },
        })
    }

    /// Every value the certificate's owner can be registered under, and a registration holds exactly one of them;
    /// none where the certificate cannot serve a client.
    pub fn registrations(&self) -> &[Registration] {
        &self.registrations
    }

    /// The same as JSON, for scripts.
    pub fn to_json(&self) -> Value {
        let registrations: Vec<_> = self
            .registrations
            .iter()
            .map(|registration| json!({ "key": registration.key, "value": registration.value }))
            .collect();
        json!({
            "subject": self.subject,
            "subject_alternative_names": self.subject_alternative_names,
            "issuer": self.issuer,
            "serial": self.serial,
            "not_before": self.not_before,
            "not_after": self.not_after,
            "state": self.state,
            "extended_key_usage": self.extended_key_usage,
            "x5t#S256": self.thumbprint,
            "registrations": registrations,
        })
    }
}

impl fmt::Display for Description {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usage = self
            .extended_key_usage
            .as_ref()
            .map_or_else(|| "any (none named)".to_owned(), |usage| usage.join(", "));
        line(formatter, "subject", &self.subject)?;
        if self.subject_alternative_names.is_empty() {
            line(formatter, "subjectAltName", "none")?;
        }
        for name in &self.subject_alternative_names {
            line(formatter, "subjectAltName", name)?;
        }
        line(formatter, "issuer", &self.issuer)?;
        line(formatter, "serial", &self.serial)?;
        line(formatter, "valid from", &self.not_before)?;
        line(formatter, "valid until", &self.not_after)?;
        line(formatter, "state", self.state)?;
        line(formatter, "extended key usage", &usage)?;
        line(formatter, "x5t#S256", &self.thumbprint)?;
        if !self.serves_clients {
            return writeln!(
                formatter,
                "\nNot a client's certificate: its extended key usage lacks clientAuth."
            );
        }
        writeln!(
            formatter,
            "\nTo register its owner as a client (tls_client_auth), use exactly one of:"
        )?;
        self.registrations
            .iter()
            .try_for_each(|registration| line(formatter, registration.key, &registration.value))
    }
}

fn line(formatter: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    writeln!(formatter, "{name:<28}{value}")
}

/// Every name in the certificate's own order, also those that nobody can be registered under.
fn subject_alternative_names(certificate: &Certificate) -> Result<Vec<String>, Error> {
    let names = certificate
        .tbs()
        .get_extension::<SubjectAltName>()
        .map_err(|_| Error::NotACertificate)?;
    let names = names.map_or_else(Vec::new, |(_, names)| names.0);
    Ok(names.iter().map(subject_alternative_name).collect())
}

fn subject_alternative_name(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(name) => format!("DNS:{}", name.as_str()),
        GeneralName::UniformResourceIdentifier(uri) => format!("URI:{}", uri.as_str()),
        GeneralName::Rfc822Name(address) => format!("email:{}", address.as_str()),
        GeneralName::IpAddress(_) => SubjectAlternativeName::from_requested(name).map_or_else(
            |_| "IP: neither of four nor of sixteen bytes".to_owned(),
            |name| name.to_string(),
        ),
        GeneralName::OtherName(other) => format!("otherName: of type {}", other.type_id),
        GeneralName::DirectoryName(name) => format!("directoryName:{}", DistinguishedName::from(name)),
        GeneralName::EdiPartyName(_) => "ediPartyName".to_owned(),
        GeneralName::RegisteredId(id) => format!("registeredID:{id}"),
    }
}

fn registrations(certificate: &ClientCertificate) -> Vec<Registration> {
    let names = certificate.subject_alternative_names();
    let mut registrations = Vec::new();
    let mut add = |key, value: String| registrations.push(Registration { key, value });
    if !certificate.subject().is_empty() {
        add("tls_client_auth_subject_dn", certificate.subject().to_string());
    }
    names
        .dns_names()
        .iter()
        .for_each(|name| add("tls_client_auth_san_dns", name.clone()));
    names
        .uris()
        .iter()
        .for_each(|uri| add("tls_client_auth_san_uri", uri.clone()));
    names
        .ip_addresses()
        .iter()
        .for_each(|address| add("tls_client_auth_san_ip", address.to_string()));
    names
        .email_addresses()
        .iter()
        .for_each(|address| add("tls_client_auth_san_email", address.clone()));
    registrations
}

fn state(certificate: &ClientCertificate, now: Timestamp) -> &'static str {
    if now < certificate.not_before() {
        "not yet valid"
    } else if now > certificate.not_after() {
        "expired"
    } else {
        "valid"
    }
}

fn purpose_name(oid: String) -> String {
    PURPOSES
        .iter()
        .find(|(known, _)| *known == oid)
        .map_or(oid, |(_, name)| (*name).to_owned())
}

fn rfc3339(timestamp: Timestamp) -> Result<String, Error> {
    date_time(timestamp)?
        .format(&Rfc3339)
        .map_err(|_| Error::NotACertificate)
}

#[cfg(test)]
mod tests;
