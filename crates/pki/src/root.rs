//! The root: made or loaded, and everything it signs.
//!
//! There is no intermediate (`pathlen:0`): whoever trusts the root trusts exactly what this one key has signed.

use oauth_core::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyUsagePurpose, PublicKeyData, SerialNumber, SubjectPublicKeyInfo,
};

use crate::{
    certificate::Certificate,
    error::Error,
    identity::Identity,
    key::{KeyAlgorithm, PrivateKey},
    layout::{self, CERTIFICATE_ISSUER, CERTIFICATE_SUBJECT, LayoutKey},
    request::CertificateRequest,
    signature,
    subject::Subject,
    subject_alternative_name::SubjectAlternativeName,
    validity::{Days, Validity, date_time},
};

/// The subject of every root made here; the rogue fixture's root carries it too.
const SUBJECT: &str = "CN=certbound demo root,O=certbound,C=SE";

/// What a leaf may be used for: its only extended key usage.
///
/// RFC 5280 §4.2.1.12
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// `serverAuth`.
    Server,
    /// `clientAuth`.
    Client,
}

/// What a leaf certificate says besides its key and its usage.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The subject.
    pub subject: Subject,
    /// The names of the subjectAltName extension; none leaves the extension out.
    pub subject_alternative_names: Vec<SubjectAlternativeName>,
    /// From when until when; the root cuts off what would outlive it.
    pub validity: Validity,
}

/// A root certificate and its key.
#[derive(Debug)]
pub struct Root {
    certificate: Certificate,
    key: PrivateKey,
}

impl Root {
    /// Makes a new root.
    ///
    /// # Errors
    ///
    /// [`Error`] where the key or the certificate cannot be made.
    pub fn create(algorithm: KeyAlgorithm, now: Timestamp) -> Result<Self, Error> {
        Self::create_with_key(PrivateKey::generate(algorithm)?, now)
    }

    /// Makes a new root certificate for a key that is there already: what the key signed before stays valid.
    ///
    /// # Errors
    ///
    /// [`Error`] where the certificate cannot be made.
    pub fn create_with_key(key: PrivateKey, now: Timestamp) -> Result<Self, Error> {
        Self::self_signed(&SUBJECT.parse()?, key, now)
    }

    /// The same root, subject and key, with a certificate that starts now.
    ///
    /// # Errors
    ///
    /// [`Error`] where the certificate cannot be made.
    pub fn renew(self, now: Timestamp) -> Result<Self, Error> {
        Self::self_signed(&self.certificate.subject(), self.key, now)
    }

    /// Takes a root that is there already.
    ///
    /// # Errors
    ///
    /// [`Error::KeyMismatch`] where the two do not belong together, [`Error::NotAnAuthority`] where the certificate may
    /// not sign others.
    pub fn new(certificate: Certificate, key: PrivateKey) -> Result<Self, Error> {
        if certificate.public_key_info()? != key.public_key_info() {
            return Err(Error::KeyMismatch);
        }
        if !certificate.is_authority() {
            return Err(Error::NotAnAuthority);
        }
        Ok(Self { certificate, key })
    }

    /// Loads a root from the contents of `root.pem` and `root.key`.
    ///
    /// # Errors
    ///
    /// Those of [`Root::new`], and [`Error::NotACertificate`] or [`Error::NotAPrivateKey`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, Error> {
        Self::new(
            Certificate::from_pem_or_der(certificate)?,
            PrivateKey::from_pem(key)?,
        )
    }

    /// The root certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The root's key.
    pub const fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Makes a key and a server certificate for it.
    ///
    /// # Errors
    ///
    /// [`Error`] where the key or the certificate cannot be made.
    pub fn issue_server(&self, leaf: &Leaf, algorithm: KeyAlgorithm) -> Result<Identity, Error> {
        self.issue(Usage::Server, leaf, PrivateKey::generate(algorithm)?)
    }

    /// Makes a key and a client certificate for it.
    ///
    /// # Errors
    ///
    /// [`Error`] where the key or the certificate cannot be made.
    pub fn issue_client(&self, leaf: &Leaf, algorithm: KeyAlgorithm) -> Result<Identity, Error> {
        self.issue(Usage::Client, leaf, PrivateKey::generate(algorithm)?)
    }

    /// Certifies a key that is there already.
    ///
    /// # Errors
    ///
    /// [`Error`] where the certificate cannot be made.
    pub fn issue(&self, usage: Usage, leaf: &Leaf, key: PrivateKey) -> Result<Identity, Error> {
        let certificate = self.certify(usage, leaf, self.within_own(leaf.validity)?, key.pair())?;
        Ok(Identity::new(certificate, key))
    }

    /// Certifies a key for a time that may lie outside the root's own: nothing but a refused fixture needs it.
    pub(crate) fn issue_outside_own_validity(&self, leaf: &Leaf, key: PrivateKey) -> Result<Identity, Error> {
        let certificate = self.certify(Usage::Client, leaf, leaf.validity, key.pair())?;
        Ok(Identity::new(certificate, key))
    }

    /// Signs a partner's request. Taken over are its key, its subject, and those of its subjectAltNames that stand in
    /// `granted`: a partner must not name itself like the gateway. Usage and validity are the root's own decision, and a
    /// request for CA rights goes unheard.
    ///
    /// # Errors
    ///
    /// [`Error::NameNotGranted`] for a subjectAltName that is not granted;
    /// [`Error::NamesNoHost`] for a server without a host among its subjectAltNames; [`Error::UnsupportedKey`] where the
    /// key cannot be certified as it stands in the request.
    ///
    /// [RFC 2986 §3](https://www.rfc-editor.org/rfc/rfc2986#section-3)
    pub fn sign_request(
        &self,
        request: &CertificateRequest,
        granted: &[SubjectAlternativeName],
        usage: Usage,
        validity: Validity,
    ) -> Result<Certificate, Error> {
        if let Some(name) = request
            .subject_alternative_names()
            .iter()
            .find(|name| !granted.contains(name))
        {
            return Err(Error::NameNotGranted(name.to_string()));
        }
        if usage == Usage::Server && !request.names_a_host() {
            return Err(Error::NamesNoHost);
        }
        let key =
            SubjectPublicKeyInfo::from_der(request.public_key_info()).map_err(|_| Error::UnsupportedKey)?;
        let leaf = Leaf {
            subject: request.subject().clone(),
            subject_alternative_names: request.subject_alternative_names().to_vec(),
            validity,
        };
        let certificate = self.certify(usage, &leaf, self.within_own(validity)?, &key)?;
        if certificate.public_key_info()? != request.public_key_info() {
            return Err(Error::UnsupportedKey);
        }
        Ok(certificate)
    }

    /// Whether this root's key signed the certificate, in this root's name.
    pub fn has_issued(&self, certificate: &Certificate) -> bool {
        let parsed = certificate.parsed();
        certificate.tbs().issuer() == self.certificate.tbs().subject()
            && signature::is_valid(
                parsed.tbs_certificate(),
                parsed.signature_algorithm(),
                parsed.signature(),
                self.certificate.tbs().subject_public_key_info(),
            )
    }

    fn self_signed(subject: &Subject, key: PrivateKey, now: Timestamp) -> Result<Self, Error> {
        let params = authority_params(Validity::starting(Days::ROOT, now))?;
        let laid_out = params.self_signed(&LayoutKey(&key))?;
        let names = [
            (CERTIFICATE_ISSUER, subject.name()),
            (CERTIFICATE_SUBJECT, subject.name()),
        ];
        let certificate = Certificate::from_der(layout::sign(laid_out.der(), &names, &key)?)?;
        Ok(Self { certificate, key })
    }

    /// A leaf that outlives its root only looks valid: its end is cut off, and an expired root signs nothing.
    fn within_own(&self, validity: Validity) -> Result<Validity, Error> {
        let validity = validity.ending_by(self.certificate.not_after());
        if validity.not_after <= validity.not_before {
            return Err(Error::RootExpired);
        }
        Ok(validity)
    }

    fn certify(
        &self,
        usage: Usage,
        leaf: &Leaf,
        validity: Validity,
        key: &impl PublicKeyData,
    ) -> Result<Certificate, Error> {
        let params = leaf_params(usage, leaf, validity, key)?;
        let laid_out = self.with_issuer(|issuer| Ok(params.signed_by(key, issuer)?))?;
        let names = [
            (CERTIFICATE_ISSUER, self.certificate.tbs().subject()),
            (CERTIFICATE_SUBJECT, leaf.subject.name()),
        ];
        Certificate::from_der(layout::sign(laid_out.der(), &names, &self.key)?)
    }

    /// Runs `lay_out` with this root as rcgen's issuer. It leaves the signature and the names open.
    pub(crate) fn with_issuer<T>(
        &self,
        lay_out: impl FnOnce(&Issuer<'_, LayoutKey<'_>>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut params = CertificateParams::default();
        params.key_identifier_method = self.key_identifier();
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        lay_out(&Issuer::from_params(&params, LayoutKey(&self.key)))
    }

    /// What goes into the authorityKeyIdentifier of everything that is signed: the root's own subjectKeyIdentifier.
    pub(crate) fn key_identifier(&self) -> KeyIdMethod {
        self.certificate
            .key_identifier()
            .map_or(KeyIdMethod::Sha256, KeyIdMethod::PreSpecified)
    }
}

fn authority_params(validity: Validity) -> Result<CertificateParams, Error> {
    let mut params = params(validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf_params(
    usage: Usage,
    leaf: &Leaf,
    validity: Validity,
    key: &impl PublicKeyData,
) -> Result<CertificateParams, Error> {
    let mut params = params(validity)?;
    params.subject_alt_names = leaf
        .subject_alternative_names
        .iter()
        .map(SubjectAlternativeName::to_san_type)
        .collect::<Result<_, _>>()?;
    if !leaf.subject.is_empty() {
        // A stand-in for the real subject: with any subject at all, rcgen leaves the names extension uncritical.
        params.distinguished_name.push(DnType::CommonName, "subject");
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = key_usages(usage, key);
    params.extended_key_usages = vec![match usage {
        Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    Ok(params)
}

/// What roots and leaves have in common: a random serial, both key identifiers, and no names yet.
fn params(validity: Validity) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = date_time(validity.not_before)?;
    params.not_after = date_time(validity.not_after)?;
    params.serial_number = Some(random_serial()?);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// RSA servers may still be asked for RSA key transport by old TLS 1.2 peers; nobody else encrypts to a key.
fn key_usages(usage: Usage, key: &impl PublicKeyData) -> Vec<KeyUsagePurpose> {
    let is_rsa = *key.algorithm() == rcgen::PKCS_RSA_SHA256;
    if usage == Usage::Server && is_rsa {
        vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ]
    } else {
        vec![KeyUsagePurpose::DigitalSignature]
    }
}

/// Sixteen random bytes, positive, and as long for every certificate: nobody can guess the next one, which is what
/// makes a collision of hashes useless to a forger.
///
/// RFC 5280 §4.1.2.2
fn random_serial() -> Result<SerialNumber, Error> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&serial))
}

#[cfg(test)]
mod tests;
