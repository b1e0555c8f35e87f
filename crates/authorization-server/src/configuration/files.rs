//! The files that a configuration names: each is read once before the start, so that all that is wrong is said at once.

use mtls::{CredentialsError, RevocationLists, TlsSection, TrustAnchors};
use service::configuration::Problems;

use super::{ConfigurationFile, client_trust};
use crate::client_anchors::ClientAnchors;

/// Notes which files cannot be used, whatever else is wrong.
pub(super) fn verify(file: &ConfigurationFile, problems: &mut Problems) {
    verify_credentials(&file.tls, problems);
    let section = &file.client_certificates;
    let trust = TrustAnchors::from_pem_files(&section.trust);
    let trust = problems.take("client_certificates.trust", trust);
    let lists = RevocationLists::load(&section.crl, section.crl_policy);
    let lists = problems.take("client_certificates.crl", lists);
    if trust.is_some() && lists.is_some() {
        problems.take("client_certificates", section.verification());
    }
    ClientAnchors::load(&client_trust(&file.clients), problems);
    file.store.verify_files(problems);
}

fn verify_credentials(tls: &TlsSection, problems: &mut Problems) {
    let Err(error) = tls.credentials() else {
        return;
    };
    let path = match &error {
        CredentialsError::Unreadable(unreadable) => Some(&unreadable.path),
        CredentialsError::InFile { path, .. } => Some(path),
        _ => None,
    };
    let key = match path {
        Some(path) if *path == tls.certificate => "tls.certificate",
        Some(path) if *path == tls.key => "tls.key",
        _ => "tls",
    };
    problems.add(key, error);
}
