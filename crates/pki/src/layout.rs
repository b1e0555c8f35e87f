//! How a certificate or revocation list becomes DER: rcgen lays it out, the exact names go in, and it is signed once.
//!
//! rcgen's names hold each attribute type once and one attribute per RDN; a subject such as `DC=example,DC=com` or
//! `CN=a+OU=b` would come out as another one. So the names are put in as they are, byte for byte, before signing.

use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use x509_cert::{
    der::{
        Decode as _, Encode as _,
        asn1::{Any, BitString},
    },
    name::Name,
};

use crate::{error::Error, key::PrivateKey};

/// Where the issuer stands in a `TBSCertificate`. RFC 5280 §4.1
pub(crate) const CERTIFICATE_ISSUER: usize = 3;

/// Where the subject stands in a `TBSCertificate`. RFC 5280 §4.1
pub(crate) const CERTIFICATE_SUBJECT: usize = 5;

/// Where the issuer stands in a `TBSCertList`. RFC 5280 §5.1
pub(crate) const REVOCATION_LIST_ISSUER: usize = 2;

/// A key that leaves the signature empty: what it lays out is not what will be signed.
pub(crate) struct LayoutKey<'a>(pub(crate) &'a PrivateKey);

impl PublicKeyData for LayoutKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.pair().der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.pair().algorithm()
    }
}

impl SigningKey for LayoutKey<'_> {
    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(Vec::new())
    }
}

/// Puts `names` at their places into the layout and signs the result with `key`.
pub(crate) fn sign(layout: &[u8], names: &[(usize, &Name)], key: &PrivateKey) -> Result<Vec<u8>, Error> {
    let mut signed = Vec::<Any>::from_der(layout)?;
    let [to_be_signed, _algorithm, signature] = signed.as_mut_slice() else {
        return Err(Error::Encoding(x509_cert::der::ErrorKind::Failed.into()));
    };
    let mut fields = to_be_signed.decode_as::<Vec<Any>>()?;
    for (place, name) in names {
        fields[*place] = Any::encode_from(*name)?;
    }
    *to_be_signed = Any::encode_from(&fields)?;
    *signature = Any::encode_from(&BitString::from_bytes(&key.sign(&to_be_signed.to_der()?)?)?)?;
    Ok(signed.to_der()?)
}
