//! Certificates in PEM, for whoever they belong to.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Every certificate of a PEM text; `None` where there is none.
///
/// # Errors
///
/// What `damaged` makes of a block that cannot be read.
pub(crate) fn certificates<E>(
    pem: &[u8],
    damaged: fn(String) -> E,
) -> Result<Option<Vec<CertificateDer<'static>>>, E> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| damaged(error.to_string()))?;
    Ok(Some(certificates).filter(|certificates| !certificates.is_empty()))
}
