//! When the contents of a file expire, for whoever watches over it.

use std::path::Path;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_cert::der::Decode;

use crate::revocation;

/// The earliest end among the certificates and revocation lists of a file; `None` where it holds neither, such as a
/// key's. RFC 5280 §4.1.2.5, §5.1.2.5
pub fn expires_at(file: &Path) -> Option<SystemTime> {
    let contents = std::fs::read(file).ok()?;
    let certificates = CertificateDer::pem_slice_iter(&contents)
        .filter_map(Result::ok)
        .filter_map(|der| x509_cert::Certificate::from_der(&der).ok())
        .map(|certificate| {
            certificate
                .tbs_certificate()
                .validity()
                .not_after
                .to_system_time()
        });
    certificates.chain(revocation::ends_in(&contents)).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Authority;

    fn written(contents: &str) -> Option<SystemTime> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, contents).unwrap();
        expires_at(&path)
    }

    fn year(year: i32) -> SystemTime {
        rcgen::date_time_ymd(year, 1, 1).into()
    }

    #[test]
    fn finds_the_earliest_end_among_certificates_and_lists() {
        let authority = Authority::new("root");
        let short = authority.client(|params| params.not_after = rcgen::date_time_ymd(2040, 1, 1));
        let list = authority.revocation_list(&[], 2030);
        assert_eq!(written(&authority.pem), Some(year(2120)));
        assert_eq!(written(&(authority.pem + &short.certificate)), Some(year(2040)));
        assert_eq!(written(&list), Some(year(2030)));
    }

    #[test]
    fn finds_none_in_a_key_or_in_what_is_broken_or_absent() {
        let leaf = Authority::new("root").client(|_| ());
        assert_eq!(written(&leaf.key), None);
        assert_eq!(written("nothing"), None);
        assert_eq!(expires_at(Path::new("absent.pem")), None);
    }
}
