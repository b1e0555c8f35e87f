use super::*;
use crate::pki::Authority;

#[test]
fn accepts_a_chain_with_its_key_from_files() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("root");
    let leaf = authority.client(|_| ());
    let (certificate, key) = (directory.path().join("a.pem"), directory.path().join("a.key"));
    std::fs::write(&certificate, leaf.certificate.clone() + &authority.pem).unwrap();
    std::fs::write(&key, &leaf.key).unwrap();
    let credentials = Credentials::from_pem_files(&certificate, &key).unwrap();
    let expected = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
    assert_eq!(credentials.leaf_der(), expected.as_ref());
}

#[test]
fn refuses_the_key_of_another_certificate() {
    let authority = Authority::new("root");
    let (one, other) = (authority.client(|_| ()), authority.client(|_| ()));
    let error = Credentials::from_pem(one.certificate.as_bytes(), other.key.as_bytes()).unwrap_err();
    assert!(
        matches!(error, CredentialsError::KeyOfAnotherCertificate),
        "{error}"
    );
}

#[test]
fn names_the_file_that_holds_the_key_of_another_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("root");
    let (certificate, key) = (directory.path().join("a.pem"), directory.path().join("b.key"));
    std::fs::write(&certificate, authority.client(|_| ()).certificate).unwrap();
    std::fs::write(&key, authority.client(|_| ()).key).unwrap();
    let message = Credentials::from_pem_files(&certificate, &key)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("b.key: the private key does not belong"),
        "{message}"
    );
}

#[test]
fn names_the_absent_file_and_the_remedy() {
    let error = Credentials::from_pem_files(Path::new("absent/api.tls.pem"), Path::new("absent/api.tls.key"));
    let message = error.unwrap_err().to_string();
    assert!(
        message.contains("absent/api.tls.pem") && message.contains("pki -- init"),
        "{message}"
    );
}

#[test]
fn refuses_a_certificate_file_without_a_certificate_and_a_key_file_without_a_key() {
    let leaf = Authority::new("root").client(|_| ());
    let no_certificate = Credentials::from_pem(leaf.key.as_bytes(), leaf.key.as_bytes()).unwrap_err();
    assert!(
        matches!(no_certificate, CredentialsError::NoCertificate),
        "{no_certificate}"
    );
    let no_key = Credentials::from_pem(leaf.certificate.as_bytes(), leaf.certificate.as_bytes()).unwrap_err();
    assert!(matches!(no_key, CredentialsError::NoPrivateKey), "{no_key}");
}

#[test]
fn says_nothing_of_a_damaged_key_but_that_it_is_damaged() {
    let leaf = Authority::new("root").client(|_| ());
    let damaged = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0!\n-----END PRIVATE KEY-----\n";
    let message = Credentials::from_pem(leaf.certificate.as_bytes(), damaged.as_bytes())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("damaged") && !message.contains("c2VjcmV0"),
        "{message}"
    );
}

#[test]
fn prints_no_key() {
    let leaf = Authority::new("root").client(|_| ());
    let credentials = Credentials::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
    assert_eq!(
        format!("{credentials:?}"),
        r#"Credentials { certificates: 1, key: "[redacted]" }"#
    );
}

#[cfg(feature = "pkcs12")]
mod pkcs12 {
    use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};

    use super::*;

    fn archive() -> (Vec<u8>, Vec<u8>) {
        let authority = Authority::new("root");
        let leaf = authority.client(|_| ());
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
        let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
        let chain =
            [der(&leaf.certificate), der(&authority.pem)].map(|der| Certificate::from_der(&der).unwrap());
        let key = PrivateKey::from_der(key.secret_der()).unwrap();
        let mut store = KeyStore::new();
        let entry = PrivateKeyChain::new(b"id".to_vec(), key, chain);
        store.add_entry("client", KeyStoreEntry::PrivateKeyChain(entry));
        (store.writer("Password1").write().unwrap(), der(&leaf.certificate))
    }

    #[test]
    fn accepts_an_archive_with_its_password() {
        let (archive, leaf) = archive();
        assert_eq!(
            Credentials::from_pkcs12(&archive, "Password1")
                .unwrap()
                .leaf_der(),
            leaf
        );
    }

    #[test]
    fn refuses_an_archive_with_another_password() {
        let error = Credentials::from_pkcs12(&archive().0, "Password2").unwrap_err();
        assert!(matches!(error, CredentialsError::Pkcs12(_)), "{error}");
        assert!(!error.to_string().contains("Password2"));
    }
}
