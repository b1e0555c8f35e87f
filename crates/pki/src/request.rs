//! Certificate signing requests: proof of possession first, then what the requester wishes to be called.
//!
//! Whatever else a request asks for (CA rights, key usages, key identifiers) is ignored, because the root decides it.

use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::{
    der::{Decode as _, Encode as _},
    ext::{Extension, pkix::SubjectAltName},
    request::{CertReq, CertReqInfo, ExtensionReq},
};

use crate::{
    error::Error, pem, signature, subject::Subject, subject_alternative_name::SubjectAlternativeName,
};

/// `keytool` still writes the second.
const PEM_LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// A request whose sender has proven to hold the private key.
///
/// [RFC 2986 §4](https://www.rfc-editor.org/rfc/rfc2986#section-4)
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    subject: Subject,
    subject_alternative_names: Vec<SubjectAlternativeName>,
    public_key_info: Vec<u8>,
}

impl CertificateRequest {
    /// Reads a request (PEM or DER) and verifies its signature.
    ///
    /// # Errors
    ///
    /// [`Error::NotARequest`]; [`Error::WeakKey`] and [`Error::UnsupportedKey`] for a key that is not to be certified;
    /// [`Error::NoProofOfPossession`] where the signature does not verify;
    /// [`Error::NamesNobody`] without subject and names; [`Error::UnsupportedAlternativeName`] and
    /// [`Error::BadAlternativeName`] for names that cannot be certified.
    pub fn from_pem_or_der(file: &[u8]) -> Result<Self, Error> {
        let der = pem::der_of(file, &PEM_LABELS).ok_or(Error::NotARequest)?;
        let request = CertReq::from_der(&der).map_err(|_| Error::NotARequest)?;
        signature::verify_key(&request.info.public_key)?;
        if !signature::is_valid(
            &request.info,
            &request.algorithm,
            &request.signature,
            &request.info.public_key,
        ) {
            return Err(Error::NoProofOfPossession);
        }
        let request = Self {
            subject: Subject::from_name(request.info.subject.clone()),
            subject_alternative_names: requested_names(&request.info)?,
            public_key_info: request.info.public_key.to_der()?,
        };
        if request.subject.is_empty() && request.subject_alternative_names.is_empty() {
            return Err(Error::NamesNobody);
        }
        Ok(request)
    }

    /// The subject, exactly as requested.
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The requested subjectAltNames.
    pub fn subject_alternative_names(&self) -> &[SubjectAlternativeName] {
        &self.subject_alternative_names
    }

    /// Whether a peer that looks for a host finds one: in the subject nobody looks any more. RFC 9525 §2
    pub(crate) fn names_a_host(&self) -> bool {
        self.subject_alternative_names
            .iter()
            .any(SubjectAlternativeName::is_host)
    }

    pub(crate) fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }
}

/// The names of the extension request attribute. Several such attributes, or several names extensions, add up.
fn requested_names(info: &CertReqInfo) -> Result<Vec<SubjectAlternativeName>, Error> {
    let mut names = Vec::new();
    for attribute in info
        .attributes
        .iter()
        .filter(|attribute| attribute.oid == ExtensionReq::OID)
    {
        for value in attribute.values.iter() {
            let extensions = value
                .decode_as::<Vec<Extension>>()
                .map_err(|_| Error::NotARequest)?;
            for extension in extensions
                .iter()
                .filter(|extension| extension.extn_id == SubjectAltName::OID)
            {
                let requested = SubjectAltName::from_der(extension.extn_value.as_bytes())
                    .map_err(|_| Error::UnsupportedAlternativeName)?;
                for name in &requested.0 {
                    names.push(SubjectAlternativeName::from_requested(name)?);
                }
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
