//! The files that a configuration names: whether each can be read and used, said of every one at once.

use std::fs::File;
use std::path::Path;

use mtls::{
    Credentials, CredentialsError, PinnedCertificates, RevocationLists, TlsSection, TrustAnchors,
    UnreadableFile,
};
use service::Problems;

use super::client_certificates::{CertificateVerification, ClientCertificatesSection};
use super::file::ConfigurationFile;

/// Notes every file that cannot be used, by the key that names it.
pub(super) fn verify(file: &ConfigurationFile, problems: &mut Problems) {
    verify_pair("tls", &file.tls.certificate, &file.tls.key, problems);
    verify_client_certificates(&file.tls, &file.client_certificates, problems);
    let outbound = &file.outbound_tls;
    problems.take(
        "outbound_tls.trust",
        TrustAnchors::from_pem_files(&outbound.trust),
    );
    verify_pair("outbound_tls", &outbound.certificate, &outbound.key, problems);
}

fn verify_client_certificates(
    tls: &TlsSection,
    section: &ClientCertificatesSection,
    problems: &mut Problems,
) {
    if section.verify == CertificateVerification::ProofOfPossession {
        return;
    }
    problems.take(
        "client_certificates.pinned",
        PinnedCertificates::from_pem_files(&section.pinned),
    );
    if section.trust.is_empty() {
        return;
    }
    let trust = TrustAnchors::from_pem_files(&section.trust);
    let lists = RevocationLists::load(&section.crl, section.crl_policy);
    let trust = problems.take("client_certificates.trust", trust);
    let lists = problems.take("client_certificates.crl", lists);
    // Only together do they tell whether the lists are the authorities' own.
    if trust.zip(lists).is_some() {
        problems.take(
            "client_certificates",
            section.server_files(tls.clone()).client_certificates(),
        );
    }
}

/// A certificate and its key: each on its own, and whether they belong together.
fn verify_pair(section: &str, certificate: &Path, key: &Path, problems: &mut Problems) {
    let files = [("certificate", certificate), ("key", key)];
    let mut are_readable = true;
    for (name, path) in files {
        if let Err(cause) = File::open(path) {
            let path = path.to_path_buf();
            problems.add(format!("{section}.{name}"), UnreadableFile { path, cause });
            are_readable = false;
        }
    }
    if are_readable && let Err(error) = Credentials::from_pem_files(certificate, key) {
        let at_fault = match &error {
            CredentialsError::InFile { path, .. } => Some(path),
            CredentialsError::Unreadable(UnreadableFile { path, .. }) => Some(path),
            _ => None,
        };
        let named = files
            .iter()
            .find(|(_, path)| at_fault.is_some_and(|fault| fault == path));
        let name = named.map_or("certificate", |(name, _)| name);
        problems.add(format!("{section}.{name}"), error);
    }
}
